"""What the slices of the nginx reader share while one configuration is read.

Rules: a slice is a module with SPECS and the functions that it needs of `http`, `site` and `route`; each pulls from a
frame what it knows and puts it into a table. Problems are gathered, so that all are told at once. Pure.
"""

from __future__ import annotations

import os
import re
from socket import gethostname
from typing import Final

from proxy.config.nginx.parser import Directive, Files
from proxy.config.nginx.written import Written
from proxy.config.source import Problem
from proxy.config.variables import NAMES, PREFIXES

_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9]))")
_GROUP: Final = re.compile(r"\(\?P?<([A-Za-z_]\w*)>|\(\?'([A-Za-z_]\w*)'")


class Reading:
    """One configuration on its way to a Model. `model` is the table of all; `warnings` are what nginx only warns of,
    and what a lenient reading leaves out; `routes` those that a site gets besides its locations."""

    def __init__(self, files: Files, prefix: str, lenient: bool = False) -> None:
        self.files = files
        self.prefix = prefix
        self.lenient = lenient
        self.model = Written()
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.routes: list[Written] = []
        self.declared: set[str] = set()
        self._asked: list[tuple[str, Directive]] = []
        self.host_name = gethostname().lower()
        self._serial = 0

    def path(self, name: str) -> str:
        """A file name as nginx takes it: relative to the prefix."""
        return os.path.normpath(os.path.join(self.prefix, name)) if not name.startswith("$") else name

    def conf_path(self, name: str) -> str:
        """A file name relative to the folder of the main configuration file (certificates, user files, includes)."""
        return os.path.normpath(os.path.join(os.path.dirname(self.files.main), name))

    def text(self, text: str, directive: Directive) -> str:
        """A text that may hold variables, which are looked up when all are declared."""
        for match in _VARIABLE.finditer(text):
            self._asked.append(((match[1] or match[2]).lower(), directive))
        return text

    def declare(self, *names: str) -> None:
        """Variables that the configuration sets."""
        self.declared.update(name.lower() for name in names)

    def expression(self, text: str) -> str:
        """A regular expression, whose named groups are variables."""
        self.declare(*(match[1] or match[2] for match in _GROUP.finditer(text)))
        return text

    def problem(self, directive: Directive, sentence: str) -> None:
        """Something is wrong in a directive."""
        self.problems.append(directive.problem(sentence))

    def warn(self, directive: Directive, sentence: str) -> None:
        """Something that nginx lets pass with a warning."""
        self.warnings.append(directive.problem(sentence))

    def unsupported(self, directive: Directive, sentence: str) -> None:
        """Something that nginx does and frontgate does not."""
        (self.warnings if self.lenient else self.problems).append(directive.problem(sentence))

    def name(self, kind: str) -> str:
        """A name for something that has none in nginx, such as the route under an `if`."""
        self._serial += 1
        return f"{kind}-{self._serial}"

    def unknown_variables(self) -> None:
        """Look up all variables that were spoken of."""
        for name, directive in self._asked:
            known = name in NAMES or name in self.declared or name.isdigit() or name == "arg_"
            if not known and not any(name.startswith(start) and name != start for start in PREFIXES):
                self.problem(directive, f'unknown "{name}" variable')
