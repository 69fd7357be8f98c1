"""What of an [upstream] table makes no difference in a simulation, and why; everything else is simulated or refused.

Rule: a test walks all keys of the table: each of them is here, or is shown to make the laboratory's doors what it makes
the Runtime's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

NAMES: Final = "the addresses of a name do not come and go here: it stands for one backend"
CHECKS: Final = "a check here finds whether a backend is up and answers, whatever it asks for"
COOKIES: Final = "simulated clients keep what binds them, wherever it is"
WIRES: Final = "nothing of it makes a difference without real connections"

UNSIMULATED: Final[dict[str, str]] = {
    "hash": "what is hashed is the simulated client (keys, popularity), whatever the text says",
    "resolver": NAMES,
    "resolve": NAMES,
    "servers.resolve": NAMES,
    "servers.service": NAMES,
    "health.path": CHECKS,
    "health.host": CHECKS,
    "health.status": CHECKS,
    "health.body": CHECKS,
    "sticky.cookie": COOKIES,
    "sticky.route": COOKIES,
    "sticky.domain": COOKIES,
    "sticky.path": COOKIES,
    "sticky.httponly": COOKIES,
    "sticky.secure": COOKIES,
    "sticky.samesite": COOKIES,
    "sticky.learn.create": COOKIES,
    "sticky.learn.lookup": COOKIES,
    "sticky.learn.memory": "all sessions are remembered",
    "sticky.learn.at": "an answer's head and end come together here",
    "fallback.body": "answers have no bodies here",
    "fallback.page": "answers have no bodies here",
    "fallback.content_type": "answers have no bodies here",
    "retry.idempotency_key": "simulated requests carry no Idempotency-Key",
    "tls": "with `network` a new connection takes one more round trip for it; its work is not simulated",
    "proxy_protocol": "connections are kept for whoever comes next, not for one client's connection",
    "metrics": WIRES,
    "bind": WIRES,
    "bind_transparent": WIRES,
    "tcp_keepalive": WIRES,
    "keepalive_requests": "connections are kept for keepalive_timeout, however often they are used",
    "keepalive_time": "connections are kept for keepalive_timeout, however old they are",
    "keepalive_all": "connections are kept for keepalive_timeout, however many there are to all servers",
}
"""Keys, in tables with a dot before them, and a sentence each."""

QUIET: Final = frozenset(key for key, why in UNSIMULATED.items() if why in (CHECKS, COOKIES))
"""What need not be said, for its table is simulated all the same."""


def unsimulated(said: Mapping[str, Any]) -> list[str]:
    """A sentence for each key of an [upstream] table that says something which is not simulated."""
    found = set(_keys(said, "")) - QUIET
    return [f"upstream.{key}: {UNSIMULATED[key]}" for key in UNSIMULATED if key in found]


def _keys(said: Mapping[str, Any], place: str) -> Iterator[str]:
    for key, value in said.items():
        yield place + key
        for table in value if isinstance(value, list | tuple) else (value,):
            if isinstance(table, Mapping):
                yield from _keys(table, f"{place}{key}.")
