"""Cases: Content-Length, Transfer-Encoding, chunks, and what follows a body."""

from __future__ import annotations

from collections.abc import Iterator

from cases import CHUNKED, END, GET, HELLO, HIDDEN, HOST, POST, SECOND, SHOULD, Case, either, refused, served

CL = "RFC 9112 6.3 and RFC 9110 8.6: Content-Length = 1*DIGIT, once; else 400 and close"
TE = "RFC 9112 6.1: exactly one chunked; else 400 or 501, and close"
CHUNKS = "RFC 9112 7.1 and erratum 7633: chunk framing as the grammar has it, only CRLF ends a line"
NAME = "RFC 9112 5.1: nothing between a name and its colon, a name is a token"


def lengths() -> Iterator[Case]:
    """Content-Length."""
    tail = b"\r\n\r\nhello" + HIDDEN
    for value in (
        b"+0", b"-0", b"0x0", b"0 0", b"1e1", b"5\t5", b"5\x1f", b"5\x7f", b"5\x01", b"1,2,3", b",", b"5, 5, 5",
        b"5 ,5",
        b"NaN", b"inf", b"null", b"true", b'""', b"()", b"5.", b".5", b"5h", b"5L", b"5_", b"_5", b"5'", b"5/1",
        b"5%30",
        b"0b101", b"0o5", b"V", b"5\xc2\xa0", b"\xe2\x80\x8b5", b"\xef\xbb\xbf5", "१".encode(), "𝟓".encode(), b"5;",
        b"5:5",
        b"=5", b"~5", b"5\\r\\n", b"5\x0b", b"\x0c5", b"--5", b"5-5", b"5+0", b"[5]",
    ):  # fmt: skip
        yield refused(f"length: {value!r}", CL, POST + b"Content-Length: " + value + tail)
    for value in (b"05", b"0000000000000000005", b"00"):
        size = int(value)
        raw = POST + b"Content-Length: " + value + b"\r\n\r\nhello"[: 4 + size]
        yield either(f"length: {value!r} in decimal", CL, raw, body=b"hello"[:size])
    for value in (b"18446744073709551615", b"9223372036854775807", b"4294967296", b"1" + b"0" * 100):
        raw = POST + b"Content-Length: " + value + tail
        yield refused(f"length: {value[:24]!r}", "RFC 9110 8.6: no overflow", raw, 400, 413)
    line = b"Content-Length: 5\r\n"
    yield refused("length: three lines", CL, POST + line * 3 + b"\r\nhello")
    yield refused("length: two, apart", CL, POST + line + b"X: y\r\nContent-length: 6\r\n\r\nhello" + HIDDEN)
    yield refused("length: the second is empty", CL, POST + line + b"Content-Length:\r\n\r\nhello" + HIDDEN)
    yield refused(
        "length: the second has a space before its colon",
        NAME,
        POST + line + b"Content-Length : 0\r\n\r\nhello" + HIDDEN,
    )
    yield refused("length: two in HTTP/1.0", CL, b"POST / HTTP/1.0\r\n" + line * 2 + b"\r\nhello")
    yield refused("length: bad on GET", CL, GET + b"Content-Length: x\r\n\r\n" + HIDDEN)
    yield refused("length: bad, with Connection close", CL, POST + b"Connection: close\r\nContent-Length: 5,5" + tail)
    yield served(
        "length: named in Connection",
        "reliability 3: framing cannot be nominated away",
        POST + b"Connection: content-length\r\n" + line + b"\r\nhello",
        b"hello",
        fields={"content-length": (b"5",), "connection": ()},
    )
    for name in (
        b"Content-Length\0", b"\x0bContent-Length", b"Content-Length\x0b", b"Content-Length\x1f", b"Content\0Length",
        b"\xef\xbb\xbfContent-Length", b'"Content-Length"', b"Content-Length;", b"Content Length",
        b"Content-Length\xa0",
        b"Content-Length\t", b"Content-Length\r", b"(Content-Length)", b"Content-Length,",
    ):  # fmt: skip
        yield refused(f"length: the name {name!r}", NAME, POST + name + b": 5" + tail)


