"""The ways in which the end of a body is known (RFC 9112 section 6.3, RFC 9113 section 8.1), with one interface.

Rules: `feed` takes bytes as they come and gives back the body's; after it `done` says whether the body has ended,
`rest` what came behind it, `trailers` its rendered trailer lines, and `failed` that its framing is broken for good.
"""

from __future__ import annotations

from proxy.http.chunked import ChunkedDecoder


class CountedBody:
    """A body of Content-Length bytes, at least one."""

    __slots__ = ("done", "failed", "left", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = False
        self.failed = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`."""
        left = self.left
        if len(data) < left:
            self.left = left - len(data)
            return data
        self.left = 0
        self.done = True
        if len(data) == left:
            return data
        self.rest = data[left:]
        return data[:left]


class UntilClose:
    """A response body that ends with its connection."""

    __slots__ = ("done", "failed", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.failed = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`: all."""
        return data


class StreamBody:
    """A body of HTTP/2, whose end its frames tell: `ending` is set before the last of it is fed. If a `length` was
    announced, the sum has to agree (RFC 9113 section 8.1.1); so the last byte is kept until it does, and nobody takes a
    body for whole that is not."""

    __slots__ = ("_come", "_kept", "_length", "done", "ending", "failed", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self._length = length
        self._come = 0
        self._kept = b""
        self.ending = False
        self.done = False
        self.failed = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`: all, but one that is kept."""
        self._come += len(data)
        if self._length >= 0 and (self._come > self._length or (self.ending and self._come < self._length)):
            self.failed = True
            return b""
        if self._kept:
            data, self._kept = self._kept + data, b""
        if self.ending:
            self.done = True
        elif self._come == self._length:
            data, self._kept = data[:-1], data[-1:]
        return data


Body = CountedBody | ChunkedDecoder | UntilClose | StreamBody


def body_of(length: int, chunked: bool) -> Body:
    """The body of a message with this Content-Length (-1: none)."""
    if chunked:
        return ChunkedDecoder()
    return CountedBody(length) if length >= 0 else UntilClose()
