"""A filter that adds fields behind the body (nginx's `add_trailer`).

Rules: to clients of HTTP/1.1 and later only, whose answers then have no length, since trailers need chunks. The values
are found when the body is whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.content.fields import GOOD
from proxy.content.filter import Passing
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.headers import unbroken
from proxy.http.message import ResponseHead
from proxy.policy.script import course_of
from proxy.policy.template import Template

Field = tuple[bytes, Template]


def unchunked(exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
    """A filter: what has no length ends with its connection."""
    answer.chunks = False
    return below


class AddedTrailers:
    """(name, value, whether errors get it too)."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Sequence[tuple[bytes, Template, bool]]) -> None:
        self._fields = tuple(fields)

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Have them added."""
        good = answer.status in GOOD
        fields = [(name, value) for name, value, always in self._fields if good or always]
        bodyless = answer.status in (204, 304) or exchange.line.method == b"HEAD"
        if not fields or bodyless or not exchange.line.minor:
            return below
        answer.length = -1
        return Trailing(below, exchange, fields)


class Trailing(Passing):
    """Sends the fields with the end of the body."""

    __slots__ = ("_exchange", "_fields")

    def __init__(self, below: Downstream, exchange: Exchange, fields: Sequence[Field]) -> None:
        super().__init__(below)
        self._exchange = exchange
        self._fields = fields

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head; a body that is whole ends behind it."""
        self.below.head(exchange, head, body, False)
        if end:
            self.body(b"", True)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of the body."""
        self.below.body(data, end, trailers + self._lines() if end else trailers)

    def _lines(self) -> bytes:
        values = course_of(self._exchange).values  # where $sent_trailer_name finds them
        lines: list[bytes] = []
        for name, template in self._fields:
            value = unbroken(template(self._exchange))
            if value:
                lines.append(b"%b: %b\r\n" % (name, value))
                variable = "sent_trailer_" + name.decode("latin-1").lower().replace("-", "_")
                before = values.get(variable)
                values[variable] = value if before is None else b"%b, %b" % (before, value)
        return b"".join(lines)
