"""The slice of `resolver` and `resolver_timeout`: the name servers of a block, for upstreams and variables alike.

Rules: a block's own resolver hides those around it; the name servers' own names are looked up at once.
"""

from __future__ import annotations

from typing import Final

from proxy.config.nginx import addresses, values
from proxy.config.nginx.frame import Frame, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_PLACES: Final = "http server location upstream"
PORT: Final = 53
PATIENCE: Final = 30.0  # seconds, nginx's default

SPECS: Final[dict[str, Spec]] = {
    "resolver": spec(_PLACES, 1, None),
    "resolver_timeout": spec(_PLACES, 1),
}


def resolver(frame: Frame) -> Written | None:
    """The table of the nearest resolver; None when there is none. ConfigError when it is wrong."""
    directive = frame.last("resolver")
    if directive is None:
        return None
    table = Written(directive)
    for word in directive.args:
        _word(word, directive, table)
    if "servers" not in table:
        raise wrong(directive, "no name servers defined")
    if table.get("ipv4") is False and table.get("ipv6") is False:
        raise wrong(directive, '"ipv4" and "ipv6" cannot both be "off"')
    table["timeout"] = frame.time("resolver_timeout", PATIENCE)
    return table


def _word(word: str, directive: Directive, table: Written) -> None:
    key, equals, value = word.partition("=")
    if equals and key in ("valid", "ipv4", "ipv6"):
        try:
            table[key] = values.seconds(value) if key == "valid" else values.flag(value)
        except ValueError:
            raise wrong(directive, f'invalid parameter: "{word}"') from None
    elif equals and key == "status_zone":
        return
    else:
        try:
            found = addresses.addresses(addresses.url(word), PORT)
        except ValueError as error:
            raise wrong(directive, f'{error} in resolver "{word}"') from None
        table.setdefault("servers", []).extend(found)
