"""Cases: field lines, connection options, Expect, Upgrade, limits, and what is said about the client."""

from __future__ import annotations

from collections.abc import Iterator

from cases import CHUNKED, END, GET, HELLO, HIDDEN, HOST, POLICY, POST, SECOND, SHOULD, Case, either, refused, served

NAME = "RFC 9110 5.1 and RFC 9112 5.1: a name is a token, and its colon follows at once"
VALUE = "RFC 9110 5.5 and reliability 3: no controls in values; 0x80-0xff pass unchanged"
FOLD = "RFC 9112 5.2: obs-fold is refused"
ENDS = "RFC 9112 2.2: bare CR and bare LF are refused"
HOP = "RFC 9110 7.6.1: fields of one connection end here"


def syntax() -> Iterator[Case]:
    """Field lines."""
    for octet in (*range(0x21), *b'"(),/;<=>?@[\\]{}', 0x7F, 0x80, 0xA0, 0xAD, 0xFF):
        if octet in (0x0A, 0x0D):
            continue
        letter = bytes((octet,))
        yield refused(f"name: octet {octet:02x} inside", NAME, GET + b"X" + letter + b"Y: z\r\n\r\n" + HIDDEN)
        raw = GET + b"X" + letter + b": z\r\n\r\n" + HIDDEN
        yield refused(f"name: octet {octet:02x} before the colon", NAME, raw)
    for octet in (*range(0x20), 0x7F):
        if octet in (0x09, 0x0A, 0x0D):
            continue
        raw = GET + b"X: y" + bytes((octet,)) + b"z\r\n\r\n" + HIDDEN
        yield refused(f"value: octet {octet:02x} inside", VALUE, raw, level=POLICY)
    for octet in (0x80, 0x85, 0xA0, 0xFF):
        value = b"y" + bytes((octet,)) + b"z"
        yield served(
            f"value: octet {octet:02x} passes", VALUE, GET + b"X: " + value + b"\r\n\r\n", fields={"x": (value,)}
        )
    for text in ("\u2028Content-Length: 47", "\u010d\u010aContent-Length: 47", "\u560d\u560aX-Evil: 1"):
        raw = GET + b"X: y" + text.encode() + b"\r\n\r\n" + SECOND
        yield Case(
            f"value: {text!a} is one value",
            VALUE,
            (raw,),
            ((200,), (200,)),
            closes=False,
            fields={"x": (b"y" + text.encode(),), "content-length": (), "x-evil": ()},
        )
    for name, lines in {
        "a colon alone": b":\r\n",
        "a space alone": b" \r\n",
        "a tab alone": b"\t\r\n",
        "CR before CRLF": b"X: y\r\r\n",
        "CR at the end of the last name": b"X\r: y\r\n",
        "LF before CRLF": b"X: y\n\r\n",
        "no colon, and a length": b"Content-Length 5\r\n",
        "an equals sign for a colon": b"X=y\r\n",
        "a folded line with nothing before it": b"\r\n".join((b"X:", b" y", b"")),
        "a line of a NUL": b"\0\r\n",
        "a name in quotes": b'"X": y\r\n',
        "a request line": b"GET / HTTP/1.1\r\n",
    }.items():
        yield refused(f"field: {name}", NAME, GET + lines + b"\r\n" + HIDDEN)
    yield refused("field: folded Host", FOLD, b"GET / HTTP/1.1\r\nHost:\r\n a.test\r\n\r\n")
    yield refused("field: a fold behind Host", FOLD, GET + b" x\r\n\r\n" + HIDDEN)
    yield refused("field: a head that ends with LF LF", ENDS, GET[:-2] + b"\n\n" + HIDDEN)
    yield refused("field: a head that ends with CRLF LF", ENDS, GET + b"\n" + HIDDEN)
    yield refused("field: a head that ends with LF CRLF", ENDS, GET[:-2] + b"\n\r\n" + HIDDEN)
    yield refused("field: a head that ends with CR CR", ENDS, GET[:-2] + b"\r\r" + HIDDEN)
    yield refused("field: a line end of CR only", ENDS, GET + b"X: y\rZ: a\r\n\r\n" + HIDDEN)
    yield served("field: a colon in the value", NAME, GET + b"X:Y: z\r\n\r\n", fields={"x": (b"Y: z",)})
    yield served(
        "field: all characters of a token",
        NAME,
        GET + b"!#$%&'*+-^`|~9a: z\r\n\r\n",
        fields={"!#$%&'*+-^`|~9a": (b"z",)},
    )
    yield served(
        "field: white space around a value", VALUE, GET + b"X: \t y \t z\t \r\n\r\n", fields={"x": (b"y \t z",)}
    )
    yield served(
        "field: repeated, in order", "RFC 9110 5.3", GET + b"X: 1\r\nY: 2\r\nx: 3\r\n\r\n", fields={"x": (b"1", b"3")}
    )
    yield served(
        "field: a name with an underscore or a dot is not passed",
        "features 2f: dropped",
        GET + b"X_Y: z\r\nContent_Length: 5\r\nX.Forwarded.For: 1.2.3.4\r\n\r\n",
        level=POLICY,
        fields={"x_y": (), "content_length": (), "x.forwarded.for": ()},
    )


