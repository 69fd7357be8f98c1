"""Variables that speak of who comes in: the user, what limits have decided, where the request says it comes from.

Rules: what a route says about referers and links belongs to that route, so these getters ask the route that an exchange
is on (`ByRoute`); a configuration that uses none has the empty ones of KNOWN.
"""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange, Route
from proxy.policy.passwords import credentials
from proxy.policy.template import Getter, stored


class ByRoute:
    """A getter that asks the getter of the exchange's route."""

    __slots__ = ("_getters",)

    def __init__(self) -> None:
        self._getters: dict[Route, Getter] = {}

    def put(self, route: Route, getter: Getter) -> None:
        """What a route's getter is."""
        self._getters[route] = getter

    def like(self, route: Route, other: Route) -> None:
        """A route is a copy of another."""
        getter = self._getters.get(other)
        if getter is not None:
            self._getters[route] = getter

    def __call__(self, exchange: Exchange) -> bytes | None:
        """The value on the route as it is now."""
        getter = self._getters.get(exchange.route)
        return None if getter is None else getter(exchange)


def user(exchange: Exchange) -> bytes | None:
    """The name of Basic credentials (RFC 7617), right or wrong."""
    value = exchange.fields.get(b"authorization")
    given = credentials(value) if value is not None else None
    return given[0] or None if given is not None else None


def rate_status(exchange: Exchange) -> bytes | None:
    """What limits of rates have decided."""
    course = exchange.course
    if course is not None and "limit_conn_status" in course.values and "limit_req_status" in course.values:
        return course.values["limit_req_status"]
    return exchange.limit_status.upper().encode() or None


def flight_status(exchange: Exchange) -> bytes | None:
    """What limits of requests in flight have decided."""
    course = exchange.course
    if course is not None and "limit_conn_status" in course.values:
        return course.values["limit_conn_status"]
    return b"PASSED" if exchange.holds else None


KNOWN: Final[dict[str, Getter]] = {
    "invalid_referer": lambda exchange: None,
    "limit_conn_status": flight_status,
    "limit_req_status": rate_status,
    "remote_user": user,
    "secure_link": lambda exchange: None,
    "secure_link_expires": stored("secure_link_expires"),
}
