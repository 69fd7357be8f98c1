"""What is remembered of attempts that have ended, for `$upstream_addr` and its kin.

Rules: only an attempt that was not the last one is written down, so that an exchange whose first attempt succeeds costs
nothing. Times are counted from the beginning of an attempt, as nginx counts them; -1.0 stands for what did not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.script import course_of

if TYPE_CHECKING:
    from proxy.exchange import Exchange


class Attempt:
    """Who was asked, what came of it (a status, 0 for no answer), seconds to connect, to the head, to the end, and
    bytes: of the request, of the answer, and of that the body. `began` is when, by the clock, and `answered` the status
    that the backend itself has said, if it has; `backend` is None where there was nobody to ask."""

    __slots__ = (
        "answered", "backend", "began", "connect", "header", "label", "length", "received", "response", "sent", "status"
    )  # fmt: skip

    def __init__(self, label: bytes, status: int) -> None:
        self.label = label
        self.status = status
        self.began = 0.0
        self.answered = 0
        self.backend: object = None
        self.connect = self.header = self.response = -1.0
        self.sent = self.received = self.length = 0


def attempt(exchange: Exchange, status: int) -> Attempt:
    """The latest attempt of an exchange, as far as it has come."""
    made = Attempt(exchange.tried[-1].label, status)
    made.backend = exchange.tried[-1]
    made.answered = answered(exchange)
    made.began = began = exchange.attempted
    over = exchange.ended or exchange.finished
    if over >= began:
        made.response = over - began
    if exchange.connected >= began > 0.0:
        made.connect = exchange.connected - began
        made.sent = _sent(exchange)
    if exchange.answered >= began > 0.0:
        made.header = exchange.answered - began
        made.length = exchange.body_out
        made.received = exchange.body_out + (len(exchange.source.known_as) if exchange.source is not None else 0)
    return made


def _sent(exchange: Exchange) -> int:
    """Bytes of the request; 0 while it is being composed, of values that may ask for this."""
    if exchange.route.composer is None:
        head = len(exchange.line.head) + len(exchange.fields.forward) + len(exchange.client.identity)
        return head + len(exchange.request_id) + 4 + exchange.body_in
    outgoing = exchange.outgoing
    if outgoing is None:
        return 0
    return len(outgoing.head) + (exchange.body_in if outgoing.body is None else len(outgoing.body))


def close(exchange: Exchange, status: int, answered: bool = False) -> None:
    """Another attempt follows this one, which ended with a status; `answered`: of an answer that was not taken."""
    made = attempt(exchange, status)
    if answered:
        made.answered = status
    made.response = exchange.clock.now - exchange.attempted
    course_of(exchange).attempts += (made,)
    exchange.outgoing = None


def nobody(exchange: Exchange, label: bytes, status: int) -> None:
    """There was nobody to ask; what would have chosen is listed instead."""
    made = Attempt(label, status)
    made.response = 0.0
    course_of(exchange).attempts += (made,)


def turn(exchange: Exchange) -> None:
    """Another route follows: its attempts are told apart from those of before."""
    course = course_of(exchange)
    if not closed(exchange):
        course.attempts += (attempt(exchange, answered(exchange)),)
    course.attempts += (None,)
    exchange.outgoing = None


def closed(exchange: Exchange) -> bool:
    """Whether the latest attempt of the route is written down already, or there is none."""
    written = 0
    for one in reversed(exchange.course.attempts if exchange.course is not None else ()):
        if one is None:
            break
        written += 1
    return len(exchange.tried) <= written


def answered(exchange: Exchange) -> int:
    """The status that the latest attempt was answered with; 0 for none yet."""
    if not exchange.answered or exchange.answered < exchange.attempted:
        return 0
    return exchange.source.status if exchange.source is not None else exchange.status


def all_of(exchange: Exchange) -> tuple[Attempt | None, ...]:
    """All attempts in their order, None between those of one route and of the next."""
    course = exchange.course
    before: tuple[Attempt | None, ...] = course.attempts if course is not None else ()  # type: ignore[assignment]
    if not closed(exchange):
        return (*before, attempt(exchange, answered(exchange)))
    while before and before[-1] is None:
        before = before[:-1]
    return before
