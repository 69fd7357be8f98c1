"""A filter that adds fields to answers (nginx's `add_header`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.headers import unbroken
from proxy.policy.template import Template

GOOD: Final = frozenset((200, 201, 204, 206, 301, 302, 303, 304, 307, 308))
ONLY: Final = (b"last-modified", b"etag")  # which there is one of: it is replaced, or taken away by an empty value


class AddedFields:
    """(name, value, whether errors get it too); a value that is empty is no field."""

    __slots__ = ("_asks", "_fields")

    def __init__(self, fields: Sequence[tuple[bytes, Template, bool]]) -> None:
        self._fields = tuple(fields)
        self._asks = any("$sent_http" in value.text.replace("{", "") for _, value, _ in fields)

    @property
    def steady(self) -> bool:
        """It adds the same to every answer."""
        return all(value.constant is not None for _, value, _ in self._fields)

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Add them."""
        good = answer.status in GOOD
        for name, value, always in self._fields:
            if not good and not always:
                continue
            if self._asks:  # what has been added so far
                exchange.answer = answer.sealed()
            text = unbroken(value(exchange))
            if name.lower() in ONLY:
                answer.remove(name.lower())
            if text:
                answer.add(name, text)
        return below