def codings() -> Iterator[Case]:
    """Transfer-Encoding."""
    tail = b"\r\n\r\n" + HELLO + END + HIDDEN
    for value in (
        b"chunked, ", b"chunked\t,", b"chunked;", b"chunked ;a", b"'chunked'", b"chunked\x0c", b"\x1fchunked",
        b"deflate",
        b"br", b"compress, chunked", b"chunked,chunked", b"trailers", b"chunked identity", b"chunked,identity",
        b"chunked=1", b"chunked:", b"\\chunked", b"chunked\\", b"chunked/1", b"[chunked]", b"chunked\x7f",
        b"chunked\xff",
        b"\xef\xbb\xbfchunked", b"ch\tunked", b"chunke", b"chunkeD1", b"x-chunked", b"chunked\x00,identity",
        b"identity;q=0, chunked",
        b"\"chunked\", chunked", b", , chunked", b"c%68unked", b"chunked\xc2\xa0", b"*", b"0", b"null",
    ):  # fmt: skip
        yield refused(f"coding: {value!r}", TE, POST + b"Transfer-Encoding: " + value + tail, 400, 501)
        raw = POST + b"Content-Length: 5\r\nTransfer-Encoding: " + value + tail
        yield refused(f"coding: {value!r} beside a length", "RFC 9112 6.3", raw, 400, 501)
    te = b"Transfer-Encoding: chunked\r\n"
    yield refused("coding: three lines", TE, POST + te * 3 + b"\r\n" + END)
    yield refused("coding: the first is empty", TE, POST + b"Transfer-Encoding:\r\n" + te + b"\r\n" + END, 400, 501)
    yield refused("coding: the second is empty", TE, POST + te + b"Transfer-Encoding:\r\n\r\n" + END, 400, 501)
    yield refused("coding: apart", TE, POST + te + b"X: y\r\ntransfer-encoding: identity\r\n\r\n" + END, 400, 501)
    yield refused("coding: on GET beside a length of zero", TE, GET + b"Content-Length: 0\r\n" + te + b"\r\n" + END)
    for host in (HOST, b""):
        old = b"POST / HTTP/1.0\r\n" + host
        yield refused(
            f"coding: in HTTP/1.0 with keep-alive {host!r}",
            "RFC 9112 6.1: faulty framing in HTTP/1.0",
            old + b"Connection: keep-alive\r\n" + te + b"\r\n" + HELLO + END + HIDDEN,
        )
        yield refused(
            f"coding: in HTTP/1.0 beside a length {host!r}",
            "RFC 9112 6.1: faulty framing in HTTP/1.0",
            old + b"Content-Length: 5\r\n" + te + b"\r\n" + HELLO + END,
        )
    for name in (
        b"Transfer-Encoding\0", b"\x0bTransfer-Encoding", b"Transfer-Encoding\x1f", b"Transfer Encoding",
        b'"Transfer-Encoding"', b"Transfer-Encoding;", b"Transfer-Encoding\xad", b"Transfer-Encoding\r",
        b"Transfer\0Encoding",
    ):  # fmt: skip
        yield refused(f"coding: the name {name!r}", NAME, POST + name + b": chunked\r\nContent-Length: 5" + tail)
    for name in (b"Transfer.Encoding", b"Transfer-Encoding-", b"X-Transfer-Encoding", b"Transfer-Encodin"):
        raw = POST + name + b": chunked\r\nContent-Length: 5\r\n\r\nhello"
        yield served(f"coding: the other field {name!r}", "RFC 9112 6.1", raw, b"hello")
    yield served(
        "coding: named in Connection",
        "reliability 3: framing cannot be nominated away",
        POST + b"Connection: transfer-encoding\r\n" + te + b"\r\n" + HELLO + END,
        b"hello",
        fields={"transfer-encoding": (b"chunked",), "connection": ()},
    )
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
        raw = method + b" / HTTP/1.1\r\n" + HOST + te + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
        yield served(
            f"coding: on {method.decode()}",
            "RFC 9112 6.3: a body is a body",
            raw,
            HIDDEN,
            heads=(0,) if method == b"HEAD" else (),
        )


