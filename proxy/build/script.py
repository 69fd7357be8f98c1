"""Turns the tables of scripts into operations."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from typing import Final

from proxy.build import files
from proxy.build.parts import Parts, Spot
from proxy.config.script import Operation as Table
from proxy.course import Course
from proxy.exchange import Exchange
from proxy.policy.pattern import Pattern, pattern, remember
from proxy.policy.script import Condition, If, Operation, Return, Rewrite, Set, Stop
from proxy.policy.template import Getter, Template, Vocabulary
from proxy.policy.variables.request import uri

Test = Callable[[os.stat_result], bool]

_COMPARISON: Final = re.compile(r"\$\{?(\w+)\}? (=|!=|~|~\*|!~|!~\*) (.*)", re.DOTALL)
_FILE: Final = re.compile(r"(!?)-([fdex]) (.+)", re.DOTALL)
_ABSOLUTE: Final = re.compile(r"(?:https?://|\$\{?scheme\}?)")

FILE_TESTS: Final[dict[str, Test]] = {
    "f": lambda found: stat.S_ISREG(found.st_mode),
    "d": lambda found: stat.S_ISDIR(found.st_mode),
    "e": lambda found: True,
    "x": lambda found: bool(found.st_mode & 0o111),
}


def declare(tables: Sequence[Table], vocabulary: Vocabulary) -> None:
    """Make known every variable that these operations set, by name or by a named group."""
    for table in tables:
        if table.set is not None:
            name = table.set.lower()
            if name != "args":
                vocabulary.set_by_steps(name)
        groups(table.rewrite, vocabulary)
        if table.if_ is not None:
            comparison = _COMPARISON.fullmatch(table.if_)
            groups(comparison[3] if comparison and "~" in comparison[2] else None, vocabulary)
        declare(table.do, vocabulary)


def groups(expression: str | None, vocabulary: Vocabulary) -> None:
    """Make known the named groups of an expression."""
    for name in pattern(expression).groupindex if expression is not None else ():
        vocabulary.set_by_steps(name.lower())


def operations(tables: Sequence[Table], parts: Parts, spot: Spot) -> tuple[Operation, ...]:
    """The operations of a script; ValueError with a sentence."""
    return tuple([_operation(table, parts, spot) for table in tables])


def _operation(table: Table, parts: Parts, spot: Spot) -> Operation:
    if table.set is not None:
        return Set(table.set.lower(), parts.template(table.to or ""))
    if table.rewrite is not None:
        return rewrite(table, parts)
    if table.return_ is not None:
        text = parts.template(table.to) if table.to is not None else None
        return Return(table.return_, text, content_type(spot))
    if table.if_ is not None:
        named = spot.site.named
        use = table.use
        route = (lambda: named[use.removeprefix("@")]) if use is not None else None
        return If(_condition(table.if_, parts), operations(table.do, parts, spot), route)
    return Stop()


def rewrite(table: Table, parts: Parts) -> Rewrite:
    """A rewrite. One to another site is a redirect (nginx's rule); a "?" at the end drops the query of before."""
    to = table.to or ""
    then = table.then or ""
    if _ABSOLUTE.match(to) and then not in ("redirect", "permanent"):
        then = "redirect"
    path, mark, args = to.partition("?")
    add = not to.endswith("?")
    return Rewrite(
        pattern(table.rewrite or ""),
        parts.template(path),
        parts.template(args.removesuffix("?")) if mark and args else None,
        add,
        then,
    )


def content_type(spot: Spot) -> Callable[[Exchange], bytes]:
    """The type of a text that a script answers with: that of the path's end, as nginx has it."""
    if spot.said("types", None) is None and spot.said("default_type", None) is None:
        return lambda exchange: b"text/plain; charset=utf-8"
    known = files.types(spot)
    return lambda exchange: known.of(uri(exchange))


def _condition(text: str, parts: Parts) -> Condition:
    file = _FILE.fullmatch(text)
    if file is not None:
        return _of_file(FILE_TESTS[file[2]], bool(file[1]), parts.template(file[3]))
    comparison = _COMPARISON.fullmatch(text)
    if comparison is None:
        return _true(parts.vocabulary.getter(text.strip("${}")))
    getter, how, right = parts.vocabulary.getter(comparison[1]), comparison[2], comparison[3]
    if "~" in how:
        return _matching(getter, pattern(right, "*" in how), how.startswith("!"))
    return _equal(getter, parts.template(right), how.startswith("!"))


def _true(getter: Getter) -> Condition:
    return lambda exchange, course: (getter(exchange) or b"") not in (b"", b"0")


def _equal(getter: Getter, right: Template, negated: bool) -> Condition:
    return lambda exchange, course: ((getter(exchange) or b"") == right(exchange)) is not negated


def _matching(getter: Getter, expression: Pattern, negated: bool) -> Condition:
    def holds(exchange: Exchange, course: Course) -> bool:
        match = expression.search(getter(exchange) or b"")
        if match is not None:
            remember(course, match)
        return (match is not None) is not negated

    return holds


def _of_file(test: Test, negated: bool, path: Template) -> Condition:
    def holds(exchange: Exchange, course: Course) -> bool:
        try:
            found = test(os.stat(path(exchange)))
        except (OSError, ValueError):
            found = False
        return found is not negated

    return holds
