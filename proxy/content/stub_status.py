"""The destination that tells a few counts in the words of nginx's stub_status module."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from proxy import engine
from proxy.exchange import Exchange
from proxy.verdict import Reply


class Numbers(NamedTuple):
    """Connections that are open, and have been accepted; requests so far; what the open connections do."""

    active: int
    accepted: int
    requests: int
    reading: int
    writing: int
    waiting: int


class StubStatus:
    """Answers with the numbers of this moment."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Callable[[], Numbers]) -> None:
        self._numbers = numbers

    def send(self, exchange: Exchange) -> None:
        """Answer."""
        if exchange.line.method not in (b"GET", b"HEAD"):
            engine.reply(exchange, Reply(405, fields=b"Allow: GET, HEAD\r\n"))
            return
        now = self._numbers()
        text = b"Active connections: %d \nserver accepts handled requests\n %d %d %d \n" % (
            *(now.active, now.accepted, now.accepted, now.requests),
        )
        text += b"Reading: %d Writing: %d Waiting: %d \n" % (now.reading, now.writing, now.waiting)
        engine.reply(exchange, Reply(200, text, content_type=b"text/plain"))
