"""Cases: what backends say, and how their connections end."""

from __future__ import annotations

from collections.abc import Iterator

from cases import CUT, SHOULD, Answer

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
BROKEN = (502, CUT)
FRAMING = "RFC 9112 6.3: ambiguous framing of a response is 502 and the connection is closed"
STATUS = "RFC 9112 4: status-line = HTTP-version SP 3DIGIT SP [ reason-phrase ]"
EXCESS = "RFC 9112 9.2: what was not asked for is discarded and its connection closed"
INTERIM = "RFC 9110 15.2: 1xx are relayed or dropped; 101 only when asked for"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")


def status_lines() -> Iterator[Answer]:
    """Status lines."""
    for line in (
        b"HTTP/1.1 200OK", b"HTTP/1.1200 OK", b"HTTP/1.1 2 00 OK", b"HTTP/1.1 0x200 OK", b"HTTP/1.1 2e2 OK",
        b"HTTP/1.1 20\xb2 OK",
        b"HTTP/1.1 \xef\xbc\x92\xef\xbc\x90\xef\xbc\x90 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1\x0b200 OK",
        b"HTTP/1.1 200\0", b"HTTPS/1.1 200 OK",
        b"HTTP/1.1, 200 OK", b"HTTP/1.1 0200 OK", b"\xef\xbb\xbfHTTP/1.1 200 OK", b"HTTP/11 200 OK",
        b"HTTP/1.10 200 OK", b"HTTP/-1.1 200 OK",
        b"HTTP/1.1 ,200 OK", b"RTSP/1.0 200 OK", b"GET / HTTP/1.1", b"Content-Length: 5",
    ):  # fmt: skip
        yield Answer(f"status: {line!r}", STATUS, (line + b"\r\n" + FIVE,), (502,))
    for line in (b"HTTP/1.1 600 X", b"HTTP/1.1 999 X", b"HTTP/1.1 200 a\x7fb", b"HTTP/1.1 200 a\x1bb"):
        yield Answer(f"status: {line!r}", STATUS, (line + b"\r\n" + FIVE,), (502, int(line[9:12])), SHOULD)
    yield Answer("status: empty lines in front", STATUS, (b"\r\n\r\n" + OK + FIVE,), (502, 200), SHOULD)
    for status in (205, 206, 299, 300, 418, 451, 599):
        yield Answer(
            f"status: {status} passes", STATUS, (b"HTTP/1.1 %d X\r\n" % status + FIVE,), (status,), body=b"hello"
        )


def framing() -> Iterator[Answer]:
    """Heads."""
    for value in (
        b"+5", b"-0", b"5,5", b"5, ", b"0x5", b"5 5", b"5;x", b"5.0", b"5e0", b"5_0", b"\x0b5", b"5\xa0",
        "٥".encode(), b'"5"', b"5h", b"18446744073709551616",
        b"9" * 400, b"NaN", b",5", b"5\x00", b"5\x7f",
    ):  # fmt: skip
        yield Answer(
            f"length: {value[:24]!r}", FRAMING, (OK + b"Content-Length: " + value + b"\r\n\r\nhello" + POISON,), (502,)
        )
    yield Answer(
        "length: leading zeros", FRAMING, (OK + b"Content-Length: 005\r\n\r\nhello",), (502, 200), body=b"hello"
    )
    for value in (
        b"identity", b"chunked, chunked", b"identity, chunked", b"chunked, identity", b"xchunked", b"chunked;a",
        b"chunked,", b",chunked", b"\x0bchunked",
        b"chunked\x00", b"gzip,chunked", b"chunked\xa0", b"'chunked'", b"deflate", b"chun\tked",
    ):  # fmt: skip
        yield Answer(
            f"coding: {value!r}",
            FRAMING,
            (OK + b"Transfer-Encoding: " + value + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + POISON,),
            (502,),
        )
    yield Answer(
        "coding: in capitals",
        FRAMING,
        (OK + b"transfer-ENCODING:\tCHUNKED \r\n\r\n5\r\nhello\r\n0\r\n\r\n",),
        (200,),
        body=b"hello",
    )
    for name, lines in {
        "three lengths": b"Content-Length: 5\r\n" * 3,
        "a length and a coding, apart": b"Content-Length: 5\r\nX: y\r\nTRANSFER-ENCODING: chunked\r\n",
        "a length of zero and a coding": b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "a coding and a bad length": b"Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
        "three codings": b"Transfer-Encoding: chunked\r\n" * 3,
        "a name with a NUL": b"X\0: y\r\nContent-Length: 5\r\n",
        "a coding's name with a tab": b"Transfer-Encoding\t: chunked\r\n",
        "a length's name with a NUL": b"Content-Length\0: 5\r\n",
        "a folded length": b"Content-Length:\r\n 5\r\n",
        "a fold at first": b" X: y\r\nContent-Length: 5\r\n",
        "a bare CR in a name": b"X\rY: z\r\nContent-Length: 5\r\n",
        "a line end of CR CR LF": b"X: y\r\r\nContent-Length: 5\r\n",
        "a line end of LF": b"X: y\nContent-Length: 5\r\n",
        "a name with a space": b"X Y: z\r\nContent-Length: 5\r\n",
        "ESC in a value": b"X: \x1b[2J\r\nContent-Length: 5\r\n",
    }.items():
        yield Answer(f"head: {name}", FRAMING, (OK + lines + b"\r\nhello" + POISON,), (502,))
    yield Answer(
        "head: a coding in HTTP/1.0",
        FRAMING,
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",),
        (502,),
    )
    yield Answer(
        "head: options of its own connection end here",
        "RFC 9110 7.6.1",
        (OK + b"Connection: x-mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: a\r\nX-Accel-Buffering: no\r\n" + FIVE,),
        (200,),
        body=b"hello",
        fields={"x-mine": (), "keep-alive": (), "x-accel-buffering": (), "connection": ()},
    )
    yield Answer(
        "head: framing is not nominated away",
        "RFC 9110 7.6.1",
        (OK + b"Connection: content-length, set-cookie\r\n" + FIVE,),
        (200,),
        body=b"hello",
    )
    yield Answer(
        "head: fields in order, 8-bit values",
        "RFC 9110 5.5",
        (OK + b"X: \xe9\r\nX: b\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n" + FIVE,),
        (200,),
        body=b"hello",
        fields={"x": (b"\xe9", b"b"), "set-cookie": (b"a", b"b")},
    )


