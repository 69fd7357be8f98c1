"""Texts with variables in them: `$name`, `${name}` and captures `$1`, as nginx writes them.

Rules: a template is taken apart once, at load; at run time it is a join of getters. A `$` that no name follows is
itself. A variable that is not found is empty in a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from proxy.exchange import Exchange

Getter = Callable[[Exchange], bytes | None]

READ_BACK: Final = frozenset(("limit_rate",))  # set by steps, and read as what the house makes of that
VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9]))")


class Template:
    """A text with variables. `constant` is its value when there are none in it, else None."""

    __slots__ = ("_parts", "constant", "text")

    def __init__(self, text: str, getter: Callable[[str], Getter]) -> None:
        """ValueError with the end of a sentence for a variable that nobody knows."""
        self.text = text
        parts: list[bytes | Getter] = []
        at = 0
        for match in VARIABLE.finditer(text):
            if match.start() > at:
                parts.append(text[at : match.start()].encode("utf-8", "surrogateescape"))
            parts.append(getter(match[1] or match[2]))
            at = match.end()
        if at < len(text):
            parts.append(text[at:].encode("utf-8", "surrogateescape"))
        self._parts = tuple(parts)
        self.constant: bytes | None = None
        if all(isinstance(part, bytes) for part in parts):
            self.constant = b"".join(part for part in parts if isinstance(part, bytes))

    def __call__(self, exchange: Exchange) -> bytes:
        """Its value for an exchange."""
        if self.constant is not None:
            return self.constant
        return b"".join([part if isinstance(part, bytes) else part(exchange) or b"" for part in self._parts])


class Vocabulary:
    """The variables that a configuration may use: those of the house, and those that it declares itself."""

    __slots__ = ("_declared", "_known", "_prefixes")

    def __init__(self, known: Mapping[str, Getter], prefixes: Mapping[str, Callable[[str], Getter]]) -> None:
        self._known = known
        self._prefixes = prefixes
        self._declared: dict[str, Getter] = {}

    def declare(self, name: str, getter: Getter) -> None:
        """A variable of the configuration's own; it comes before one of the house that has the same name."""
        self._declared[name] = getter

    def set_by_steps(self, name: str) -> None:
        """A variable that steps set; where they have not, one of the house with that name is what it was."""
        if name in READ_BACK:
            self._declared[name] = self._known[name]
        elif name not in self._declared:
            try:
                self._declared[name] = stored(name, self.getter(name))
            except ValueError:
                self._declared[name] = stored(name)

    def declares(self, name: str) -> bool:
        """Whether the configuration has a variable of its own of this name."""
        return name in self._declared

    def getter(self, name: str) -> Getter:
        """What finds a variable's value; ValueError when nobody knows it."""
        name = name if name.isdigit() else name.lower()
        found = self._declared.get(name) or self._known.get(name)
        if found is not None:
            return found
        if name.isdigit():
            return _capture(int(name))
        for prefix, make in self._prefixes.items():
            if name.startswith(prefix) and (name != prefix or prefix == "arg_"):  # which nginx takes, and finds nothing
                return make(name[len(prefix) :])
        raise ValueError(f'unknown "{name}" variable')

    def template(self, text: str) -> Template:
        """A text with variables, ready to be used."""
        return Template(text, self.getter)


def stored(name: str, otherwise: Getter | None = None) -> Getter:
    """A variable that steps set, and its value where they have not."""

    def value(exchange: Exchange) -> bytes | None:
        course = exchange.course
        return None if course is None else course.values.get(name)

    def value_or(exchange: Exchange) -> bytes | None:
        course = exchange.course
        if course is not None and name in course.values:
            return course.values[name]
        return None if otherwise is None else otherwise(exchange)

    return value if otherwise is None else value_or


def _capture(number: int) -> Getter:
    """A capture of the last regular expression that matched."""

    def value(exchange: Exchange) -> bytes | None:
        course = exchange.course
        if course is None or number >= len(course.captures):
            return None
        return course.captures[number]

    return value