def connections() -> Iterator[Case]:
    """Connection options and the fields that belong to one connection."""
    gone = ("x-mine", "te", "trailer", "keep-alive", "upgrade", "connection", "proxy-connection", "http2-settings")
    every = (
        b"X-Mine: 1\r\nTE: trailers, gzip\r\nTrailer: X\r\nKeep-Alive: timeout=1\r\nUpgrade: foo/1\r\n"
        b"Proxy-Connection: keep-alive\r\nHTTP2-Settings: AAA\r\n"
    )
    absent: dict[str, tuple[bytes, ...]] = dict.fromkeys(gone, ())
    for name, option in {
        "in small letters": b"x-mine",
        "in capitals": b"X-MINE",
        "in a list": b"a,, \t x-mine ,b",
        "with empty elements": b", ,x-mine,",
    }.items():
        raw = GET + b"Connection: " + option + b"\r\n" + every + b"\r\n"
        yield served(f"connection: an option {name}", HOP, raw, fields=absent)
    raw = GET + b"Connection: a\r\nX-Mine: 1\r\nConnection: x-mine\r\n\r\n"
    yield served("connection: an option in a second line, behind its field", HOP, raw, fields=absent)
    ours = {
        "x-real-ip": (b"127.0.0.1",),
        "x-forwarded-for": (b"127.0.0.1",),
        "x-forwarded-proto": (b"http",),
        "x-forwarded-host": (b"a.test",),
        "host": (b"a.test",),
        "via": (b"1.1 frontgate",),
    }
    options = b"x-real-ip, x-forwarded-for, X-Forwarded-Proto, host, via, x-forwarded-host, x-request-id"
    yield served(
        "connection: what is ours cannot be taken away",
        "CVE-2022-31813, CVE-2024-45410",
        GET + b"Connection: " + options + b"\r\n\r\n",
        fields=ours,
    )
    for value in (b"close;x", b"'close'", b"clos", b"close2", b"x-close"):
        yield served(
            f"connection: {value!r} is not close", HOP, GET + b"Connection: " + value + b"\r\n\r\n", level=SHOULD
        )
    yield either(
        "connection: an option that is no token", HOP, GET + b"Connection: a b, @\r\n\r\n", fields={"connection": ()}
    )
    yield served(
        "connection: Via of others stays",
        "RFC 9110 7.6.3",
        GET + b"Via: 1.0 fred\r\n\r\n",
        fields={"via": (b"1.0 fred", b"1.1 frontgate")},
    )


def claims() -> Iterator[Case]:
    """What only the door says about a client."""
    rule = "features 2f and reliability 3: overwritten unless the peer is trusted"
    peer = {"x-forwarded-for": (b"127.0.0.1",), "x-real-ip": (b"127.0.0.1",), "x-forwarded-proto": (b"http",)}
    for lines in (
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\n",
        b"X-FORWARDED-FOR: 127.0.0.1, 6.6.6.6\r\n",
        b"x-forwarded-for:\r\n",
        b"X-Real-Ip: 6.6.6.6\r\nx-real-ip: 7.7.7.7\r\n",
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Ssl: on\r\n",
        b"Forwarded: for=6.6.6.6\r\nForwarded: for=7.7.7.7;proto=https\r\n",
        b"X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_For: 6.6.6.6\r\nx_real-ip: 6.6.6.6\r\n",
    ):
        fields = {**peer, "forwarded": (), "x-forwarded-port": (), "x-forwarded-ssl": (), "x_forwarded_for": ()}
        yield served(f"claims: {lines!r}", rule, GET + lines + b"\r\n", fields=fields)
    yield served(
        "claims: X-Forwarded-Host is Host's",
        rule,
        GET + b"X-Forwarded-Host: evil.test\r\nX-Forwarded-Server: e\r\n\r\n",
        fields={"x-forwarded-host": (b"a.test",), "x-forwarded-server": ()},
        level=POLICY,
    )
    yield served(
        "claims: names that override the target",
        "features 2f",
        level=POLICY,
        raw=GET + b"X-Original-URL: /e\r\nx-rewrite-url: /e\r\nProxy: e\r\nProxy-Authorization: e\r\n\r\n",
        fields={"x-original-url": (), "x-rewrite-url": (), "proxy": (), "proxy-authorization": ()},
    )


