"""Variables that speak of the attempts to have the request answered: who was asked, what came, how long it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.exchange import Exchange
from proxy.policy.attempts import Attempt, all_of
from proxy.policy.template import Getter


def _listed(form: Callable[[Attempt], bytes]) -> Getter:
    """Something of every attempt: by commas those of one route, by colons those of the next."""

    def value(exchange: Exchange) -> bytes | None:
        texts: list[bytes] = []
        between = b""
        for one in all_of(exchange):
            if one is None:
                between = b" : "
                continue
            texts += [between, form(one)]
            between = b", "
        return b"".join(texts) or None

    return value


def _seconds(value: float) -> bytes:
    return b"%.3f" % value if value >= 0.0 else b"-"


addresses: Final = _listed(lambda one: one.label)


def field(name: str) -> Getter:
    """`$upstream_http_name`: a field of the backend's answer."""
    wanted = name.replace("_", "-").encode()

    def value(exchange: Exchange) -> bytes | None:
        head = exchange.source
        if head is None:
            return None
        found = [value for known, value in head.fields if known == wanted]
        return b", ".join(found) if found else None

    return value


def _cookie(name: str) -> Getter:
    """`$upstream_cookie_name`: what the backend sets, as ngx_http_parse_set_cookie_lines reads it."""
    wanted = name.encode()

    def value(exchange: Exchange) -> bytes | None:
        head = exchange.source
        for known, content in head.fields if head is not None else ():
            if known == b"set-cookie" and content[: len(wanted)].lower() == wanted:
                rest = content[len(wanted) :].lstrip(b" ")
                if rest.startswith(b"="):
                    return rest[1:].lstrip(b" ").partition(b";")[0]
        return None

    return value


KNOWN: Final[dict[str, Getter]] = {
    "upstream_addr": addresses,
    "upstream_bytes_received": _listed(lambda one: b"%d" % one.received),
    "upstream_bytes_sent": _listed(lambda one: b"%d" % one.sent),
    "upstream_cache_status": lambda exchange: None,  # there is no cache
    "upstream_connect_time": _listed(lambda one: _seconds(one.connect)),
    "upstream_header_time": _listed(lambda one: _seconds(one.header)),
    "upstream_queue_time": lambda exchange: b"%.3f" % exchange.queued if exchange.queued else None,
    "upstream_response_length": _listed(lambda one: b"%d" % one.length),
    "upstream_response_time": _listed(lambda one: _seconds(one.response)),
    "upstream_status": _listed(lambda one: b"%d" % one.status if one.status else b"-"),
}

PREFIXES: Final[dict[str, Callable[[str], Getter]]] = {"upstream_http_": field, "upstream_cookie_": _cookie}