def bodies() -> Iterator[Answer]:
    """Bodies."""
    rule = "RFC 9112 7.1 and 8: what is broken must not look whole"
    for name, body in {
        "a NUL behind a size": b"5\0\r\nhello\r\n0\r\n\r\n",
        "a space behind a size": b"5 \r\nhello\r\n0\r\n\r\n",
        "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
        "a plus": b"+5\r\nhello\r\n0\r\n\r\n",
        "an empty size": b"\r\n5\r\nhello\r\n0\r\n\r\n",
        "CR CR LF": b"5\r\r\nhello\r\n0\r\n\r\n",
        "data ended by CR": b"5\r\nhello\r0\r\n\r\n",
        "data too short": b"6\r\nhello\r\n0\r\n\r\n",
        "2^64 + 5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "an end of LF": b"5\r\nhello\r\n0\n\n",
        "a bad trailer": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
        "a trailer that is a length": b"5\r\nhello\r\n0\r\nContent-Length: 6\r\n\r\n",
        "bad behind a good one": b"5\r\nhello\r\n-1\r\n",
    }.items():
        yield Answer(f"chunks: {name}", rule, (CHUNKED + body,), BROKEN, then="stall")
        yield Answer(f"chunks: {name}, apart", rule, (CHUNKED, body), (CUT,), then="stall")
    yield Answer(
        "chunks: trailers end here",
        "RFC 9110 6.5",
        (CHUNKED + b"5\r\nhello\r\n0\r\nSet-Cookie: poison\r\nX: poison\r\n\r\n",),
        (200,),
        body=b"hello",
    )
    yield Answer(
        "chunks: 65 trailers",
        rule,
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * 65 + b"\r\n",),
        (502, CUT, 200),
        SHOULD,
        then="stall",
    )
    yield Answer(
        "chunks: in pieces",
        rule,
        (CHUNKED[:20], CHUNKED[20:], b"5;", b"a\r", b"\nhe", b"llo\r", b"\n0\r\n\r", b"\n"),
        (200,),
        body=b"hello",
    )
    for name, more in {"an answer": POISON, "one octet": b"p", "a line end": b"\r\n", "a NUL": b"\0"}.items():
        yield Answer(f"excess: {name} behind a length", EXCESS, (OK + FIVE + more,), (200,), body=b"hello")
        yield Answer(f"excess: {name} behind a length, apart", EXCESS, (OK + FIVE, more), (200,), body=b"hello")
        yield Answer(
            f"excess: {name} behind chunks",
            EXCESS,
            (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + more,),
            (200,),
            body=b"hello",
        )
        yield Answer(
            f"excess: {name} behind HEAD",
            EXCESS,
            (OK + b"Content-Length: 5\r\n\r\n", more),
            (200,),
            body=b"",
            method="HEAD",
        )
        yield Answer(
            f"excess: {name} behind 304",
            EXCESS,
            (b"HTTP/1.1 304 X\r\nContent-Length: 6\r\n\r\n", more),
            (304,),
            body=b"",
        )
    for status in (204, 304):
        for lines in (
            b"Content-Length: 6\r\n\r\npoison",
            b"Transfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n",
            b"Content-Length: 0\r\n\r\n",
        ):
            yield Answer(
                f"bodyless: {status} {lines[:30]!r}",
                "RFC 9112 6.3 (1)",
                (b"HTTP/1.1 %d X\r\n" % status + lines,),
                (status, 502),
            )
    yield Answer(
        "HEAD: chunks", "RFC 9112 6.3 (1)", (CHUNKED + b"6\r\npoison\r\n0\r\n\r\n",), (200,), method="HEAD", body=b""
    )
    yield Answer(
        "HEAD: an answer for a body",
        "RFC 9112 6.3 (1)",
        (OK + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON,),
        (200,),
        method="HEAD",
        body=b"",
    )
    for then in ("close", "reset"):
        yield Answer(f"cut: in a length, {then}", rule, (OK + b"Content-Length: 9\r\n\r\nhello",), BROKEN, then=then)
        yield Answer(
            f"cut: one octet is missing, {then}", rule, (OK + b"Content-Length: 6\r\n\r\nhello",), BROKEN, then=then
        )
        yield Answer(f"cut: in a chunk, {then}", rule, (CHUNKED + b"9\r\nhello",), BROKEN, then=then)
        yield Answer(f"cut: before the last line, {then}", rule, (CHUNKED + b"5\r\nhello\r\n0\r\n",), BROKEN, then=then)
        yield Answer(f"cut: before everything, {then}", rule, (b"",), (502,), then=then, method="POST")
        yield Answer(f"cut: in the version, {then}", rule, (b"HTT",), (502,), then=then, method="POST")
        yield Answer(f"cut: behind a 103, {then}", rule, (b"HTTP/1.1 103 X\r\n\r\n",), (502,), then=then, method="POST")
    yield Answer("cut: until the end, with a reset", rule, (OK + b"\r\n", b"hello"), BROKEN, then="reset")
    yield Answer(
        "end: HTTP/1.0 until the end",
        "RFC 9112 6.3 (8)",
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello",),
        (200,),
        body=b"hello",
        then="close",
    )
    yield Answer(
        "end: a closed one is not used again",
        "RFC 9112 9.6",
        (OK + b"Connection: Keep-Alive, Close\r\n" + FIVE,),
        (200,),
        body=b"hello",
    )