def expectations() -> Iterator[Case]:
    """Expect."""
    rule = "RFC 9110 10.1.1: 100 before the body is read, never forwarded; others 417"
    line = b"Expect: 100-continue\r\n"
    five = b"Content-Length: 5\r\n"
    gone: dict[str, tuple[bytes, ...]] = {"expect": ()}
    yield Case(
        "expect: a length, waits",
        rule,
        (POST + line + five + b"\r\n", b"hello"),
        ((200,),),
        closes=False,
        body=b"hello",
        fields=gone,
        waits=True,
        interim=(100,),
    )
    yield Case(
        "expect: chunks, waits",
        rule,
        (CHUNKED[:-2] + line + b"\r\n", HELLO + END),
        ((200,),),
        closes=False,
        body=b"hello",
        fields=gone,
        waits=True,
        interim=(100,),
    )
    yield served(
        "expect: in capitals", rule, POST + b"EXPECT: 100-CONTINUE\r\n" + five + b"\r\nhello", b"hello", fields=gone
    )
    yield served("expect: no body", rule, GET + line + b"\r\n", b"", fields=gone)
    yield served("expect: a length of zero", rule, POST + line + b"Content-Length: 0\r\n\r\n", b"", fields=gone)
    for value in (
        b"100-continue;q=1",
        b"100-continue, 100-continue",
        b"100 continue",
        b"101-continue",
        b"x=100-continue",
        b'"100-continue"',
        b"100-continu\xe9",
    ):
        raw = POST + b"Expect: " + value + b"\r\n" + five + b"\r\nhello" + HIDDEN
        yield refused(f"expect: {value!r}", rule, raw, 400, 417)
    yield refused("expect: two lines", rule, POST + line * 2 + five + b"\r\nhello", 400, 417)
    yield either("expect: empty", rule, POST + b"Expect:\r\n" + five + b"\r\nhello", 400, 417)
    old = b"POST / HTTP/1.0\r\n" + HOST + line + five
    yield Case(
        "expect: in HTTP/1.0 there is no 100",
        "RFC 9110 10.1.1: MUST ignore",
        (old + b"\r\n", b"hello"),
        ((200,),),
        closes=True,
        body=b"hello",
        fields=gone,
        interim=(),
    )
    for name, raw, status in (
        ("a bad length", POST + line + b"Content-Length: x\r\n\r\n", 400),
        ("too long a body", POST + line + b"Content-Length: 65537\r\n\r\n", 413),
        ("no Host", b"POST / HTTP/1.1\r\n" + line + five + b"\r\n", 400),
        ("a method that is refused", b"TRACE / HTTP/1.1\r\n" + HOST + line + five + b"\r\n", 405),
    ):
        yield Case(f"expect: {name} is refused without 100", rule, (raw,), ((status,),), closes=True, interim=())
    raw = POST + line + b"Transfer-Encoding: gzip\r\n\r\n"
    yield Case(
        "expect: an unknown coding is 501, without 100",
        "RFC 9112 6.1: SHOULD respond with 501",
        (raw,),
        ((501,),),
        SHOULD,
        True,
        interim=(),
    )
    raw = POST + line + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN + SECOND
    yield Case("expect: a body that looks like a request", rule, (raw,), ((200,), (200,)), closes=False, body=HIDDEN)


