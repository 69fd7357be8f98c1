"""Nothing that HTTP/2 can say makes a backend read another request than its client made: by the rules of RFC 9113
sections 8.2 and 8.3, with each engine, and each in one piece and frame by frame.

Rules: what is malformed is answered by a reset (section 8.1.1) or an error of ours, and no byte of it reaches a
backend; what is well formed reaches it as one request that a strict reader of HTTP/1.1 takes (`Backend.request`).
"""

from __future__ import annotations

import pytest
from frames import CALM, DATA, END, GET, HEADERS, POST, PROTOCOL, SOLO2, WHOLE, enter, literals

from proxy.downstream.h2 import engines
from proxy.downstream.h2.engines import ENGINES

M, S, P, A = GET
INJECTED = "a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
CONTROLS = [chr(code) for code in (*range(0x09), *range(0x0A, 0x20), 0x7F)]
OUTSIDE = tuple(' "(,/:;=@AZ[{\x80\xff')  # what no name has


def path(value):
    return (M, S, (":path", value), A)


def at(value):
    return (M, S, P, (":authority", value))


BAD = {
    **{f"a name with {ord(one):#04x}": (*GET, (f"x{one}y", "1")) for one in (*CONTROLS, "\t", *OUTSIDE)},
    **{f"a value with {ord(one):#04x}": (*GET, ("x", f"a{one}b")) for one in CONTROLS},
    **{f":path with {ord(one):#04x}": path(f"/a{one}b") for one in "\0\t\n\r \x7f#"},
    **{f":method with {ord(one):#04x}": ((":method", f"GE{one}T"), S, P, A) for one in "\0\t\n\r /"},
    **{f":authority with {ord(one):#04x}": at(f"do{one}or") for one in "\0\t\n\r /?#@,\\"},
    **{f":scheme {one!r}": (M, (":scheme", one), P, A) for one in ("", "ftp", "http ", "http\r\nx: y", "http://")},
    **{f"{name}": (*GET, (name, value)) for name, value in (
        ("connection", "close"), ("connection", "transfer-encoding"), ("connection", "x"), ("keep-alive", "timeout=1"),
        ("proxy-connection", "close"), ("transfer-encoding", "chunked"), ("transfer-encoding", ""), ("upgrade", "h2c"),
        ("te", "gzip"), ("te", "trailers, gzip"), ("te", ""),
    )},
    "a name with a length in it": (*POST, ("content-length\r\nx", "1")),
    "a request in a value": (*GET, ("x", INJECTED)),
    "a request in a name": (*GET, (INJECTED, "x")),
    "a request in :path": path(f"/{INJECTED}"),
    "a request in :method": ((":method", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"), S, P, A),
    "a request in :authority": at("door\r\n\r\nGET /admin HTTP/1.1\r\nHost: x"),
    "a length with END_STREAM": (*POST, ("content-length", "5")),
    "two lengths": (*POST, ("content-length", "0"), ("content-length", "5")),
    "a negative length": (*POST, ("content-length", "-1")),
    "a length with a sign": (*POST, ("content-length", "+0")),
    "a length in hexadecimal": (*POST, ("content-length", "0x0")),
    "a length with a blank": (*POST, ("content-length", "0 0")),
    "a list of lengths": (*POST, ("content-length", "0, 5")),
    "an empty length": (*POST, ("content-length", "")),
    "a length above all": (*POST, ("content-length", "18446744073709551616")),
    "another Host": (*GET, ("host", "other")),
    "an empty Host beside :authority": (*GET, ("host", "")),
    "the same Host and another": (*GET, ("host", "door"), ("host", "other")),
    "two Host": (M, S, P, ("host", "door"), ("host", "door")),
    "Host with user information": (M, S, P, ("host", "me@door")),
    "Host with a path": (M, S, P, ("host", "door/x")),
    "no host at all": (M, S, P),
    "a port that is none": at("door:8x"),
    "a port above all": at("door:65536"),
    "brackets that do not close": at("[::1"),
    "a :path without a slash": path("admin"),
    "a :path that is a URL": path("http://other/admin"),
    "an empty :path": path(""),
    "a star for GET": path("*"),
    "a path of two stars": ((":method", "OPTIONS"), S, (":path", "**"), A),
    "a path above the root": path("/../admin"),
    "an unknown pseudo-field": (*GET, (":x", "y")),
    ":status": (*GET, (":status", "200")),
    "a pseudo-field behind others": (M, S, P, ("x", "y"), A),
    "a pseudo-field in capitals": ((":Method", "GET"), S, P, A),
    "CONNECT": ((":method", "CONNECT"), A),
    "CONNECT with all of a request": ((":method", "CONNECT"), S, P, A),
    "CONNECT to a protocol that nobody knows": ((":method", "CONNECT"), (":protocol", "tcp"), S, P, A),
    ":protocol for GET": (M, (":protocol", "websocket"), S, P, A),
    "TRACE": ((":method", "TRACE"), S, P, A),
    **{f"no {name}": tuple(field for field in GET if field[0] != name) for name in (":method", ":scheme", ":path")},
    **{f"two {name}": (*GET[:place + 1], *GET[place:]) for place, (name, _) in enumerate(GET)},
}  # fmt: skip
GOOD = {
    "a plain one": (GET, b"GET / HTTP/1.1", {b"host": b"door"}),
    "a query": (path("/a?b=c%20d&e"), b"GET /a?b=c%20d&e HTTP/1.1", {}),
    "Host alone": ((M, S, P, ("host", "door")), b"GET / HTTP/1.1", {b"host": b"door"}),
    "the same Host twice told": ((*GET, ("host", "door")), b"GET / HTTP/1.1", {b"host": b"door"}),
    "a port": (at("door:8080"), b"GET / HTTP/1.1", {b"host": b"door:8080"}),
    "an address": (at("[::1]:80"), b"GET / HTTP/1.1", {b"host": b"[::1]:80"}),
    "cookies": ((*GET, ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")), b"GET / HTTP/1.1", {b"cookie": b"a=1; b=2"}),
    "TE: trailers": ((*GET, ("te", "trailers")), b"GET / HTTP/1.1", {b"te": None}),
    "a star": (((":method", "OPTIONS"), S, (":path", "*"), A), b"OPTIONS * HTTP/1.1", {}),
    "a method of its own": (((":method", "PURGE"), S, P, A), b"PURGE / HTTP/1.1", {}),
    "a length of nothing": ((*POST, ("content-length", "0")), b"POST / HTTP/1.1", {b"content-length": b"0"}),
    "an empty value": ((*GET, ("x", "")), b"GET / HTTP/1.1", {b"x": b""}),
    "a tab in a value": ((*GET, ("x", "a\tb")), b"GET / HTTP/1.1", {b"x": b"a\tb"}),
    "bytes above 0x7f in a value": ((*GET, ("x", "\xe4")), b"GET / HTTP/1.1", {b"x": b"\xe4"}),
    "what a proxy says": ((*GET, ("x-forwarded-for", "6.6.6.6"), ("x-real-ip", "6.6.6.6")), b"GET / HTTP/1.1",
                          {b"x-forwarded-for": b"192.0.2.7", b"x-real-ip": b"192.0.2.7"}),
}  # fmt: skip
LONG = (*POST, ("content-length", "5"))
BODIES = {
    "less than announced": (LONG, [b"abcd"], None),
    "less than announced, in two": (LONG, [b"ab", b"cd"], None),
    "more than announced": (LONG, [b"abcdef"], None),
    "more than announced, in two": (LONG, [b"abcde", b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"], None),
    "nothing": (LONG, [b""], None),
    "something where nothing was announced": ((*POST, ("content-length", "0")), [b"GET / HTTP/1.1\r\n\r\n"], None),
    "less, and trailers": (LONG, [b"ab"], (("x", "y"),)),
    "a length of the body in trailers": (LONG, [b"ab"], (("content-length", "2"),)),
    **{f"trailers with {name!r}": (POST, [b"ab"], ((name, value),)) for name, value in (
        (":path", "/"), (":method", "GET"), (":status", "200"), (":x", "y"), ("X", "y"), ("x y", "z"), ("", "x"),
        ("x", "a\r\nb: c"), ("x", "a\0b"), ("x\r\ny", "z"), ("connection", "close"), ("transfer-encoding", "chunked"),
        ("upgrade", "x"), ("keep-alive", "1"),
    )},
}  # fmt: skip


@pytest.fixture(params=sorted(ENGINES))
def engine(request, monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {request.param: ENGINES[request.param]})


@pytest.fixture(params=("frame by frame", "in one piece"))
def pair(request, engine, opened):
    door = opened(SOLO2.replace('upstream = "app"', 'upstream = "app"\ntrailers = true'))
    client = enter(door)
    client.gathers = request.param == "in one piece"
    return door, client


def judged(client):
    """What becomes of what is malformed: a reset, an answer of ours that says so, or the end of the connection."""
    client.look()
    code = client.reset(1)
    if code is not None and 1 not in client.heads:
        assert code == PROTOCOL
    elif 1 in client.heads:
        assert client.heads[1][0][b":status"] in (b"400", b"405", b"431", b"501")
        assert client.heads[1][0][b"server"] == b"frontgate"
    else:
        assert client.farewell() in (PROTOCOL, CALM) and client.ended


@pytest.mark.parametrize("end", (True, False), ids=("without a body", "with a body"))
@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_what_is_malformed(pair, fields, end):
    if not end and ("content-length", "5") in fields and fields.count(fields[-1]) == 1 and len(fields) == 5:
        fields = (*fields, ("content-length", "6"))
    door, client = pair
    client.ask(1, fields, end)
    judged(client)
    assert not any(wire.told for wire in door.backend().wires), "a backend has heard of it"


@pytest.mark.parametrize("fields,line,said", GOOD.values(), ids=GOOD)
def test_what_is_well_formed(pair, fields, line, said):
    door, client = pair
    client.ask(1, fields)
    client.pours()
    asked, heard, body = door.backend().request()
    assert asked == line and body == b""
    assert {name: heard.get(name) for name in said} == said
    assert not {b"connection", b"transfer-encoding", b"upgrade"} & set(heard)
    door.backend().answers()
    assert client.status() == 200


@pytest.mark.parametrize("fields,parts,trailers", BODIES.values(), ids=BODIES)
def test_bodies_that_are_not_what_was_announced(pair, fields, parts, trailers):
    """Some of it may be on its way to a backend, which must not take it for whole."""
    door, client = pair
    client.ask(1, fields, end=False)
    for place, part in enumerate(parts):
        client.send(DATA, END if trailers is None and place == len(parts) - 1 else 0, 1, part)
    if trailers is not None:
        client.send(HEADERS, END | WHOLE, 1, literals(trailers))
    client.look()
    assert client.reset(1) == PROTOCOL or client.farewell() == PROTOCOL, client.frames
    for wire in door.backend().wires:
        head, _, body = bytes(wire.told).partition(b"\r\n\r\n")
        if head:
            assert b"content-length: 0" not in head.lower(), "a head that is all"
            whole = len(body) >= 5 if fields is LONG else b"\r\n0\r\n" in b"\r\n" + body
            assert wire.closing and not whole, wire.told


@pytest.mark.parametrize("name", ("content-length", "host", "authorization", "cookie", "te", "trailer", "expect"))
def test_trailers_that_may_not_stand_there_are_not_passed_on(pair, name):
    door, client = pair
    client.ask(1, POST, end=False)
    client.send(DATA, 0, 1, b"ab")
    client.send(HEADERS, END | WHOLE, 1, literals(((name, "1"), ("x-sum", "7"))))
    client.look()
    for wire in door.backend().wires:
        body = bytes(wire.told).partition(b"\r\n\r\n")[2]
        assert name.encode() not in body
    if client.reset(1) is None:
        assert door.backend().request()[2] == b"2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n"
        door.backend().answers()


def test_a_length_of_nothing_waits_for_the_end(pair):
    """A backend would take its head for all of it."""
    door, client = pair
    client.ask(1, (*POST, ("content-length", "0")), end=False)
    assert not door.backend().wires
    client.send(DATA, END, 1, b"")
    client.pours()
    assert door.backend().request()[1][b"content-length"] == b"0"
    door.backend().answers()
    assert client.status() == 200
