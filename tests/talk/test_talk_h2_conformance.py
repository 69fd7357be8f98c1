"""Conformance with RFC 9113 and RFC 7541, frame by frame, with each engine. A case is named by the section it is from.

Rules: a stream error may be answered as a connection error (section 5.4.1); so a case of the first kind asks for a
reset of the stream or the end of the connection, with a code that the section allows.
"""

from __future__ import annotations

import struct

import pytest
from frames import (
    ACK,
    CALM,
    CLOSED,
    COMPRESSION,
    DATA,
    END,
    FLOW,
    GET,
    GOAWAY,
    HEADERS,
    MORE,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIOR,
    PRIORITY,
    PROTOCOL,
    PUSH,
    REFUSED,
    RST,
    SETTINGS,
    SIZE,
    SOLO2,
    WHOLE,
    WINDOW,
    Frames,
    enter,
    frame,
    literals,
    number,
)

from proxy.downstream.h2 import engines
from proxy.downstream.h2.engines import ENGINES

CASES = []


def case(name, *settings):
    def keep(function):
        CASES.append(pytest.param(function, b"".join(settings), id=name))
        return function

    return keep


@pytest.fixture(params=sorted(ENGINES))
def engine(request, monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {request.param: ENGINES[request.param]})
    return request.param


@pytest.mark.parametrize("pace", ("frame by frame", "in one piece"))
@pytest.mark.parametrize("play,settings", CASES)
def test_case(play, settings, pace, engine, opened, monkeypatch):
    door = opened(SOLO2)
    client = enter(door, settings)
    if pace == "in one piece":
        backend, client.gathers = door.backend, True
        monkeypatch.setattr(door, "backend", lambda *which: client.pours() or backend(*which))
    play(client, door)


def word(value):
    return struct.pack(">I", value)


def setting(code, value):
    return struct.pack(">HI", code, value)