def interims() -> Iterator[Answer]:
    """1xx."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    final = OK + FIVE
    yield Answer(
        "1xx: 102 and 103", INTERIM, (b"HTTP/1.1 102 Processing\r\n\r\n" + hints + final,), (200,), body=b"hello"
    )
    yield Answer("1xx: 199", INTERIM, (b"HTTP/1.1 199 X\r\n\r\n" + final,), (200,), body=b"hello")
    yield Answer(
        "1xx: with a length, which means nothing",
        "RFC 9112 6.3 (1)",
        (b"HTTP/1.1 103 X\r\nContent-Length: 6\r\n\r\n" + final,),
        (200, 502),
        body=None,
    )
    yield Answer(
        "1xx: with a coding, which means nothing",
        "RFC 9112 6.3 (1)",
        (b"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n" + final,),
        (200, 502),
    )
    yield Answer(
        "1xx: with a body", "RFC 9112 6.3 (1)", (b"HTTP/1.1 103 X\r\nContent-Length: 6\r\n\r\npoison" + final,), (502,)
    )
    yield Answer("1xx: with a field that cannot be", FRAMING, (b"HTTP/1.1 103 X\r\nA: \0\r\n\r\n" + final,), (502,))
    yield Answer(
        "1xx: cut in two",
        INTERIM,
        (hints[:10], hints[10:] + final[:3], final[3:]),
        (200,),
        body=b"hello",
        interim=(103,),
    )
    yield Answer("1xx: 40 of them", "reliability 3: 16 to 32 at most", (hints * 40 + final,), (502,), SHOULD)
    yield Answer(
        "1xx: before HEAD's answer",
        INTERIM,
        (hints + OK + b"Content-Length: 5\r\n\r\n",),
        (200,),
        method="HEAD",
        body=b"",
        interim=(103,),
    )
    switch = b"HTTP/1.1 101 Switching Protocols\r\n"
    ask = "RFC 9110 7.8: 101 names the protocol, and only one that was asked for; else 502"
    yield Answer(
        "101: unasked",
        ask,
        (switch + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\npoison",),
        (502,),
        then="stall",
    )
    yield Answer(
        "101: unasked, to POST",
        ask,
        (switch + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\npoison",),
        (502,),
        then="stall",
        method="POST",
    )
    for name, fields in {
        "another protocol": b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "no Upgrade": b"Connection: upgrade\r\n\r\n",
        "no Connection": b"Upgrade: websocket\r\n\r\n",
        "a name that only begins like it": b"Connection: upgrade\r\nUpgrade: websocket2\r\n\r\n",
    }.items():
        yield Answer(f"101: {name}", ask, (switch + fields,), (502,), SHOULD, then="stall", lines=UPGRADE)
    yield Answer(
        "101: declined, then excess",
        EXCESS,
        (b"HTTP/1.1 403 Forbidden\r\n" + FIVE + b"poison",),
        (403,),
        body=b"hello",
        lines=UPGRADE,
    )


CASES = [*status_lines(), *framing(), *bodies(), *interims()]
