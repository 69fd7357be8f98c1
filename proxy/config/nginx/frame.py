"""The settings of one block of an nginx.conf, and what it inherits.

Rules, nginx's: a block that says something about a name says all about it; what is outside counts only when the block
is silent. A value that is wrong raises a ConfigError in nginx's words, with its place. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from proxy.config.nginx import values
from proxy.config.nginx.parser import Directive
from proxy.config.source import ConfigError

_Value = TypeVar("_Value")


class Frame:
    """A block: its kind ("main", "http", "server", ...), the directive that opens it, and the block around it.

    What it holds is the block of the directive, or `directives` when they are given (those of the main level have
    no directive around them).
    """

    __slots__ = ("name", "directive", "parent", "directives", "_own")

    def __init__(
        self,
        name: str,
        directive: Directive | None,
        parent: Frame | None = None,
        directives: Sequence[Directive] | None = None,
    ) -> None:
        self.name = name
        self.directive = directive
        self.parent = parent
        block = directive.block if directive else None
        self.directives: Sequence[Directive] = directives if directives is not None else block or ()
        self._own: dict[str, list[Directive]] = {}
        for inner in self.directives:
            self._own.setdefault(inner.name, []).append(inner)

    def own(self, *names: str) -> list[Directive]:
        """The directives of these names in this block itself, in the order they are written."""
        if len(names) == 1:
            return list(self._own.get(names[0], ()))
        if not any(name in self._own for name in names):
            return []
        return [directive for directive in self.directives if directive.name in names]

    def nearest(self, *names: str) -> list[Directive]:
        """The directives of these names in the nearest block, from here outwards, that has any of them."""
        frame: Frame | None = self
        while frame is not None:
            found = frame.own(*names)
            if found:
                return found
            frame = frame.parent
        return []

    def last(self, name: str) -> Directive | None:
        """The last of the nearest directives of this name."""
        found = self.nearest(name)
        return found[-1] if found else None

    def words(self, name: str) -> tuple[str, ...] | None:
        """All words of the last directive; None when there is none."""
        directive = self.last(name)
        return directive.args if directive else None

    def word(self, name: str, default: str) -> str:
        """The first word of the last directive."""
        return self.value(name, str, default)

    def flag(self, name: str, default: bool) -> bool:
        """Whether the directive says "on"."""
        directive = self.last(name)
        if directive is None:
            return default
        word = first(directive)
        try:
            return values.flag(word)
        except ValueError:
            raise ConfigError([directive.problem(values.wrong_flag(name, word))]) from None

    def number(self, name: str, default: int, least: int = 0, most: int | None = None) -> int:
        """A whole number within its bounds."""
        return self.value(name, lambda word: values.number(word, least, most), default)

    def size(self, name: str, default: int) -> int:
        """Bytes, written without "g"."""
        return self.value(name, values.size, default)

    def offset(self, name: str, default: int) -> int:
        """Bytes, where nginx takes "1g" too."""
        return self.value(name, values.offset, default)

    def time(self, name: str, default: float) -> float:
        """Seconds, where nginx counts milliseconds: all timeouts."""
        return self.value(name, lambda word: values.milliseconds(word) / 1000, default)

    def seconds(self, name: str, default: int) -> int:
        """Seconds, where nginx counts those: months and years, but no milliseconds."""
        return self.value(name, values.seconds, default)

    def choice(self, name: str, known: Sequence[str], default: str) -> str:
        """One of the known words, in lower case."""
        return self.value(name, lambda word: values.choice(word, known), default)

    def value(self, name: str, read: Callable[[str], _Value], default: _Value) -> _Value:
        """What a function of `values`, or one like them, makes of the first word."""
        directive = self.last(name)
        if directive is None:
            return default
        return checked(directive, read, first(directive))

    def where(self, directive: Directive | None = None) -> str:
        """The place of a directive, or of this block, as "file:line"; "command line" has no lines."""
        directive = directive or self.directive
        if directive is None:
            return ""
        return f"{directive.file}:{directive.line}" if directive.line else directive.file


def first(directive: Directive) -> str:
    """The first word behind the name; raises ConfigError when there is none."""
    if not directive.args:
        raise wrong(directive, f'invalid number of arguments in "{directive.name}" directive')
    return directive.args[0]


def checked(directive: Directive, read: Callable[[str], _Value], word: str) -> _Value:
    """What a reading function makes of one of a directive's words; its ValueError becomes a ConfigError."""
    try:
        return read(word)
    except ValueError as error:
        raise wrong(directive, f'"{directive.name}" directive {error}') from None


def wrong(directive: Directive, sentence: str) -> ConfigError:
    """One problem in a directive's line, to be raised."""
    return ConfigError([directive.problem(sentence)])