def upgrades() -> Iterator[Case]:
    """Upgrade, declined by the backend: what follows is HTTP."""
    rule = "RFC 9110 7.8 and reliability 3: only websocket, held until 101, never raw otherwise"
    for value in (
        b"h2c",
        b"HTTP/2.0",
        b"TLS/1.0, HTTP/1.1",
        b"h2",
        b"websockets",
        b"web socket",
        b"websocket\x80",
        b"IRC/6.9",
    ):
        raw = (
            GET
            + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: "
            + value
            + b"\r\nHTTP2-Settings: AAMA\r\n\r\n"
            + SECOND
        )
        yield Case(
            f"upgrade: {value!r}",
            rule,
            (raw,),
            ((200, 400, 426, 501), (200,)),
            fields={"upgrade": (), "http2-settings": ()},
        )
    for value in (b"h2c, websocket", b"websocket, h2c", b"WebSocket", b",websocket,"):
        raw = GET + b"Connection: keep-alive, upgrade\r\nUpgrade: " + value + b"\r\n\r\n" + SECOND
        yield Case(
            f"upgrade: {value!r} offers websocket alone",
            rule,
            (raw,),
            ((200, 400), (200,)),
            fields={"upgrade": (b"websocket",)},
        )
    yield Case(
        "upgrade: two lines",
        rule,
        (GET + b"Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n" + SECOND,),
        ((200, 400), (200,)),
        level=SHOULD,
    )
    old = b"GET / HTTP/1.0\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    yield Case(
        "upgrade: in HTTP/1.0",
        "RFC 9110 7.8: MUST ignore",
        (old + HIDDEN,),
        ((200,),),
        closes=True,
        fields={"upgrade": ()},
    )
    for method in (b"HEAD", b"PUT", b"OPTIONS"):
        raw = method + b" / HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        yield either(
            f"upgrade: by {method.decode()}",
            "RFC 6455 4.1: GET",
            raw,
            fields={"upgrade": ()},
            heads=(0,) if method == b"HEAD" else (),
        )
    body = b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
    raw = GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n" + body + SECOND
    yield Case("upgrade: h2c with a body", rule, (raw,), ((200, 400), (200,)), body=None, fields={"upgrade": ()})
    yield served(
        "upgrade: Connection without Upgrade", rule, GET + b"Connection: upgrade\r\n\r\n", fields={"connection": ()}
    )


def limits() -> Iterator[Case]:
    """Sizes: what must pass, and what must not."""
    rule = "reliability 3 and 6: 431, 414, 413; RFC 9112 3: 8000 octets of a request line at least"
    yield served(
        "limits: a target of 8000",
        rule,
        b"GET /%b HTTP/1.1\r\n" % (b"a" * 7985) + HOST + b"\r\n",
        targets=(b"/" + b"a" * 7985,),
    )
    yield refused("limits: a target of 8193", rule, b"GET /%b HTTP/1.1\r\n" % (b"a" * 8192) + HOST + b"\r\n", 414)
    yield served("limits: 99 fields", rule, GET + b"X: y\r\n" * 98 + b"\r\n")
    yield refused("limits: 101 fields", rule, GET + b"X: y\r\n" * 100 + b"\r\n", 431)
    yield served("limits: a value of 16 kB", rule, GET + b"X: %b\r\n\r\n" % (b"y" * 16384))
    yield either("limits: a name of 8 kB", rule, GET + b"x" * 8192 + b": y\r\n\r\n", 400, 431)
    yield refused("limits: a head of 32 kB and more", rule, GET + b"X: %b\r\n" % (b"y" * 1000) * 34 + b"\r\n", 431)
    yield served("limits: a body of 64 kB", rule, POST + b"Content-Length: 65536\r\n\r\n" + b"x" * 65536, b"x" * 65536)
    yield refused("limits: a body of 64 kB and one", rule, POST + b"Content-Length: 65537\r\n\r\n" + b"x" * 65537, 413)
    yield served(
        "limits: chunks of 64 kB", rule, CHUNKED + (b"4000\r\n%b\r\n" % (b"x" * 0x4000)) * 4 + END, b"x" * 65536
    )
    yield refused(
        "limits: chunks of 64 kB and one",
        rule,
        CHUNKED + (b"4000\r\n%b\r\n" % (b"x" * 0x4000)) * 4 + b"1\r\nx\r\n" + END,
        413,
    )
    yield either(
        "limits: 5000 empty lines",
        "RFC 9112 2.2: at least one is to be ignored",
        b"\r\n" * 5000 + GET + b"\r\n",
        level=SHOULD,
    )
    yield refused("limits: empty chunk lines without end", rule, CHUNKED + b"\r\n" * 5000)


CASES = [*syntax(), *connections(), *claims(), *expectations(), *upgrades(), *limits()]
