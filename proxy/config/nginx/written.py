"""The tables that a reader of nginx.conf writes, each value with the directive that it comes from.

Rules: a Written is a table of the Model as plain values; `positions` makes of its marks what `validate` needs to say
where something stands. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.config.nginx.parser import Directive
from proxy.config.source import Position, Where


class Written(dict[str, Any]):
    """A table, the directive that opened it, and for each key the one that said it."""

    def __init__(self, directive: Directive | None = None) -> None:
        super().__init__()
        self.directive = directive
        self.said: dict[str, Directive] = {}

    def put(self, key: str, value: Any, directive: Directive | None = None) -> None:
        """Store a value; `directive` is where it was said."""
        self[key] = value
        if directive is not None:
            self.said[key] = directive

    def add(self, key: str, value: Any) -> None:
        """Append to a list, which is made if it is not there."""
        self.setdefault(key, []).append(value)


def positions(value: Any, where: Where = ()) -> Iterator[tuple[Where, Position]]:
    """The places of a table and of all that is in it."""
    if isinstance(value, Written) and value.directive is not None and where:
        yield where, _position(value.directive)
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(value, Written) and key in value.said:
                yield (*where, key), _position(value.said[key])
            yield from positions(inner, (*where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from positions(inner, (*where, index))


def _position(directive: Directive) -> Position:
    return Position(directive.line, directive.column, directive.file)
