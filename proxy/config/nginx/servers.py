"""The `server` lines of an upstream block.

Rules: ngx_http_upstream_server. A name that is not resolved while running stands for all addresses that it has now.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.config.nginx import addresses, values
from proxy.config.nginx.frame import Frame, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.written import Written

PORT: Final = 80
_NUMBERS: Final = ("weight", "max_conns", "max_fails")
_FLAGS: Final = ("backup", "down", "drain", "resolve")
ROUTE: Final = 32  # bytes


def server(directive: Directive, backups: bool, shared: bool, frame: Frame) -> list[Written]:
    """The servers of one line; `backups`: the method knows them, `shared`: the upstream has a zone."""
    said: dict[str, Any] = {}
    for word in directive.args[1:]:
        _word(word, directive, said, backups)
    name = directive.args[0]
    service, resolve = said.get("service"), said.get("resolve")
    if service is not None and not resolve:
        raise wrong(directive, f'service upstream "{name}" requires "resolve" parameter')
    try:
        found = addresses.url(name)
        literal = bool(found.unix) or found.literal
        late = bool(resolve) and not literal
        where = [f"{found.host}:{found.port or PORT}"] if late else addresses.addresses(found, PORT)
    except ValueError as error:
        raise wrong(directive, f'{error} in upstream "{name}"') from None
    if service is not None and found.port:
        raise wrong(directive, f'service upstream "{name}" may not have port')
    if service is not None and literal:
        raise wrong(directive, f'service upstream "{name}" requires domain name')
    if late:
        _resolvable(directive, shared, frame)
    else:
        said.pop("resolve", None)
    return [_table(address, name, said, directive) for address in where]


def _table(address: str, name: str, said: dict[str, Any], directive: Directive) -> Written:
    table = Written(directive)
    table.put("address", address, directive)
    table["name"] = name
    for key, value in said.items():
        table.put(key, value, directive)
    return table


def _resolvable(directive: Directive, shared: bool, frame: Frame) -> None:
    upstream = frame.directive.args[0] if frame.directive is not None else ""
    if not shared:
        text = f'resolving names at run time requires upstream "{upstream}" to be in shared memory'
        raise wrong(directive, text)
    if frame.last("resolver") is None:
        raise wrong(directive, f'no resolver defined to resolve names at run time in upstream "{upstream}"')


def _word(word: str, directive: Directive, said: dict[str, Any], backups: bool) -> None:
    key, equals, value = word.partition("=")
    invalid = wrong(directive, f'invalid parameter "{word}"')
    try:
        if key in _NUMBERS and equals:
            said[key] = values.number(value, 1 if key == "weight" else 0)
        elif key in ("fail_timeout", "slow_start") and equals:
            said[key] = values.seconds(value)
        elif word in _FLAGS:
            if word == "backup" and not backups:
                raise wrong(directive, f'balancing method does not support parameter "{word}"')
            said[word] = True
        elif key == "route" and equals:
            said["route"] = _route(value, directive)
        elif key == "service" and equals:
            if not value:
                raise wrong(directive, "service is empty")
            said["service"] = value
        else:
            raise invalid
    except ValueError:
        raise invalid from None


def _route(value: str, directive: Directive) -> str:
    if not value:
        raise wrong(directive, "route is empty")
    if len(value.encode()) > ROUTE:
        raise wrong(directive, f"route is longer than {ROUTE}")
    return value
