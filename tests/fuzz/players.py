"""Clients and backends of a machine of states, each with its own idea of what is true.

Rules: a client writes down what it asks; each request carries a nonce in its target, and each answer that is not the
door's own carries it back in a field and in its body. A backend reads strictly, and asks h11 as well, what comes on
each of its wires. What either of them hears that cannot be is an AssertionError at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h11
import strict

ERRORS = (400, 408, 413, 414, 417, 421, 431, 500, 501, 502, 503, 504, 505)
REPEATABLE = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")


def text(nonce: int, size: int) -> bytes:
    """A body that tells whose it is."""
    word = b"<%d>" % nonce
    return (word * (size // len(word) + 1))[:size]


@dataclass
class Asked:
    """A request: what a client has sent, or means to, and what became of it."""

    nonce: int
    method: bytes
    raw: bytes
    body: bytes
    bad: bool = False  # no reader may take it for a whole request
    last: bool = False  # nothing behind it is to be answered
    seen: int = 0  # wires on which its head has come
    answers: list[tuple[int, bytes]] = field(default_factory=list)  # (status, body) that were said to the end


class Talker:
    """A client: its wire, what it has asked, how much of it has been sent, and what has been heard."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.asked: list[Asked] = []
        self.unsent = b""
        self.heard = b""
        self.answered = 0
        self.over = False  # the last answer says so, or the connection has ended
        self.ended = False  # we have sent our end

    def ask(self, asked: Asked) -> None:
        """Mean to send this."""
        self.asked.append(asked)
        self.unsent += asked.raw

    def send(self, size: int) -> None:
        """Send so much of what is meant to be sent."""
        part, self.unsent = self.unsent[:size], self.unsent[size:]
        if part and self.talks:
            self.wire.says(part)

    @property
    def talks(self) -> bool:
        """Whether it can still say something."""
        return not (self.ended or self.wire.lost or self.wire.closing)

    def listen(self) -> None:
        """Read what has come, and hold it against what was asked."""
        self.heard += self.wire.heard()
        while self.heard:
            assert not self.over, f"bytes behind the last answer: {self.heard[:80]!r}"
            assert self.answered < len(self.asked), f"an answer to nothing: {self.heard[:80]!r}"
            asked = self.asked[self.answered]
            read = strict.response(self.heard, asked.method)
            if read is None or (not read.whole and not self.finished):
                break
            if read.status == 408 and asked.method == b"HEAD":  # of a head that is not whole nobody knows the method
                read = strict.response(self.heard)
                assert read is not None
            self.heard = self.heard[read.size :]
            if read.status >= 200:
                self.answered += 1
                self.judge(asked, read)

    @property
    def finished(self) -> bool:
        """Whether the door has ended the connection, and well."""
        ended = self.wire.lost or (self.wire.eof_sent and not self.wire.buffer)
        return ended and not (self.wire.aborted or self.ended)

    def judge(self, asked: Asked, read: strict.Response) -> None:
        """Whether this is an answer to that."""
        self.over = (
            b"close" in read.options()
            or not read.whole
            or (asked.raw.find(b" HTTP/1.0") > 0 and b"keep-alive" not in read.options())
        )
        if read.all("server") == [b"frontgate"]:
            assert read.status in ERRORS, read
            assert not asked.bad or self.over, "a bad request, and the connection goes on"
            return
        self.over = self.over or asked.bad  # a backend may answer before it sees what is bad
        assert read.all("x-nonce") == [b"%d" % asked.nonce], f"the answer of another: {read!r:.300} to {asked!r:.200}"
        body = b"" if asked.method == b"HEAD" else read.body
        assert (read.status, body) in asked.answers, f"{read.status} {len(body)} bytes of {asked.answers}"


class Phone:
    """A backend's end of one wire: a strict reader, and what is being said on it."""

    def __init__(self, wire: Any, requests: dict[int, Asked]) -> None:
        self.wire = wire
        self.requests = requests
        self.heard = b""
        self.current: Asked | None = None
        self.whole = False  # the current request has come to its end
        self.saying = b""
        self.closes = False  # the end of the connection is part of what is being said
        self.answer: tuple[int, bytes] | None = None
        self.answered = False  # before the request was whole

    @property
    def talks(self) -> bool:
        """Whether it can still say something."""
        return not (self.wire.lost or self.wire.closing)

    def listen(self) -> None:
        """Read what has come."""
        self.heard += self.wire.heard()
        while self.heard and not self.whole:
            if not self.read():
                break
        assert not (self.whole and self.heard), f"more than was asked: {self.heard[:80]!r}"

    def read(self) -> bool:
        """Take a head, or a request that is whole by now; False when there is nothing to take yet."""
        if self.current is None:
            end = self.heard.find(b"\r\n\r\n")
            assert end > 0, f"a head in pieces: {self.heard!r}"
            self.begin(self.heard[: self.heard.index(b" HTTP/1.1\r\n")])
        read = strict.request(self.heard)
        if read is not None:
            self.heard = self.heard[read.size :]
            self.complete(read)
        return read is not None

    def begin(self, line: bytes) -> None:
        """A head has come."""
        asked = self.requests[int(line.rpartition(b"/")[2])]
        asked.seen += 1
        assert asked.method in REPEATABLE or asked.seen == 1, f"sent twice: {asked}"
        assert line.startswith(asked.method + b" ")
        self.current = asked

    def complete(self, read: strict.Request) -> None:
        """A request is whole: h11 takes it too, and it is what the client has sent."""
        asked = self.current
        assert asked is not None
        assert not asked.bad, f"a bad request became a good one: {read}"
        assert read.body == asked.body, f"{len(read.body)} bytes for {len(asked.body)}"
        assert by_h11(read.raw) == (read.method, read.target, read.body)
        self.whole = not self.answered
        if self.answered:
            self.current, self.answered = None, False

    def say(self, size: int) -> None:
        """Say so much more of the answer; with all of it said, the request is done."""
        part, self.saying = self.saying[:size], self.saying[size:]
        done = not self.saying
        asked, answer, closes = self.current, self.answer, self.closes
        if done and asked is not None and answer is not None:
            asked.answers.append(answer)
            self.answer = None
            self.answered = not self.whole
            if self.whole:
                self.current, self.whole = None, False
        if part:
            self.wire.says(part)
        if done and closes and self.talks:
            self.wire.hangs_up()

    def cut(self) -> None:
        """What has been said of a body that ends with the connection is all of it, if that ends well now."""
        if self.current is not None and self.answer is not None and len(self.saying) <= len(self.answer[1]):
            status, body = self.answer
            self.current.answers.append((status, body[: len(body) - len(self.saying)]))


def by_h11(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """(method, target, body) of exactly one request, as h11 reads it."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(raw)
    head = reader.next_event()
    assert isinstance(head, h11.Request), head
    body = b""
    while not isinstance(event := reader.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), event
        body += bytes(event.data)
    assert not reader.trailing_data[0]
    return bytes(head.method), bytes(head.target), body
