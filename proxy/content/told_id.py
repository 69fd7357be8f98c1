"""Tells clients the id of their request, in a field of every answer, so that they can say which one they mean."""

from __future__ import annotations

from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer


class ToldId:
    """A filter. What a backend says in that field is not passed on: it may be the id of another request."""

    __slots__ = ("_lower", "_name")

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._lower = name.lower()

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Write the field."""
        answer.remove(self._lower)
        answer.add(self._name, exchange.request_id)
        return below
