"""What of nginx's command line is answered without reading anything: mistakes, -v, -V and -h.

Rules: nothing heavy is imported, since tools ask often. All goes to standard error, as nginx has it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from proxy.process.nginx.options import Mistake, Options, options
from proxy.process.nginx.version import USAGE, configure_lines, version_line


def answer(words: Sequence[str]) -> Options | int:
    """An exit code when all is said, else what is left to be done."""
    try:
        asked = options(words)
    except Mistake as mistake:
        sys.stderr.write(f"nginx: {mistake}\n")
        return 1
    if asked.version:
        sys.stderr.write(version_line())
        if asked.help:
            sys.stderr.write(USAGE)
        if asked.configure:
            sys.stderr.write(configure_lines())
        if not asked.test:
            return 0
    return asked
