"""What a step may answer: None (go on), a Reply (this is the answer), PARKED (wait, somebody will resume), or AGAIN.

AGAIN says that the exchange has another route now: begin with its steps.
"""

from __future__ import annotations

from typing import Final


class Reply:
    """An answer of our own, whole and small: a status, extra field lines, a body.

    `fields` are rendered field lines (`b"retry-after: 3\\r\\n"`), `close` ends the client's connection after it.
    """

    __slots__ = ("body", "close", "content_type", "fields", "status")

    def __init__(
        self,
        status: int,
        body: bytes | None = None,
        fields: bytes = b"",
        *,
        content_type: bytes = b"text/plain; charset=utf-8",
        close: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.fields = fields
        self.content_type = content_type
        self.close = close


class Parked:
    """The type of PARKED, of which there is one."""

    __slots__ = ()


class Again:
    """The type of AGAIN, of which there is one."""

    __slots__ = ()


PARKED: Final = Parked()
AGAIN: Final = Again()
Verdict = Reply | Parked | Again | None