def chunks() -> Iterator[Case]:
    """Chunk framing."""
    for name, body in {
        "a size and a NUL": b"5\0\r\nhello\r\n" + END,
        "a size and a vertical tab": b"5\x0b\r\nhello\r\n" + END,
        "a size in two parts": b"5,5\r\nhello\r\n" + END,
        "a size and an h": b"5h\r\nhello\r\n" + END,
        "0x alone": b"0x\r\n\r\n",
        "minus zero": b"-0\r\n\r\n",
        "plus zero": b"+0\r\n\r\n",
        "zero and a space": HELLO + b"0 \r\n\r\n",
        "zero and a tab": HELLO + b"0\t\r\n\r\n",
        "zero ended by CR CR LF": HELLO + b"0\r\r\n\r\n",
        "zero, an extension, LF": HELLO + b"0;a\n\r\n",
        "an end of CR CR LF": HELLO + b"0\r\n\r\r\n",
        "an end with a space": HELLO + b"0\r\n \r\n",
        "data ended by CR CR LF": b"5\r\nhello\r\r\n" + END,
        "data ended by LF CR LF": b"5\r\nhello\n\r\n" + END,
        "data ended by CR": b"5\r\nhello\r5\r\nhello\r\n" + END,
        "LF before a size": b"\n5\r\nhello\r\n" + END,
        "CR before a size": b"\r5\r\nhello\r\n" + END,
        "CRLF before the first size": b"\r\n" + HELLO + END,
        "LF CR LF behind a size": b"5\n\r\nhello\r\n" + END,
        "a size of 2^64 + 5": b"10000000000000005\r\nhello\r\n" + END,
        "a size of 2^63": b"8000000000000000\r\nhello\r\n" + END,
        "a size of 2^32 + 5": b"100000005\r\nhello\r\n" + END,
        "a size of 40 digits": b"f" * 40 + b"\r\nhello\r\n" + END,
        "a quoted string over a line end": b'5;a="\r\nhello\r\n"\r\n' + END + b"\r\n0",
        "fullwidth digits": "５\r\nhello\r\n".encode() + END,
        "a semicolon without a size": b";a=b\r\nhello\r\n" + END,
        "a size in a folded line": b"5\r\n hello\r\n" + END,
        "a trailer with a space before its colon": HELLO + b"0\r\nX : y\r\n\r\n",
        "a folded first trailer": HELLO + b"0\r\n\tX: y\r\n\r\n",
        "a trailer's name with a NUL": HELLO + b"0\r\n\0: y\r\n\r\n",
        "a trailer with a bare CR": HELLO + b"0\r\nX: y\rz\r\n\r\n",
        "a trailer with a bare LF": HELLO + b"0\r\nX: y\nz: a\r\n\r\n",
        "a request line for a trailer": HELLO + b"0\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "65 trailers": HELLO + b"0\r\n" + b"X: y\r\n" * 65 + b"\r\n",
        "an extension with DEL and a line feed": b"5;\x7f\n\r\nhello\r\n" + END,
    }.items():
        yield refused(f"chunks: {name}", CHUNKS, CHUNKED + body + HIDDEN, 400, 413)
    for name, line in {
        "nothing behind a semicolon": b"5;",
        "two semicolons": b"5;;",
        "an open quotation": b'5;a="',
        "octets over 127": b"5;\x80\xff",
        "an equals sign alone": b"5;=",
        "a space before the semicolon": b"5 ;a=b",
        "a tab behind the semicolon": b"5;\ta",
        "CR LF in escapes": b'5;a="\\r\\n0\\r\\n"',
        "40 leading zeros": b"0" * 40 + b"5",
        "DEL in an extension": b"5;a\x7fb",
        "a control in an extension": b"5;a\x01b",
    }.items():
        raw = CHUNKED + line + b"\r\nhello\r\n" + END
        yield either(f"chunks: {name}", "RFC 9112 7.1.1: dropped, or 400", raw, body=b"hello", closes=None)
    yield served(
        "chunks: 64 trailers",
        "reliability 3: 64 trailers",
        CHUNKED + HELLO + b"0\r\n" + b"X: y\r\n" * 64 + b"\r\n",
        b"hello",
        SHOULD,
    )
    yield served(
        "chunks: a trailer named like a claim",
        "RFC 9110 6.5.1: trailers are no fields",
        CHUNKED + HELLO + b"0\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        b"hello",
        fields={"x-real-ip": (b"127.0.0.1",), "x-forwarded-for": (b"127.0.0.1",)},
    )
    parts = tuple(bytes((octet,)) for octet in b"5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\n")
    yield Case("chunks: byte by byte", CHUNKS, (CHUNKED, *parts), ((200,),), closes=False, body=b"hello")
    yield Case(
        "chunks: bad, byte by byte",
        CHUNKS,
        (CHUNKED, b"5", b"\r", b"\n", b"hello", b"\r", b"0"),
        ((400,),),
        closes=True,
    )


