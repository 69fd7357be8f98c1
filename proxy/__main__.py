"""The command `frontgate`, also as `python -m proxy`.

Rules: tools ask `frontgate nginx -V` often, so that is answered before anything heavy is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

from proxy.process.nginx import early


def main() -> int:
    """Run the command; gives its exit code."""
    words = sys.argv[1:]
    if words[:1] == ["nginx"]:
        answer = early.answer(words[1:])
        if isinstance(answer, int):
            return answer
    code: int = import_module("proxy.cli").main(words)
    return code


if __name__ == "__main__":
    sys.exit(main())