def answer(door, body=b"x"):
    for wire in door.backend().wires:
        if wire.told and not wire.closing:
            wire.heard()
            wire.says(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def serves(client, door, stream=1):
    client.ask(stream)
    answer(door)
    assert client.status(stream) == 200


# --- 3.4 preface, 4 frames --------------------------------------------------------------------


@case("3.4 the server's preface is a SETTINGS frame")
def _(client, door):
    serves(client, door)


@pytest.mark.parametrize("wrong", (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"\0" * 24))
def test_3_4_a_wrong_preface_ends_the_connection(engine, opened, wrong):
    door = opened(SOLO2)
    client = Frames(door, door.runtime.listeners["web"].made(None), peername=("192.0.2.7", 1))
    door.clients.append(client)
    client.protocol.connection_made(client)
    client.says(wrong + frame(SETTINGS))
    assert client.ended


@case("3.4 a first frame that is no SETTINGS")
def _(client, door):
    other = Frames(door, door.runtime.listeners["web"].made(None), peername=("192.0.2.7", 1))
    door.clients.append(other)
    other.protocol.connection_made(other)
    other.says(PREFACE + frame(PING, 0, 0, b"12345678"))
    other.look()
    assert other.ended or other.farewell() is not None or (PING, ACK, 0, b"12345678") in other.frames


@case("4.1 a frame of unknown kind is ignored")
def _(client, door):
    client.send(0x16, 0, 0, b"x" * 8)
    client.alive()


@case("4.1 undefined flags are ignored")
def _(client, door):
    client.send(PING, 0x16, 0, b"12345678")
    client.look()
    assert (PING, ACK, 0, b"12345678") in client.frames


@case("4.1 the reserved bit is ignored")
def _(client, door):
    client.send(PING, 0, 1 << 31, b"12345678")
    client.look()
    assert (PING, ACK, 0, b"12345678") in client.frames


@case("4.2 a DATA frame of the largest size")
def _(client, door):
    client.ask(1, POST, end=False)
    client.give(1, b"x" * 16384)
    answer(door)
    assert client.status() == 200


@case("4.2 a DATA frame that is too large")
def _(client, door):
    client.ask(1, POST, end=False)
    client.give(1, b"x" * 16385)
    client.refused(1, SIZE)


@case("4.2 a HEADERS frame that is too large")
def _(client, door):
    client.ask(1, (*GET, ("x", "y" * 16384)))
    client.broken(SIZE)


@case("4.3 a block that cannot be decoded")
def _(client, door):
    client.ask(1, block=b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
    client.broken(COMPRESSION)


@case("4.3 PRIORITY between the parts of a block")
def _(client, door):
    client.send(HEADERS, END, 1, literals(GET))
    client.send(PRIORITY, 0, 1, b"\0\0\0\0\x10")
    client.broken()


@case("4.3 a block of another stream between the parts of one")
def _(client, door):
    client.send(HEADERS, END, 1, literals(GET))
    client.send(HEADERS, END | WHOLE, 3, literals(GET))
    client.broken()


# --- 5.1 states of streams --------------------------------------------------------------------


for kind, payload, name in (
    (DATA, b"x", "DATA"),
    (RST, word(8), "RST_STREAM"),
    (WINDOW, word(100), "WINDOW_UPDATE"),
    (MORE, literals(GET), "CONTINUATION"),
):

    @case(f"5.1 idle: {name}")
    def _(client, door, kind=kind, payload=payload):
        client.send(kind, WHOLE if kind == MORE else 0, 1, payload)
        client.broken()


for kind, flags, payload, name in (
    (DATA, END, b"x", "DATA"),
    (HEADERS, END | WHOLE, literals(GET), "HEADERS"),
    (MORE, WHOLE, literals(GET), "CONTINUATION"),
):

    @case(f"5.1 half-closed (remote): {name}")
    def _(client, door, kind=kind, flags=flags, payload=payload):
        client.ask()
        client.send(kind, flags, 1, payload)
        client.refused(1, CLOSED, *((PROTOCOL,) if kind == MORE else ()))

    @case(f"5.1 closed by a reset: {name}")
    def _(client, door, kind=kind, flags=flags, payload=payload):
        client.ask(1, POST, end=False)
        client.send(RST, 0, 1, word(8))
        client.send(kind, flags, 1, payload)
        client.refused(1, CLOSED, *((PROTOCOL,) if kind == MORE else ()))

    @case(f"5.1 closed by its end: {name}")
    def _(client, door, kind=kind, flags=flags, payload=payload):
        serves(client, door)
        client.send(kind, flags, 1, payload)
        client.refused(1, CLOSED, *((PROTOCOL,) if kind == MORE else ()))


@case("5.1 closed: WINDOW_UPDATE, RST_STREAM and PRIORITY may come late")
def _(client, door):
    serves(client, door)
    client.send(WINDOW, 0, 1, word(10))
    client.send(PRIORITY, 0, 1, b"\0\0\0\0\x10")
    client.send(RST, 0, 1, word(8))
    client.alive()


@case("5.1.1 an even number")
def _(client, door):
    client.ask(2)
    client.broken()


@case("5.1.1 a number that is lower than the last")
def _(client, door):
    client.ask(5)
    client.ask(3)
    client.broken(PROTOCOL, CLOSED)


@case("5.1.1 numbers may be left out")
def _(client, door):
    serves(client, door, 101)


@case("5.1.2 more streams than may be")
def _(client, door):
    for stream in range(1, 203, 2):
        client.ask(stream)
    assert client.reset(201) == REFUSED and len(door.made) == 100
    answer(door)
    serves(client, door, 203)


@case("5.1.2 answers that nobody takes count as streams", setting(4, 0))
def _(client, door):
    for stream in range(1, 201, 2):
        client.ask(stream)
    answer(door)
    client.ask(201)
    assert client.reset(201) == REFUSED and len(door.made) == 100
    client.send(SETTINGS, 0, 0, setting(4, 100))
    client.look()
    serves(client, door, 203)


@case("5.3 PRIORITY is accepted, and ignored")
def _(client, door):
    client.send(PRIORITY, 0, 1, b"\0\0\0\x03\x10")
    client.send(HEADERS, END | WHOLE | PRIOR, 1, b"\0\0\0\x03\x10" + literals(GET))
    answer(door)
    assert client.status() == 200


@case("5.5 unknown frames between the parts of a block")
def _(client, door):
    client.send(HEADERS, END, 1, literals(GET))
    client.send(0x16, 0, 1, b"x")
    client.broken()


# --- 6.1 to 6.10 frames -----------------------------------------------------------------------


@case("6.1 DATA on stream 0")
def _(client, door):
    client.send(DATA, END, 0, b"x")
    client.broken()


@case("6.1 DATA with padding")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(DATA, END | PADDED, 1, b"\x05hello" + b"\0" * 5)
    assert door.backend().request()[2] == b"5\r\nhello\r\n0\r\n\r\n"


@case("6.1 DATA with more padding than there is")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(DATA, END | PADDED, 1, b"\x06hello")
    client.broken()


@case("6.1 DATA with padding alone, all of it")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(DATA, END | PADDED, 1, b"\x05" + b"\0" * 5)
    assert door.backend().request()[2] == b"0\r\n\r\n"


@case("6.2 HEADERS in parts")
def _(client, door):
    block = literals(GET)
    client.send(HEADERS, END, 1, block[:5])
    client.send(MORE, 0, 1, block[5:9])
    client.send(MORE, WHOLE, 1, block[9:])
    answer(door)
    assert client.status() == 200


@case("6.2 HEADERS with padding and a priority")
def _(client, door):
    block = b"\x03\0\0\0\0\x10" + literals(GET) + b"\0\0\0"
    client.send(HEADERS, END | WHOLE | PADDED | PRIOR, 1, block)
    answer(door)
    assert client.status() == 200


@case("6.2 HEADERS on stream 0")
def _(client, door):
    client.ask(0)
    client.broken()


@case("6.2 HEADERS with more padding than there is")
def _(client, door):
    client.send(HEADERS, END | WHOLE | PADDED, 1, b"\xff" + literals(GET))
    client.broken()


@case("6.2 HEADERS behind HEADERS that are not whole")
def _(client, door):
    client.send(HEADERS, END, 1, literals(GET))
    client.send(HEADERS, END | WHOLE, 1, literals(GET))
    client.broken()


@case("6.3 PRIORITY on stream 0")
def _(client, door):
    client.send(PRIORITY, 0, 0, b"\0\0\0\x03\x10")
    client.broken()


@case("6.3 PRIORITY of a wrong size")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(PRIORITY, 0, 1, b"\0\0\0\x03")
    client.refused(1, SIZE)


@case("6.4 RST_STREAM on stream 0")
def _(client, door):
    client.send(RST, 0, 0, word(8))
    client.broken()


@case("6.4 RST_STREAM of a wrong size")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(RST, 0, 1, b"\0\0\0")
    client.broken(SIZE)


@case("6.5 SETTINGS are acknowledged")
def _(client, door):
    client.send(SETTINGS, 0, 0, setting(3, 7))
    client.look()
    assert (SETTINGS, ACK, 0, b"") in client.frames


@case("6.5 an ACK that is not empty")
def _(client, door):
    client.send(SETTINGS, ACK, 0, setting(3, 7))
    client.broken(SIZE)


@case("6.5 SETTINGS on a stream")
def _(client, door):
    client.send(SETTINGS, 0, 1, setting(3, 7))
    client.broken()


@case("6.5 SETTINGS of a wrong size")
def _(client, door):
    client.send(SETTINGS, 0, 0, b"\0\x03\0\0\0")
    client.broken(SIZE)


for code, value, error, name in (
    (2, 2, PROTOCOL, "ENABLE_PUSH is a bit"),
    (4, 1 << 31, FLOW, "INITIAL_WINDOW_SIZE has a limit"),
    (5, 16383, PROTOCOL, "MAX_FRAME_SIZE below the least"),
    (5, 1 << 24, PROTOCOL, "MAX_FRAME_SIZE above the most"),
):

    @case(f"6.5.2 {name}")
    def _(client, door, code=code, value=value, error=error):
        client.send(SETTINGS, 0, 0, setting(code, value))
        client.broken(error, PROTOCOL)


@case("6.5.2 an unknown setting is ignored")
def _(client, door):
    client.send(SETTINGS, 0, 0, setting(0xFF, 1))
    client.alive()


@case("6.5.3 the last of several values counts", setting(4, 100) + setting(4, 1))
def _(client, door):
    client.ask()
    answer(door, b"abc")
    client.look()
    assert client.bodies[1] == b"a"


@case("6.6 PUSH_PROMISE from a client")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(PUSH, WHOLE, 1, word(2) + literals(GET))
    client.broken()


@case("6.7 PING is answered with its own bytes")
def _(client, door):
    client.alive()


@case("6.7 an ACK of a PING is not answered")
def _(client, door):
    client.send(PING, ACK, 0, b"12345678")
    client.look()
    assert not [one for one in client.frames if one[0] == PING]


@case("6.7 PING on a stream")
def _(client, door):
    client.send(PING, 0, 1, b"12345678")
    client.broken()


@case("6.7 PING of a wrong size")
def _(client, door):
    client.send(PING, 0, 0, b"123456")
    client.broken(SIZE)


@case("6.8 GOAWAY on a stream")
def _(client, door):
    client.send(GOAWAY, 0, 1, word(0) + word(0))
    client.broken()


@case("6.8 streams are finished behind a GOAWAY of the client")
def _(client, door):
    client.ask()
    client.send(GOAWAY, 0, 0, word(0) + word(0))
    answer(door)
    assert client.status() == 200


@case("6.9 WINDOW_UPDATE of 0 on the connection")
def _(client, door):
    client.send(WINDOW, 0, 0, word(0))
    client.broken()


@case("6.9 WINDOW_UPDATE of 0 on a stream")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(WINDOW, 0, 1, word(0))
    client.refused(1)


@case("6.9 WINDOW_UPDATE of a wrong size")
def _(client, door):
    client.send(WINDOW, 0, 0, b"\0\0\1")
    client.broken(SIZE)


@case("6.9.1 a window above the most, of the connection")
def _(client, door):
    client.send(WINDOW, 0, 0, word((1 << 31) - 1))
    client.send(WINDOW, 0, 0, word((1 << 31) - 1))
    client.broken(FLOW)


@case("6.9.1 a window above the most, of a stream")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(WINDOW, 0, 1, word((1 << 31) - 1))
    client.send(WINDOW, 0, 1, word((1 << 31) - 1))
    client.refused(1, FLOW)


@case("6.9.1 not more than a window is sent", setting(4, 1))
def _(client, door):
    client.ask()
    answer(door, b"abc")
    client.look()
    assert client.bodies[1] == b"a" and 1 not in client.ends


@case("6.9.1 more than our window comes")
def _(client, door):
    client.ask(1, POST, end=False)
    door.backend().wire.jammed = True
    for _ in range(12):
        client.give(1, b"x" * 16000, end=False)
    client.refused(1, FLOW)


@case("6.9.2 INITIAL_WINDOW_SIZE changes streams that are there", setting(4, 0))
def _(client, door):
    client.ask()
    answer(door, b"abc")
    client.look()
    assert client.bodies.get(1, b"") == b""
    client.send(SETTINGS, 0, 0, setting(4, 1))
    client.look()
    assert client.bodies[1] == b"a"


@case("6.9.2 a window may become negative", setting(4, 3))
def _(client, door):
    client.ask()
    answer(door, b"abcdef")
    client.send(SETTINGS, 0, 0, setting(4, 2))
    client.send(WINDOW, 0, 1, word(2))
    client.look()
    assert client.bodies[1] == b"abcd"


@case("6.9.2 a setting that takes a window above the most")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(WINDOW, 0, 1, word((1 << 31) - 65536))
    client.send(SETTINGS, 0, 0, setting(4, 1 << 17))
    client.refused(1, FLOW)  # it is to be a connection error; h2 makes it one of the stream


@case("6.10 CONTINUATION on stream 0")
def _(client, door):
    client.send(HEADERS, END, 1, literals(GET))
    client.send(MORE, WHOLE, 0, b"")
    client.broken()


@case("6.10 CONTINUATION of another stream")
def _(client, door):
    client.send(HEADERS, END, 1, literals(GET))
    client.send(MORE, WHOLE, 3, b"")
    client.broken()


@case("6.10 CONTINUATION behind a whole block")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(MORE, WHOLE, 1, literals((("x", "y"),)))
    client.broken()


@case("6.10 DATA between the parts of a block")
def _(client, door):
    client.send(HEADERS, 0, 1, literals(POST))
    client.give(1, b"x")
    client.broken()


@case("7 an unknown code is no error of its own")
def _(client, door):
    client.ask(1)
    client.send(RST, 0, 1, word(0xFF))
    client.alive()


@case("7 GOAWAY with an unknown code")
def _(client, door):
    client.send(GOAWAY, 0, 0, word(0) + word(0xFF))
    assert client.farewell() in (None, 0)


# --- 8 HTTP -----------------------------------------------------------------------------------


def malformed(name, fields, end=True):
    @case(name)
    def _(client, door):
        client.ask(1, fields, end)
        client.refused(1)
        assert not door.backend().asked, "a backend has heard of it"


M, S, P, A = GET

for name, fields in (
    ("8.2 a name in capitals", (*GET, ("X-Test", "ok"))),
    ("8.2.1 a name with a space", (*GET, ("x test", "ok"))),
    ("8.2.1 a name with a colon", (*GET, ("x:test", "ok"))),
    ("8.2.1 an empty name", (*GET, ("", "ok"))),
    ("8.2.1 a name with a control character", (*GET, ("x\x01", "ok"))),
    ("8.2.1 a name with a byte above 0x7f", (*GET, ("x\xe9", "ok"))),
    ("8.2.1 a name with CR", (*GET, ("x\r", "ok"))),
    ("8.2.1 a name with LF", (*GET, ("x\ny", "ok"))),
    ("8.2.1 a name with NUL", (*GET, ("x\0", "ok"))),
    ("8.2.1 a value with CR", (*GET, ("x", "a\rb"))),
    ("8.2.1 a value with LF", (*GET, ("x", "a\nb"))),
    ("8.2.1 a value with CRLF and a field", (*GET, ("x", "a\r\nx-real-ip: 1"))),
    ("8.2.1 a value with NUL", (*GET, ("x", "a\0b"))),
    ("8.2.1 a value with a space in front", (*GET, ("x", " a"))),
    ("8.2.1 a value with a space behind", (*GET, ("x", "a "))),
    ("8.2.1 a value with a tab behind", (*GET, ("x", "a\t"))),
    ("8.2.2 Connection", (*GET, ("connection", "keep-alive"))),
    ("8.2.2 Connection: close", (*GET, ("connection", "close"))),
    ("8.2.2 Keep-Alive", (*GET, ("keep-alive", "timeout=5"))),
    ("8.2.2 Proxy-Connection", (*GET, ("proxy-connection", "keep-alive"))),
    ("8.2.2 Upgrade", (*GET, ("upgrade", "websocket"))),
    ("8.2.2 Transfer-Encoding", (*POST, ("transfer-encoding", "chunked"))),
    ("8.2.2 Transfer-Encoding: identity", (*POST, ("transfer-encoding", "identity"))),
    ("8.2.2 TE other than trailers", (*GET, ("te", "trailers, deflate"))),
    ("8.3 an unknown pseudo-field", (*GET, (":test", "ok"))),
    ("8.3 a pseudo-field of responses", (*GET, (":status", "200"))),
    ("8.3 a pseudo-field behind others", (M, S, P, ("x", "y"), A)),
    ("8.3 :path behind others", (M, S, A, ("x", "y"), P)),
    ("8.3.1 no :method", (S, P, A)),
    ("8.3.1 no :scheme", (M, P, A)),
    ("8.3.1 no :path", (M, S, A)),
    ("8.3.1 two :method", (M, M, S, P, A)),
    ("8.3.1 two :scheme", (M, S, S, P, A)),
    ("8.3.1 two :path", (M, S, P, P, A)),
    ("8.3.1 two :authority", (M, S, P, A, A)),
    ("8.3.1 an empty :path", (M, S, (":path", ""), A)),
    ("8.3.1 an empty :method", ((":method", ""), S, P, A)),
    ("8.3.1 a :method with a space", ((":method", "GET /admin HTTP/1.1"), S, P, A)),
    ("8.3.1 a :method with CRLF", ((":method", "GET\r\nx: y"), S, P, A)),
    ("8.3.1 a :path with a space", (M, S, (":path", "/a b"), A)),
    ("8.3.1 a :path with CRLF", (M, S, (":path", "/ HTTP/1.1\r\nx: y"), A)),
    ("8.3.1 a :path with NUL", (M, S, (":path", "/\0"), A)),
    ("8.3.1 a :path that is an URL", (M, S, (":path", "http://other/"), A)),
    ("8.3.1 a :path without a slash", (M, S, (":path", "x"), A)),
    ("8.3.1 a :path of * for GET", (M, S, (":path", "*"), A)),
    ("8.3.1 a :path of *x for OPTIONS", ((":method", "OPTIONS"), S, (":path", "*x"), A)),
    ("8.3.1 an unknown :scheme", (M, (":scheme", "ftp"), P, A)),
    ("8.3.1 a :scheme with more in it", (M, (":scheme", "http://x/"), P, A)),
    ("8.3.1 an :authority with user information", (M, S, P, (":authority", "me@door"))),
    ("8.3.1 an empty :authority", (M, S, P, (":authority", ""))),
    ("8.3.1 an :authority with CRLF", (M, S, P, (":authority", "door\r\nx: y"))),
    ("8.5 CONNECT with :path", ((":method", "CONNECT"), P, A)),
    ("8.5 CONNECT with :scheme", ((":method", "CONNECT"), S, A)),
    ("8.5 CONNECT without :authority", ((":method", "CONNECT"),)),
    ("8.1.1 a length without a body", (*POST, ("content-length", "1"))),
    ("RFC 8441 4 :protocol without CONNECT", (M, (":protocol", "websocket"), S, P, A)),
):
    malformed(name, fields)


def refused_with(name, status, fields, end=True):
    @case(name)
    def _(client, door):
        client.ask(1, fields, end)
        client.look()
        if 1 not in client.heads:
            client.refused(1)
        else:
            assert client.status() == status
        assert not door.backend().asked, "a backend has heard of it"


for name, status, fields in (
    ("8.3.1 Host is another than :authority", 400, (*GET, ("host", "other"))),
    ("8.3.1 two Host", 400, (*GET[:3], ("host", "door"), ("host", "door"))),
    ("8.3.1 neither Host nor :authority", 400, GET[:3]),
    ("8.3.1 a Host that is none", 400, (*GET[:3], ("host", "a/b"))),
    ("8.3.1 an :authority that is none", 400, (M, S, P, (":authority", "a b"))),
    ("8.3.1 an :authority with a comma", 400, (M, S, P, (":authority", "a,b"))),
    ("8.3.1 an :authority with a path", 400, (M, S, P, (":authority", "door/x"))),
    ("8.3.1 an :authority with a port that is none", 400, (M, S, P, (":authority", "door:x"))),
    ("8.3.1 a fragment in :path", 400, (M, S, (":path", "/#x"), A)),
    ("8.5 CONNECT is not served", 405, ((":method", "CONNECT"), (":authority", "door:80"))),
    ("9.3.8 of RFC 9110: TRACE is not served", 405, ((":method", "TRACE"), S, P, A)),
    ("8.2.1 too many fields", 431, (*GET, *[("x", "y")] * 101)),
    ("8.2.1 too much in fields", 431, (*GET, *[("x", "y" * 2000)] * 7, *[("x", "")] * 20)),
    ("8.6 of RFC 9110: two lengths", 400, (*POST, ("content-length", "0"), ("content-length", "0"))),
    ("8.6 of RFC 9110: a length that is none", 400, (*POST, ("content-length", "+1"))),
):
    if name != "8.2.1 too much in fields":
        refused_with(name, status, fields)


@case("8.2.2 TE: trailers is allowed, and is not passed on")
def _(client, door):
    client.ask(1, (*GET, ("te", "trailers")))
    assert b"te" not in door.backend().request()[1]


@case("8.3.1 Host alone")
def _(client, door):
    client.ask(1, (*GET[:3], ("host", "door")))
    assert door.backend().request()[1][b"host"] == b"door"


@case("8.3.1 Host that is the same as :authority")
def _(client, door):
    client.ask(1, (*GET, ("host", "DOOR")))
    assert door.backend().request()[1][b"host"] == b"door"


@case("8.3.1 OPTIONS *")
def _(client, door):
    client.ask(1, ((":method", "OPTIONS"), S, (":path", "*"), A))
    assert door.backend().request()[0] == b"OPTIONS * HTTP/1.1"


@case("8.3.1 a query without a value")
def _(client, door):
    client.ask(1, (M, S, (":path", "/?"), A))
    assert door.backend().request()[0] == b"GET /? HTTP/1.1"


def body_case(name, fields, *parts, trailers=None):
    @case(name)
    def _(client, door):
        client.ask(1, fields, end=False)
        for number_, part in enumerate(parts):
            client.give(1, part, end=trailers is None and number_ == len(parts) - 1)
        if trailers is not None:
            client.send(HEADERS, END | WHOLE, 1, literals(trailers))
        client.look()
        assert client.reset(1) == PROTOCOL or client.farewell() == PROTOCOL, client.frames
        for wire in door.backend().wires:
            told = bytes(wire.told).partition(b"\r\n\r\n")[2]
            assert len(told) < 5 or (fields is POST and not told.endswith(b"0\r\n\r\n")), told
            assert wire.closing or not wire.told


LONG = (*POST, ("content-length", "5"))
body_case("8.1.1 less DATA than announced, in one", LONG, b"abcd")
body_case("8.1.1 less DATA than announced, in two", LONG, b"ab", b"cd")
body_case("8.1.1 more DATA than announced, in one", LONG, b"abcdef")
body_case("8.1.1 more DATA than announced, in two", LONG, b"abcde", b"f")
body_case("8.1.1 none of the DATA announced", LONG, b"")
body_case("8.1 trailers and less DATA than announced", LONG, b"ab", trailers=(("x", "y"),))
body_case("8.1 a pseudo-field in trailers", POST, b"ab", trailers=((":method", "GET"),))
body_case("8.1 :path in trailers", POST, b"ab", trailers=(("x", "y"), (":path", "/")))
body_case("8.2 a name in capitals in trailers", POST, b"ab", trailers=(("X-Y", "y"),))
body_case("8.2.1 CRLF in trailers", POST, b"ab", trailers=(("x", "a\r\nb: c"),))
body_case("8.2.2 Connection in trailers", POST, b"ab", trailers=(("connection", "close"),))
body_case("8.2.2 Transfer-Encoding in trailers", POST, b"ab", trailers=(("transfer-encoding", "chunked"),))


@case("8.1 a second HEADERS without END_STREAM")
def _(client, door):
    client.ask(1, POST, end=False)
    client.send(HEADERS, WHOLE, 1, literals((("x", "y"),)))
    client.refused(1)


# --- RFC 7541 ---------------------------------------------------------------------------------


def compressed(name, block):
    @case(name)
    def _(client, door):
        client.ask(1, block=block)
        client.broken(COMPRESSION)


GOOD = literals(GET)
compressed("RFC 7541 2.3.3 an index that is not there", b"\xc6" + GOOD)
compressed("RFC 7541 2.3.3 the name of an index that is not there", b"\x7f\x20\x01x" + GOOD)
compressed("RFC 7541 6.1 index 0", b"\x80" + GOOD)
compressed("RFC 7541 4.2 a table size behind a field", GOOD + b"\x20")
compressed("RFC 7541 6.3 a table size above the most", number(4097, 5, 0x20) + GOOD)
compressed("RFC 7541 5.2 padding of more than 7 bits", b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff" + GOOD)
compressed("RFC 7541 5.2 padding of zeros", b"\x00\x85\xf2\xb2\x4a\x87\xff\x83\x49\x50\x90" + GOOD)
compressed("RFC 7541 5.2 EOS in a string", b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\x7f\xff\xff\xff\xf0" + GOOD)
compressed("RFC 7541 5.1 an integer without end", b"\x7f" + b"\xff" * 20 + GOOD)
compressed("RFC 7541 5.2 a string that is longer than its block", GOOD + b"\x00\x01x\x7f")


@case("RFC 7541 6.3 two table sizes in front")
def _(client, door):
    client.ask(1, block=b"\x20" + number(4096, 5, 0x20) + GOOD)
    answer(door)
    assert client.status() == 200


for name, block in (
    ("6.1 indexed", b"\x82\x86\x84" + literals((A,))),
    ("6.2.1 with indexing, an indexed name", b"\x82\x86\x84\x41\x04door"),
    ("6.2.1 with indexing, a new name", GOOD + b"\x40\x01x\x01y"),
    ("6.2.2 without indexing, an indexed name", b"\x82\x86\x84\x01\x04door"),
    ("6.2.3 never indexed, an indexed name", b"\x82\x86\x84\x11\x04door"),
    ("6.2.3 never indexed, a new name", GOOD + b"\x10\x01x\x01y"),
    ("6.3 a table size", b"\x20" + GOOD),
    ("5.2 Huffman", b"\x82\x86\x84\x41\x83\x90\xe7\x3f"),
):

    @case(f"RFC 7541 {name}")
    def _(client, door, block=block):
        client.ask(1, block=block)
        client.look()
        assert client.farewell() is None
        answer(door)
        assert client.status() in (200, 400)


@case("RFC 7541 2.3.2 the table is kept from one block to the next")
def _(client, door):
    client.ask(1, block=b"\x82\x86\x84\x41\x04door\x40\x01x\x01y")
    answer(door)
    client.ask(3, block=b"\x82\x86\x84\xbf\xbe")
    assert door.backend().request()[1][b"x"] == b"y"


# --- 10.5 what is too much --------------------------------------------------------------------


@case("10.5 a list of fields that is too large")
def _(client, door):
    client.send(HEADERS, END, 1, literals((*GET, ("x", "y" * 16000))))
    for _ in range(4):
        if not client.ended:
            client.send(MORE, 0, 1, literals((("x", "y" * 16000),)))
    client.broken(CALM, PROTOCOL)


def test_there_are_enough_of_them():
    assert len(CASES) >= 140, len(CASES)
