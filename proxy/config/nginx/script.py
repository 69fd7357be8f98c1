"""The slice of nginx's rewrite module: set, rewrite, return, break, if.

Rules: what stands in an `if` of a location beside these is a route of its own, which holds while the condition does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy.config.nginx.frame import Frame
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_PLACES: Final = "server if-server location if-location"

SPECS: Final[dict[str, Spec]] = {
    "set": spec(_PLACES, 2, once=False),
    "rewrite": spec(_PLACES, 2, 3, once=False),
    "return": spec(_PLACES, 1, 2, once=False),
    "break": spec(_PLACES, 0, once=False),
    "if": spec("server location if-server if-location", 1, None, block=True),
    "rewrite_log": spec("http server location if-server if-location", flag=True),
    "uninitialized_variable_warn": spec("http server location if-server if-location", flag=True),
}

_OWN: Final = ("set", "rewrite", "return", "break", "if")
_REDIRECTS: Final = ("http://", "https://", "$scheme")
_COMPARED: Final = re.compile(r"(?:=|!=|~\*?|!~\*?)")
_ESCAPED: Final = re.compile(r"!?-[fdex]")

Inner = Callable[[Frame], str]


def operations(frame: Frame, reading: Reading, inner: Inner | None) -> list[Written]:
    """The script of a block; `inner` makes the route of an `if` that holds more than a script, and names it."""
    return [_operation(one, frame, reading, inner) for one in frame.directives if one.name in _OWN]


def more_than_script(frame: Frame) -> bool:
    """Whether a block says anything else."""
    return any(one.name not in SPECS for one in frame.directives)


def _operation(directive: Directive, frame: Frame, reading: Reading, inner: Inner | None) -> Written:
    table = Written(directive)
    if directive.name == "set":
        _set(directive, table, reading)
    elif directive.name == "rewrite":
        _rewrite(directive, table, reading)
    elif directive.name == "return":
        _return(directive, table, reading)
    elif directive.name == "if":
        _if(directive, table, frame, reading, inner)
    else:
        table.put("stop", True, directive)
    return table


def _set(directive: Directive, table: Written, reading: Reading) -> None:
    name, value = directive.args
    if not name.startswith("$") or len(name) < 2:
        reading.problem(directive, f'invalid variable name "{name}"')
        return
    reading.declare(name[1:])
    table.put("set", name[1:], directive)
    table.put("to", reading.text(value, directive), directive)


def _rewrite(directive: Directive, table: Written, reading: Reading) -> None:
    expression, to, *rest = directive.args
    table.put("rewrite", reading.expression(expression), directive)
    table.put("to", reading.text(to, directive), directive)
    then = rest[0] if rest else ""
    if then and then not in ("last", "break", "redirect", "permanent"):
        reading.problem(directive, f'invalid parameter "{then}"')
    elif then:
        table.put("then", then, directive)


def _return(directive: Directive, table: Written, reading: Reading) -> None:
    first, *rest = directive.args
    if not first.isdigit():
        if rest or not first.startswith(_REDIRECTS):
            reading.problem(directive, f'invalid return code "{first}"')
        table.put("return", 302, directive)
        table.put("to", reading.text(first, directive), directive)
        return
    if int(first) > 999:
        reading.problem(directive, f'invalid return code "{first}"')
    table.put("return", int(first), directive)
    if rest:
        table.put("to", reading.text(rest[0], directive), directive)


def _if(directive: Directive, table: Written, frame: Frame, reading: Reading, inner: Inner | None) -> None:
    table.put("if", _condition(directive, reading), directive)
    kind = "if-location" if inner is not None else "if-server"
    block = Frame(kind, directive, frame)
    table.put("do", operations(block, reading, inner), directive)
    if inner is not None and more_than_script(block):
        table.put("use", inner(block), directive)


def _condition(directive: Directive, reading: Reading) -> str:
    """The condition in the Model's words; the parentheses may stand alone or touch."""
    words = list(directive.args)
    if not words[0].startswith("("):
        reading.problem(directive, f'invalid condition "{words[0]}"')
        return "$uri"
    words[0] = words[0][1:]
    if not words[-1].endswith(")"):
        reading.problem(directive, f'invalid condition "{words[-1]}"')
        return "$uri"
    words[-1] = words[-1][:-1]
    words = words[1:] if words[0] == "" and len(words) > 1 else words
    words = words[:-1] if words[-1] == "" and len(words) in (2, 4) else words
    if len(words) == 1 and words[0].startswith("$") and len(words[0]) > 1:
        return reading.text(words[0], directive)
    if len(words) == 2 and _ESCAPED.fullmatch(words[0]):
        return f"{words[0]} {reading.text(words[1], directive)}"
    if len(words) == 3 and words[0].startswith("$") and _COMPARED.fullmatch(words[1]):
        right = reading.expression(words[2]) if "~" in words[1] else reading.text(words[2], directive)
        return f"{reading.text(words[0], directive)} {words[1]} {right}"
    reading.problem(directive, f'invalid condition "{" ".join(words)}"')
    return "$uri"
