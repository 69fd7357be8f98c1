"""A machine of states: clients, backends and time do what they like, and what must be true stays true.

What must be true: a backend hears only what strict readers and h11 take, and a request that may not be repeated once; a
client hears answers to its own requests, in order, whole or visibly broken, and nothing behind the last; idle links are
clean, every exchange finishes once, and what was taken is settled. At the end everybody is given all it needs, and then
nobody who is still connected may wait for an answer.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from players import Asked, Phone, Talker, text
from stage import APP, SOLO, Door

SCARCE = APP.replace(
    '"10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"',
    '{ address = "10.0.0.1:1", max_conns = 1 }, { address = "10.0.0.2:2", max_conns = 1 }',
)
CONFIGS = (
    APP,
    SOLO,
    APP.replace('"10.0.0.2:2"', '{ address = "10.0.0.2:2", weight = 3, max_fails = 0 }'),
    APP.replace("[upstream.app]", '[upstream.app]\nbalance = "least_conn"'),
    APP.replace('path = "/"', 'path = "/"\ntrailers = true'),
    SCARCE,
    SCARCE.replace("[upstream.app]", '[upstream.app]\nqueue = { size = 2, timeout = "1s" }'),
    APP.replace(
        "[upstream.app]", '[upstream.app]\nretry = { on = ["connect", "closed", "invalid", "timeout"], base = "500ms" }'
    ),
    APP.replace("[upstream.app]", '[upstream.app]\nbreaker = { failures = 2, recovery = "1s" }'),
    APP.replace("[upstream.app]", "[upstream.app]\nfallback = { status = 503 }"),
    SCARCE.replace('path = "/"', 'path = "/"\nrequest_buffering = false\nresponse_buffering = false'),
)
SIZES = st.one_of(st.integers(0, 40), st.sampled_from([0, 1, 4095, 65536, 100_000, 300_000]))
CUTS = st.one_of(st.integers(1, 60), st.integers(1, 2000), st.just(1 << 30))
PICK = st.integers(0, 1000)
ANSWERS = ("length", "length", "chunks", "close", "empty", "204", "304", "broken", "excess")
KINDS = ("get", "head", "length", "chunks", "put", "old", "close", "expect")
BAD = (
    b"POST /%d HTTP/1.1\r\nHost: door\r\nContent-Length: 3, 3\r\n\r\nabc",
    b"POST /%d HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    b"POST /%d HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    b"POST /%d HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n",
    b"POST /%d HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"GET /%d HTTP/1.1\r\nHost : door\r\n\r\n",
    b"GET /%d HTTP/1.1\r\nHost: door\r\nHost: door\r\n\r\n",
    b"GET /%d HTTP/1.1\r\nHost: door\r\nX: a\nb\r\n\r\n",
    b"GET  /%d HTTP/1.1\r\nHost: door\r\n\r\n",
    b"GET /%d HTTP/1.1\r\n\r\n",
)


def chunked(body: bytes, size: int) -> bytes:
    """The chunked coding of a body, with things in it that mean nothing."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%X;a=b\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nX-Sum: 1\r\n\r\n"


