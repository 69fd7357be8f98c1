"""Where a backend leads an exchange instead of answering it: X-Accel-Redirect (nginx's name, known to frameworks).

Rules: those of ngx_http_upstream_process_headers. The client gets the answer of another route of the same site, which
may be an internal one, with those fields of the backend's answer that say what it is. Only backends are obeyed, and
only on routes that say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from proxy.exchange import Exchange, Route
from proxy.http.escape import unescaped
from proxy.http.message import ResponseHead
from proxy.policy.rates import rate
from proxy.policy.script import course_of, sent_to
from proxy.verdict import Reply

KEPT: Final = {
    b"content-type": b"Content-Type",
    b"set-cookie": b"Set-Cookie",
    b"content-disposition": b"Content-Disposition",
    b"cache-control": b"Cache-Control",
    b"expires": b"Expires",
    b"accept-ranges": b"Accept-Ranges",
}
FIELD: Final = b"x-accel-redirect"


class Accel:
    """Follows a backend's word. `find` gives the route of the exchange's URI, `named` those with names."""

    __slots__ = ("_find", "_named")

    def __init__(self, find: Callable[[Exchange], Route], named: Mapping[str, Route]) -> None:
        self._find = find
        self._named = named

    def __call__(self, exchange: Exchange, head: ResponseHead) -> Route | Reply | None:
        """The route that answers; None when the backend has said nothing of the kind."""
        place = head.get(FIELD)
        if place is None:
            return None
        course = course_of(exchange)
        course.left -= 1
        if course.left < 0:
            return Reply(500)  # a backend that leads back to itself
        course.kept = tuple([(KEPT[name], value) for name, value in head.fields if name in KEPT])
        asked = head.get(b"x-accel-limit-rate")
        if rate(asked) is not None:
            course.values["limit_rate"] = asked  # counts for more than what the other route says
        if place.startswith(b"@"):
            course.internal = True
            return self._named.get(place[1:].decode("latin-1")) or Reply(500)
        path, _, args = place.partition(b"?")
        path = unescaped(path)  # once: what is encoded behind that is the name of a file
        if not safe(path):
            return Reply(404)
        sent_to(course, path, args)
        if exchange.line.method != b"HEAD":
            course.method = b"GET"
        return self._find(exchange)


def safe(path: bytes) -> bool:
    """Whether a decoded path is one of the site that leads nowhere upwards, as ngx_http_parse_unsafe_uri sees it."""
    return path.startswith(b"/") and b".." not in path.split(b"/") and b"\0" not in path
