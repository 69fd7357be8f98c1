"""The `sticky` directive: a cookie, a route in variables, or sessions that servers begin.

Rules: ngx_http_upstream_sticky_module.c.
"""

from __future__ import annotations

from typing import Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.written import Written

SAMESITE: Final = ("strict", "lax", "none")
LEAST_ZONE: Final = 32 << 10  # bytes


def sticky(directive: Directive, reading: Reading) -> Written:
    """The table of a directive. ConfigError in nginx's words."""
    table = Written(directive)
    kind, *words = directive.args
    if kind == "cookie":
        _cookie(words, table, directive, reading)
    elif kind == "route":
        for word in words:
            if not word.startswith("$"):
                raise wrong(directive, f'invalid variable name "{word}"')
            table.add("route", reading.text(word, directive))
    elif kind == "learn":
        table.put("learn", _learn(words, directive, reading), directive)
    else:
        raise wrong(directive, f'unknown parameter "{kind}"')
    return table


def _cookie(words: list[str], table: Written, directive: Directive, reading: Reading) -> None:
    if not words[0]:
        raise wrong(directive, "empty cookie name")
    table.put("cookie", words[0], directive)
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if key in table:
            raise wrong(directive, f'"sticky" directive parameter "{key}" is duplicate')
        if word in ("httponly", "secure"):
            table.put(word, True, directive)
        elif key in ("domain", "path") and equals:
            if not value:
                raise wrong(directive, f'"sticky" directive no value for "{key}"')
            table.put(key, reading.text(value, directive) if key == "domain" else value, directive)
        elif key == "expires" and equals:
            table.put("expires", _expires(value, directive), directive)
        elif key == "samesite" and equals:
            if "$" not in value and value.lower() not in SAMESITE:
                raise wrong(directive, '"sticky" directive invalid "samesite" parameter value')
            table.put("samesite", reading.text(value, directive), directive)
        else:
            raise wrong(directive, f'unknown parameter "{word}"')


def _expires(value: str, directive: Directive) -> str | int:
    if value == "max":
        return value
    try:
        return values.seconds(value)
    except ValueError:
        raise wrong(directive, '"sticky" directive invalid "expires" parameter value') from None


def _learn(words: list[str], directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    for word in words:
        key, equals, value = word.partition("=")
        if key in ("create", "lookup") and equals:
            if not value.startswith("$"):
                raise wrong(directive, f'"sticky" directive missing variable in the "{key}" parameter')
            table.add(key, reading.text(value, directive))
        elif key == "zone" and equals:
            if "memory" in table:
                raise wrong(directive, '"sticky" directive duplicate zone')
            table.put("memory", _size(value, directive), directive)
        elif key == "timeout" and equals:
            if "timeout" in table:
                raise wrong(directive, '"sticky" directive duplicate timeout')
            table.put("timeout", _timeout(value, directive), directive)
        elif word == "header":
            table.put("at", "head", directive)
        elif word != "sync":  # with other hosts of a cluster: there are none
            raise wrong(directive, f'unknown parameter "{word}"')
    for key, name in (("lookup", "lookup"), ("create", "create"), ("memory", "zone")):
        if key not in table:
            raise wrong(directive, f'"sticky" directive "{name}" parameter is not specified')
    return table


def _size(value: str, directive: Directive) -> int:
    name, colon, size = value.partition(":")
    if not colon:
        raise wrong(directive, '"sticky" directive zone size is not specified')
    if not name:
        raise wrong(directive, '"sticky" directive zone name is not specified')
    try:
        found = values.size(size)
    except ValueError:
        raise wrong(directive, '"sticky" directive invalid zone size') from None
    if found < LEAST_ZONE:
        raise wrong(directive, '"sticky" directive zone is too small')
    return found


def _timeout(value: str, directive: Directive) -> float:
    try:
        found = values.milliseconds(value) / 1000
    except ValueError:
        found = 0.0
    if not found:
        raise wrong(directive, '"sticky" directive invalid timeout')
    return found