class Machine(RuleBasedStateMachine):
    """The stage, and everybody on it."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.door = Door(CONFIGS[0], self.patch)
        Door.opened.remove(self.door)
        self.requests: dict[int, Asked] = {}
        self.talkers: list[Talker] = []
        self.phones: dict[int, Phone] = {}

    # --- who is there -------------------------------------------------------------------------------------------

    def every_phone(self) -> list[Phone]:
        """All wires to backends, in order."""
        for backend in self.door.backends.values():
            for wire in backend.wires:
                self.phones.setdefault(id(wire), Phone(wire, self.requests))
        return list(self.phones.values())

    def talker(self, number: int) -> Talker | None:
        """One of the clients that can talk."""
        talking = [talker for talker in self.talkers if talker.talks]
        return talking[number % len(talking)] if talking else None

    def phone(self, number: int, *, busy: bool) -> Phone | None:
        """One of the wires that can talk, with or without a request."""
        fitting = [
            phone
            for phone in self.every_phone()
            if phone.talks and (phone.current is not None and not phone.answered) is busy
        ]
        return fitting[number % len(fitting)] if fitting else None

    # --- clients ------------------------------------------------------------------------------------------------

    @precondition(lambda self: sum(talker.talks for talker in self.talkers) < 4)
    @rule()
    def connect(self) -> None:
        self.talkers.append(Talker(self.door.client()))

    @precondition(lambda self: self.talkers)
    @rule(number=PICK, kind=st.sampled_from(KINDS), size=SIZES, piece=st.integers(1, 70_000), cut=CUTS)
    def ask(self, number: int, kind: str, size: int, piece: int, cut: int) -> None:
        talker = self.talker(number)
        if talker is not None and not (talker.asked and talker.asked[-1].last):
            talker.ask(self.request(kind, size, max(piece, size // 50)))
            talker.send(cut)

    def request(self, kind: str, size: int, piece: int) -> Asked:
        """One more request."""
        nonce = len(self.requests)
        method = {"get": b"GET", "head": b"HEAD", "put": b"PUT", "old": b"GET", "close": b"GET"}.get(kind, b"POST")
        body = b"" if method in (b"GET", b"HEAD") else text(nonce, size)
        lines = b"Host: door\r\nX-Nonce: %d\r\n" % nonce
        lines += {
            "close": b"Connection: close\r\n",
            "expect": b"Expect: 100-continue\r\n",
            "old": b"Connection: keep-alive\r\n",
        }.get(kind, b"")
        framed = chunked(body, piece) if kind == "chunks" else body
        if kind == "chunks":
            lines += b"Transfer-Encoding: chunked\r\n"
        elif method in (b"POST", b"PUT"):
            lines += b"Content-Length: %d\r\n" % len(body)
        raw = b"%b /%d HTTP/1.%d\r\n%b\r\n%b" % (method, nonce, kind != "old", lines, framed)
        self.requests[nonce] = asked = Asked(nonce, method, raw, body, last=kind == "close")
        return asked

    @precondition(lambda self: self.talkers)
    @rule(number=PICK, kind=st.sampled_from(BAD), cut=CUTS)
    def ask_badly(self, number: int, kind: bytes, cut: int) -> None:
        talker = self.talker(number)
        if talker is not None and not (talker.asked and talker.asked[-1].last):
            nonce = len(self.requests)
            raw = kind % nonce + b"GET /%d HTTP/1.1\r\nHost: door\r\n\r\n" % nonce
            self.requests[nonce] = asked = Asked(nonce, kind.partition(b" ")[0], raw, b"", bad=True, last=True)
            talker.ask(asked)
            talker.send(cut)

    @precondition(lambda self: self.talkers)
    @rule(number=PICK, cut=CUTS)
    def send(self, number: int, cut: int) -> None:
        talker = self.talker(number)
        if talker is not None:
            talker.send(cut)

    @precondition(lambda self: self.talkers)
    @rule(number=PICK, jammed=st.booleans())
    def jam_client(self, number: int, jammed: bool) -> None:
        talker = self.talker(number)
        if talker is not None:
            talker.wire.jammed = jammed
            if not jammed:
                talker.wire.flows()

    @precondition(lambda self: self.talkers)
    @rule(number=PICK, size=st.integers(1, 100_000))
    def client_takes(self, number: int, size: int) -> None:
        talker = self.talkers[number % len(self.talkers)]
        talker.wire.flows(size)

    @precondition(lambda self: len(self.talkers) > 1)
    @rule(number=PICK, reset=st.booleans())
    def client_leaves(self, number: int, reset: bool) -> None:
        talker = self.talker(number)
        if talker is not None:
            talker.ended = True
            if reset:
                talker.wire.resets()
            else:
                talker.wire.hangs_up()

    # --- backends -----------------------------------------------------------------------------------------------

    @rule(number=PICK, kind=st.sampled_from(ANSWERS), size=SIZES, interim=st.integers(0, 2), cut=CUTS)
    def answer(self, number: int, kind: str, size: int, interim: int, cut: int) -> None:
        phone = self.phone(number, busy=True)
        if phone is not None and not phone.saying and phone.answer is None:
            self.prepare(phone, kind, size, interim)
            phone.say(1 << 30 if kind == "excess" else cut)  # in parts, it could be an answer to the next request

    def prepare(self, phone: Phone, kind: str, size: int, interim: int = 0) -> None:
        """Decide on an answer."""
        asked = phone.current
        assert asked is not None
        status = {"204": 204, "304": 304}.get(kind, 200)
        body = b"" if status != 200 or kind == "empty" else text(asked.nonce, size)
        lines = b"HTTP/1.1 %d X\r\nX-Nonce: %d\r\n" % (status, asked.nonce)
        framed = body
        if kind == "chunks":
            lines += b"Transfer-Encoding: chunked\r\n"
            framed = chunked(body, max(1000, size // 9))
        elif kind in ("length", "empty", "broken", "excess"):
            lines += b"Content-Length: %d\r\n" % len(body)
        if kind == "broken":
            lines += b"Content-Length: %d\r\n" % (len(body) + 1)
        phone.closes = kind == "close"
        if asked.method == b"HEAD":
            framed = body = b""
            phone.closes = False
        phone.saying = (
            b"HTTP/1.1 103 Early Hints\r\nX-Nonce: %d\r\n\r\n" % asked.nonce * interim + lines + b"\r\n" + framed
        )
        phone.answer = None if kind == "broken" else (status, body)

    @rule(number=PICK, cut=CUTS)
    def say(self, number: int, cut: int) -> None:
        phone = self.phone(number, busy=True)
        if phone is not None and phone.saying:
            phone.say(cut)

    @rule(number=PICK, busy=st.booleans(), reset=st.booleans())
    def backend_leaves(self, number: int, busy: bool, reset: bool) -> None:
        phone = self.phone(number, busy=busy)
        if phone is not None:
            if phone.closes and not reset:
                phone.cut()
            phone.saying, phone.answer, phone.closes = b"", None, False
            if reset:
                phone.wire.resets()
            else:
                phone.wire.hangs_up()

    @rule(number=PICK)
    def backend_says_something_unasked(self, number: int) -> None:
        phone = self.phone(number, busy=False)
        if (
            phone is not None and phone.current is None and phone.wire.reading and not phone.wire.buffer
        ):  # else a request is on its way
            phone.wire.says(b"HTTP/1.1 200 OK\r\nX-Nonce: poison\r\nContent-Length: 6\r\n\r\npoison")
            assert not phone.talks, "an idle link outlives what was said unasked"

    @rule(number=PICK, jammed=st.booleans())
    def jam_backend(self, number: int, jammed: bool) -> None:
        phone = self.phone(number, busy=True)
        if phone is not None:
            phone.wire.jammed = jammed
            if not jammed:
                phone.wire.flows()

    @rule(number=PICK, accepts=st.sampled_from((True, True, False, None)))
    def door_of_a_backend(self, number: int, accepts: bool | None) -> None:
        backends = list(self.door.backends.values())
        backends[number % len(backends)].accepts = accepts
        if accepts:
            self.door.connect()

    # --- time and the operator ----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.1, 0.1, 0.6, 2.0, 6.0, 61.0, 130.0)))
    def wait(self, seconds: float) -> None:
        self.door.wait(seconds, step=max(0.1, seconds / 40))

    @rule(toml=st.sampled_from(CONFIGS))
    def reload(self, toml: str) -> None:
        self.door.reload(toml)

    # --- what must be true --------------------------------------------------------------------------------------

    @invariant()
    def look(self) -> None:
        for phone in self.every_phone():
            phone.listen()
        for talker in self.talkers:
            talker.listen()
        self.door.look_at_idle_links()

    def teardown(self) -> None:
        try:
            self.settle()
            self.door.end()
        finally:
            self.patch.undo()

    def settle(self) -> None:
        """Everybody gets what it needs; then nobody waits."""
        for backend in self.door.backends.values():
            backend.accepts = True
        self.door.connect()
        quiet = 0
        for _ in range(300):
            for talker in self.talkers:
                talker.wire.jammed = False
                talker.wire.flows()
                talker.send(1 << 30)
            for phone in self.every_phone():
                phone.wire.jammed = False
                phone.wire.flows()
            self.look()
            busy = [
                phone
                for phone in self.every_phone()
                if phone.current is not None and not phone.answered and phone.talks
            ]
            for phone in busy:
                if not phone.saying and phone.answer is None and phone.current is not None and not phone.answered:
                    self.prepare(phone, "length", 5)
                if phone.talks:
                    phone.say(1 << 30)
                self.look()
            self.door.wait(0.2, step=0.1)
            self.look()
            if not busy:
                if not self.waiting():
                    return
                quiet += 1
                assert quiet < 15, f"still waits for {self.waiting()[0]!r:.200}"
                self.door.wait(1.0, step=0.2)  # an attempt may rest before it is made again
        raise AssertionError(f"no end: {self.waiting()!r:.500}")

    def waiting(self) -> list[Asked]:
        """What clients that are connected still wait for."""
        connected = [talker for talker in self.talkers if talker.talks and not talker.over and not talker.wire.eof_sent]
        return [talker.asked[talker.answered] for talker in connected if talker.answered < len(talker.asked)]
