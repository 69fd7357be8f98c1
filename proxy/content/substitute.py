"""A filter that replaces texts in answers (nginx's sub module).

Rules: texts are found in any case of letters, the longest first where several begin; what could be the beginning of one
is kept until it is known. The length is no longer known, nor are tag and date, unless they are said to stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from proxy.content.filter import Passing
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.media_types import TypeList
from proxy.http.message import ResponseHead
from proxy.policy.template import Template


class Substitute:
    """Replaces (text, by what); `once`: each text the first time only."""

    __slots__ = ("_dated", "_once", "_pairs", "_types")

    def __init__(
        self, pairs: Sequence[tuple[Template, Template]], types: TypeList, *, once: bool, dated: bool = False
    ) -> None:
        self._pairs = tuple(pairs)
        self._types = types
        self._once = once
        self._dated = dated

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Change the head, and have the body changed."""
        if answer.length == 0 or answer.get(b"content-type") not in self._types or answer.get(b"content-encoding"):
            return below
        texts = {find(exchange).lower(): by(exchange) for find, by in reversed(self._pairs)}
        texts.pop(b"", None)
        if not texts:
            return below
        answer.length, answer.ranges = -1, False
        answer.remove(b"accept-ranges")
        if not self._dated:
            answer.remove(b"last-modified", b"etag")
        elif (tag := answer.get(b"etag")) is not None and not tag.startswith(b"W/"):
            answer.set(b"ETag", b"W/" + tag)
        return below if exchange.line.method == b"HEAD" else Substituting(below, texts, self._once)


class Substituting(Passing):
    """Replaces texts in a body on its way."""

    __slots__ = ("_kept", "_longest", "_once", "_pattern", "_texts")

    def __init__(self, below: Downstream, texts: dict[bytes, bytes], once: bool) -> None:
        super().__init__(below)
        self._texts = texts
        self._once = once
        self._kept = b""
        self._prepare()

    def _prepare(self) -> None:
        texts = sorted(self._texts, key=len, reverse=True)
        self._longest = len(texts[0]) if texts else 0
        self._pattern = re.compile(b"|".join([re.escape(one) for one in texts]), re.IGNORECASE) if texts else None

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and the first of the body."""
        self.below.head(exchange, head, self._changed(body, end), end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of it."""
        data = self._changed(data, end)
        if data or end:
            self.below.body(data, end, trailers)

    def _changed(self, data: bytes, end: bool) -> bytes:
        data, self._kept = self._kept + data, b""
        made: list[bytes] = []
        at = 0
        while self._pattern is not None:
            match = self._pattern.search(data, at)
            if match is None or (not end and match.start() + self._longest > len(data)):
                break
            text = match[0].lower()
            made += (data[at : match.start()], self._texts[text])
            at = match.end()
            if self._once:
                del self._texts[text]
                self._prepare()
        rest = data[at:]
        if not end and self._pattern is not None:
            keep = self._begun(rest)
            if keep:
                rest, self._kept = rest[:-keep], rest[-keep:]
        made.append(rest)
        return b"".join(made)

    def _begun(self, data: bytes) -> int:
        """How many bytes at the end could be the beginning of a text, or one that a longer text may begin with."""
        tail = data[-(self._longest - 1) :].lower() if self._longest > 1 else b""
        for size in range(len(tail), 0, -1):
            part = tail[-size:]
            if any(one.startswith(part) or part.startswith(one) for one in self._texts):
                return size
        return 0