def sequences() -> Iterator[Case]:
    """One request behind another."""
    rule = "RFC 9112 9.3: responses in the order of requests, framing decides where the next begins"
    length = POST + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
    chunked = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    yield Case(
        "sequence: length, chunks, GET",
        rule,
        (length + chunked + SECOND,),
        ((200,),) * 3,
        closes=False,
        targets=(b"/", b"/", b"/second"),
        body=HIDDEN,
    )
    yield Case(
        "sequence: chunks, length, GET",
        rule,
        (chunked + length + SECOND,),
        ((200,),) * 3,
        closes=False,
        targets=(b"/", b"/", b"/second"),
        body=HIDDEN,
    )
    head = b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n"
    yield Case("sequence: HEAD, then GET", rule, (head + SECOND,), ((200,), (200,)), closes=False, heads=(0,))
    yield Case(
        "sequence: empty lines between",
        "RFC 9112 2.2",
        (GET + b"\r\n\r\n\r\n" + SECOND,),
        ((200,), (200,)),
        closes=False,
    )
    yield Case(
        "sequence: an empty line behind a body",
        "RFC 9112 2.2",
        (length + b"\r\n" + SECOND,),
        ((200,), (200,)),
        closes=False,
    )
    yield Case(
        "sequence: a bad one last",
        rule,
        (length + SECOND + b"GET /third HTTP/1.1\r\n\r\n",),
        ((200,), (200,), (400,)),
        closes=True,
    )
    yield Case(
        "sequence: a bad body second", rule, (length + CHUNKED + b"x\r\n" + HIDDEN,), ((200,), (400,)), closes=True
    )
    yield Case(
        "sequence: LF for an empty line between", rule, (length + b"\n" + HIDDEN,), ((200,), (400,)), closes=True
    )
    yield Case(
        "sequence: CR for an empty line between", rule, (length + b"\r" + HIDDEN,), ((200,), (400,)), closes=True
    )
    yield Case("sequence: a space between", rule, (length + b" " + HIDDEN,), ((200,), (400,)), closes=True)
    yield Case(
        "sequence: one octet too many in a body",
        rule,
        (POST + b"Content-Length: 4\r\n\r\nhello" + HIDDEN,),
        ((200,), (400, 501)),
        closes=True,
    )
    yield Case(
        "sequence: HTTP/1.0 keep-alive twice",
        "RFC 9112 9.3",
        ((b"GET / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n") * 2,),
        ((200,), (200,)),
        closes=False,
        targets=(b"/", b"/"),
    )
    yield Case(
        "sequence: close in capitals",
        "RFC 9112 9.6: nothing behind close is processed",
        (GET + b"Connection: CLOSE\r\n\r\n" + HIDDEN,),
        ((200,),),
        closes=True,
    )
    yield Case(
        "sequence: close in a second Connection",
        "RFC 9110 5.3: lines are one list",
        (GET + b"Connection: keep-alive\r\nConnection: close\r\n\r\n" + HIDDEN,),
        ((200,),),
        closes=True,
    )
    yield Case(
        "sequence: close and keep-alive",
        "RFC 9112 9.3: close wins",
        (GET + b"Connection: close, keep-alive\r\n\r\n" + HIDDEN,),
        ((200,),),
        closes=True,
    )
    yield Case(
        "sequence: Proxy-Connection is no Connection",
        "RFC 9112 C.2.2",
        (GET + b"Proxy-Connection: close\r\n\r\n" + SECOND,),
        ((200,), (200,)),
        closes=False,
    )
    for at in (1, 4, 14, 16, 20, len(GET), len(GET) + 1):
        whole = GET + b"\r\n" + SECOND
        yield Case(f"sequence: split at {at}", "RFC 9112 2", (whole[:at], whole[at:]), ((200,), (200,)), closes=False)


CASES = [*lengths(), *codings(), *chunks(), *sequences()]
