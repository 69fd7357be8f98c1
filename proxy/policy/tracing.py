"""The trace that a request belongs to: taken over from its client, or begun here; whether it is recorded.

Rules: W3C Trace Context, Level 1 (`http.traceparent`): the trace keeps its id, and whoever is asked next hears of our
span as its parent. Whoever begins a trace decides whether it is recorded, by its id, so that all who go by the same
share of traces decide alike (OpenTelemetry's TraceIdRatioBased and ParentBased). Pure: chance is given.
"""

from __future__ import annotations

from typing import Final, Protocol, cast

from proxy.exchange import Exchange
from proxy.http.traceparent import PARENT, STATE, Parent, lines_of, parent_of
from proxy.policy.forwarded import Trusted
from proxy.policy.intervals import address
from proxy.policy.script import course_of
from proxy.verdict import Verdict

_ALL: Final = 1 << 64
_LOW: Final = _ALL - 1


class Bits(Protocol):
    """Where ids come from."""

    def getrandbits(self, k: int, /) -> int:
        """A number of so many bits by chance."""


class Trace:
    """The trace of an exchange: `trace` is its id and `span` ours in it, `parent` who asked us (None: it begins here).

    `came` says that the client has sent fields of a trace, valid or not, which are not to go on. When spans are
    `followed`, each attempt is a span of its own, and `attempts` are those, each with the time when it began.
    """

    __slots__ = ("_bits", "attempts", "came", "followed", "parent", "sampled", "span", "trace")

    def __init__(
        self, trace: bytes, parent: Parent | None, sampled: bool, came: bool, followed: bool, bits: Bits
    ) -> None:
        self.trace = trace
        self.parent = parent
        self.span = span_id(bits)
        self.sampled = sampled
        self.came = came
        self.followed = followed and sampled
        self.attempts: list[tuple[float, bytes]] = []
        self._bits = bits

    def lines(self, exchange: Exchange) -> bytes:
        """The field lines for the attempt that begins now."""
        span = self.span
        course = exchange.course
        if self.followed and (course is None or not course.inner):
            span = span_id(self._bits)
            self.attempts.append((exchange.attempted, span))
        return lines_of(self.trace, span, self.sampled, b"" if self.parent is None else self.parent.state)


class Tracing:
    """A step: know the trace of an exchange. `share` says how many of the traces that begin here are recorded;
    `trusted` are the peers whose traces go on here (None: everybody's do); `followed`, that somebody looks at spans."""

    __slots__ = ("_below", "_bits", "_followed", "_trusted")

    def __init__(self, share: float, trusted: Trusted | None, followed: bool, bits: Bits) -> None:
        self._below = round(share * _ALL)
        self._trusted = trusted
        self._followed = followed
        self._bits = bits

    def __call__(self, exchange: Exchange) -> Verdict:
        """Once per exchange, whatever routes it takes."""
        course = course_of(exchange)
        if course.trace is None:
            fields = exchange.fields
            came = fields.get(PARENT) is not None or fields.get(STATE) is not None
            parent = parent_of(fields.fields) if came and self._believes(exchange) else None
            number = self._bits.getrandbits(128) or 1
            trace = b"%032x" % number if parent is None else parent.trace
            sampled = (number & _LOW) < self._below if parent is None else parent.sampled
            course.trace = Trace(trace, parent, sampled, came, self._followed, self._bits)
        return None

    def _believes(self, exchange: Exchange) -> bool:
        trusted = self._trusted
        return trusted is None or trusted.holds(address(exchange.downstream.connection.address)[0])


def span_id(bits: Bits) -> bytes:
    """A new id of a span: 16 hexadecimal digits, not all of them 0."""
    return b"%016x" % (bits.getrandbits(64) or 1)


def trace_of(exchange: Exchange) -> Trace | None:
    """The trace of an exchange; None where nobody wants to know."""
    course = exchange.course
    return None if course is None else cast("Trace | None", course.trace)
