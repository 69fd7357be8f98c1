"""`python -m proxy.cli` is the command `frontgate`."""

import sys

from proxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
