"""Requests that two readers could understand differently, or that no reader should take, against a running door.

Rules: each row names what is sent, the statuses of all answers in order, whether the door then closes, and the targets
of the requests that reached the backend whole (by default one for each 2xx). A connection that stays open must answer
one more request correctly. The backend reads strictly: it must never see anything ambiguous, and never a request for
/smuggled, which no client here has sent to any reader that goes by RFC 9112.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from configs import plain
from wires import CleanDoor, Recorder, Wire

CONFIG = plain(
    '[http]\nmax_body = "64k"', route='[[site.s.route]]\npath = "/trailers"\nupstream = "app"\ntrailers = true'
)

Statuses = tuple[int | tuple[int, ...], ...]  # a tuple within stands for "one of these"


@dataclass(frozen=True)
class Row:
    """One case."""

    name: str
    raw: bytes
    statuses: Statuses
    closes: bool = True
    seen: tuple[bytes, ...] | None = None
    body: bytes | None = None  # of the first request, as the backend has to see it


HOST = b"Host: a.test\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n"
BOTH = (b"/", b"/second")


def refused(name: str, raw: bytes, *statuses: int) -> Row:
    """A row that is answered once, with one of the statuses (400 if none is given), and closed."""
    return Row(name, raw, ((statuses or (400,)),), True, ())


def served(name: str, raw: bytes, body: bytes | None = None) -> Row:
    """A row that reaches the backend; the connection stays open."""
    return Row(name, raw, (200,), False, None, body)


def lengths() -> Iterator[Row]:
    """Content-Length in all its shapes."""
    tail = b"\r\n\r\nhello"
    wrong = {
        "with a plus": b"+5",
        "negative": b"-5",
        "hexadecimal": b"0x5",
        "with an underscore": b"0_5",
        "quoted": b'"5"',
        "decimal": b"5.0",
        "with an exponent": b"5e0",
        "with a parameter": b"5;x",
        "two words": b"5 5",
        "a list of equals": b"5, 5",
        "a list of unequals": b"5, 6",
        "a list without spaces": b"5,5",
        "a list with nothing in front": b",5",
        "a list with nothing behind": b"5,",
        "empty": b"",
        "blank": b"   ",
        "behind a vertical tab": b"\x0b5",
        "before a form feed": b"5\x0c",
        "with a NUL": b"5\0",
        "with a next-line octet": b"5\x85",
        "with a no-break space": b"5\xa0",
        "with digits of Arabic script": "٥".encode(),
        "superscript": "⁵".encode(),
        "fullwidth": "５".encode(),
        "a word": b"five",
    }
    for name, value in wrong.items():
        yield refused(f"length {name}", POST + b"Content-Length: " + value + tail)
    for name, value in {
        "of 2^63": b"9223372036854775808",
        "of 2^64 + 5": b"18446744073709551621",
        "of 2^32 + 5": b"4294967301",
        "of 5000 digits": b"9" * 5000,
        "of 18 digits": b"9" * 18,
        "of one byte too many": b"65537",
    }.items():
        yield refused(f"length {name}", POST + b"Content-Length: " + value + tail, 400, 413)
    yield refused("length with leading zeros", POST + b"Content-Length: 005" + tail)
    yield refused("two equal lengths", POST + b"Content-Length: 5\r\nContent-Length: 5" + tail)
    yield refused("two unequal lengths", POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\n" + HIDDEN)
    yield refused("two lengths, one in capitals", POST + b"Content-Length: 0\r\nCONTENT-LENGTH: 41\r\n\r\n" + HIDDEN)
    yield refused("length with a space before its colon", POST + b"Content-Length : 41\r\n\r\n" + HIDDEN)
    yield refused("length with a tab before its colon", POST + b"Content-Length\t: 41\r\n\r\n" + HIDDEN)
    yield refused("length on a folded line", POST + b"X: y\r\n Content-Length: 41\r\n\r\n" + HIDDEN)
    yield refused("length folded after its colon", POST + b"Content-Length:\r\n 5" + tail)
    yield served("length without a space", POST + b"Content-Length:5" + tail, b"hello")
    yield served("length behind a tab", POST + b"Content-Length:\t5 \t" + tail, b"hello")
    yield served("length of zero", POST + b"Content-Length: 0\r\n\r\n", b"")
    yield Row(
        "length with an underscore in its name", POST + b"Content_Length: 5" + tail + b"\r\n", (200, 400), True, (b"/",)
    )


def codings() -> Iterator[Row]:
    """Transfer-Encoding in all its shapes."""
    body = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    wrong = {
        "unknown": b"gzip",
        "identity": b"identity",
        "chunked last": b"gzip, chunked",
        "chunked first": b"chunked, gzip",
        "chunked twice in a list": b"chunked, chunked",
        "an empty element in front": b", chunked",
        "an empty element behind": b"chunked,",
        "empty": b"",
        "a longer word": b"xchunked",
        "a word with more behind": b"chunkedx",
        "with a parameter": b"chunked;q=1",
        "quoted": b'"chunked"',
        "two words": b"chunk ed",
        "behind a vertical tab": b"\x0bchunked",
        "with a NUL": b"chunked\0",
        "with a no-break space": b"\xa0chunked",
        "with a line separator": b"chunked\xe2\x80\xa8",
        "in letters that fold to it": "chunKed".replace("K", "\u212a").encode(),
    }
    for name, value in wrong.items():
        yield refused(f"coding: {name}", POST + b"Transfer-Encoding: " + value + body, 400, 501)
    te, cl = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"
    end = b"\r\n0\r\n\r\n"
    yield refused("coding twice", POST + te + te + end)
    yield refused("coding chunked, then another", POST + te + b"Transfer-Encoding: cow\r\n" + end)
    yield refused("another coding, then chunked", POST + b"Transfer-Encoding: cow\r\n" + te + end)
    yield refused("length, then coding", POST + cl + te + end + HIDDEN)
    yield refused("coding, then length", POST + te + cl + end + HIDDEN)
    yield refused("length of zero and coding", POST + b"Content-Length: 0\r\n" + te + end + HIDDEN)
    yield refused("coding with a space before its colon", POST + b"Transfer-Encoding : chunked\r\n" + end)
    yield refused("coding on a folded line", POST + b"X: y\r\n Transfer-Encoding: chunked\r\n" + end)
    yield refused("coding folded after its colon", POST + b"Transfer-Encoding:\r\n chunked\r\n" + end)
    yield refused("coding in HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + te + end)
    yield refused("coding behind a bare CR", POST + b"X: y\rTransfer-Encoding: chunked\r\n" + end)
    yield refused("coding behind a bare LF", POST + b"X: y\nTransfer-Encoding: chunked\r\n" + end)
    yield served("coding in capitals", POST + b"TRANSFER-ENCODING: CHUNKED" + body, b"hello")
    yield served("coding behind blanks", POST + b"Transfer-Encoding: \t chunked" + body, b"hello")
    yield Row(
        "coding with an underscore in its name", POST + b"Transfer_Encoding: chunked" + body, (200, 400), True, (b"/",)
    )


def chunks() -> Iterator[Row]:
    """Chunked bodies; what is wrong must never become a whole request at the backend."""
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    end = b"0\r\n\r\n"
    wrong = {
        "a size ended by LF": b"5\nhello\r\n" + end,
        "data ended by LF": b"5\r\nhello\n" + end,
        "data ended by nothing": b"5\r\nhello" + end,
        "data ended by other bytes": b"5\r\nhelloXX" + end,
        "data longer than its size": b"3\r\nhello\r\n" + end,
        "a size of letters": b"g\r\nhello\r\n" + end,
        "a size with a sign": b"+5\r\nhello\r\n" + end,
        "a negative size": b"-1\r\nhello\r\n" + end,
        "a size with 0x": b"0x5\r\nhello\r\n" + end,
        "a size with an underscore": b"0_5\r\nhello\r\n" + end,
        "a size behind a blank": b" 5\r\nhello\r\n" + end,
        "a size before a blank": b"5 \r\nhello\r\n" + end,
        "a size before a tab": b"5\t\r\nhello\r\n" + end,
        "an empty size": b"\r\nhello\r\n" + end,
        "a size that overflows 64 bits": b"10000000000000005\r\nhello\r\n" + end,
        "a size of all ones": b"ffffffffffffffff\r\nhello\r\n" + end,
        "a size quoted": b'"5"\r\nhello\r\n' + end,
        "a size ended by CR": b"5\rhello\r\n" + end,
        "a size ended by CR CR LF": b"5\r\r\nhello\r\n" + end,
        "an extension with LF": b"5;a\nb\r\nhello\r\n" + end,
        "an extension with CR": b"5;a\rb\r\nhello\r\n" + end,
        "an extension with NUL": b"5;a\0b\r\nhello\r\n" + end,
        "an extension of 20 kB": b"5;" + b"a" * 20000 + b"\r\nhello\r\n" + end,
        "extensions of 20 kB in all": (b"1;" + b"a" * 400 + b"\r\nx\r\n") * 50 + end,
        "an end with LF": b"5\r\nhello\r\n0\n\n",
        "an end with LF behind it": b"5\r\nhello\r\n0\r\n\n",
        "a trailer ended by LF": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
        "a trailer without a colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
        "a trailer without a name": b"5\r\nhello\r\n0\r\n: y\r\n\r\n",
        "a trailer that is folded": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
        "a trailer with a NUL": b"5\r\nhello\r\n0\r\nX: y\0\r\n\r\n",
        "a trailer that is a length": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "a trailer that is a coding": b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "200 trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        "trailers of 20 kB": b"5\r\nhello\r\n0\r\n" + b"X: %b\r\n" % (b"y" * 1000) * 20 + b"\r\n",
        "a trailer of 20 kB that does not end": b"5\r\nhello\r\n0\r\nX: " + b"y" * 20000,
    }
    for name, body in wrong.items():
        yield refused(f"chunks: {name}", head + body + HIDDEN, 400, 413)
    yield refused("chunks: more than max_body", head + b"8000\r\n%b\r\n" % (b"x" * 32768) * 3 + end, 413)
    yield refused("chunks: a size over max_body", head + b"fffffff\r\n" + b"x" * 70000, 413)
    yield served("chunks: many", head + b"1\r\nh\r\n" * 300 + end, b"h" * 300)
    yield served("chunks: leading zeros", head + b"0005\r\nhello\r\n000\r\n\r\n", b"hello")
    yield served("chunks: extensions, dropped", head + b'5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n', b"hello")
    yield served("chunks: trailers, dropped", head + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nCookie: a\r\n\r\n", b"hello")
    yield served("chunks: none", head + end, b"")
    yield Row(
        "chunks: and a request behind", head + b"5\r\nhello\r\n" + end + SECOND, (200, 200), False, BOTH, b"hello"
    )


def lines() -> Iterator[Row]:
    """Request lines and targets."""
    rest = b"\r\n" + HOST + b"\r\n"
    wrong = {
        "a tab for a space": b"GET\t/ HTTP/1.1",
        "two spaces before the target": b"GET  / HTTP/1.1",
        "two spaces behind the target": b"GET /  HTTP/1.1",
        "a space in front": b" GET / HTTP/1.1",
        "a space behind": b"GET / HTTP/1.1 ",
        "a word too many": b"GET / x HTTP/1.1",
        "no target": b"GET HTTP/1.1",
        "no version": b"GET /",
        "nothing but a method": b"GET",
        "a version in small letters": b"GET / http/1.1",
        "a version without a dot": b"GET / HTTP/11",
        "a version of three digits": b"GET / HTTP/1.10",
        "a version with more behind": b"GET / HTTP/1.1x",
        "a version with a space": b"GET / HTTP/ 1.1",
        "a method with an at": b"G@T / HTTP/1.1",
        "a method that is a NUL": b"\0 / HTTP/1.1",
        "a method that is not ASCII": b"G\xc3\x8bT / HTTP/1.1",
        "a fragment": b"GET /#smuggled HTTP/1.1",
        "DEL in the target": b"GET /\x7f HTTP/1.1",
        "a control in the target": b"GET /\x01 HTTP/1.1",
        "NUL in the target": b"GET /\0 HTTP/1.1",
        "UTF-8 in the target": "GET /é HTTP/1.1".encode(),
        "CR in the target": b"GET /\r HTTP/1.1",
        "an asterisk": b"GET * HTTP/1.1",
        "an asterisk and more": b"OPTIONS */x HTTP/1.1",
        "a bare word": b"GET smuggled HTTP/1.1",
        "a query alone": b"GET ?smuggled HTTP/1.1",
        "a backslash in front": b"GET \\smuggled HTTP/1.1",
        "an authority alone": b"GET a.test:80 HTTP/1.1",
        "another scheme": b"GET ftp://a.test/ HTTP/1.1",
        "no authority": b"GET http:///smuggled HTTP/1.1",
        "an authority that is not Host's": b"GET http://b.test/ HTTP/1.1",
        "user information": b"GET http://u:p@a.test/ HTTP/1.1",
        "user information that looks like the host": b"GET http://a.test@b.test/ HTTP/1.1",
        "a broken IPv6 authority": b"GET http://[::1/ HTTP/1.1",
        "above the root": b"GET /../smuggled HTTP/1.1",
        "above the root, in escapes": b"GET /a/%2e%2e/%2E./smuggled HTTP/1.1",
    }
    for name, line in wrong.items():
        yield refused(f"line: {name}", line + rest)
    yield refused("line: CR alone behind it", b"GET / HTTP/1.1\r" + HOST + b"\r\n")
    yield refused("line: LF alone behind it", b"GET / HTTP/1.1\n" + HOST + b"\r\n")
    yield refused("line: all lines with LF", b"GET / HTTP/1.1\nHost: a.test\n\n")
    for version in (b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"):
        yield refused(f"line: {version.decode()}", b"GET / " + version + rest, 505)
    yield refused("line: the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505)
    yield refused("line: a TLS hello", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500), 400)
    yield refused("line: a greeting of SSH", b"SSH-2.0-OpenSSH_9.6\r\n", 400)
    yield refused("line: the header of PROXY", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + GET + b"\r\n", 400)
    yield refused("line: small letters", b"get / HTTP/1.1" + rest, 400, 501)
    yield refused("line: an unknown method", b"FROBNICATE / HTTP/1.1" + rest, 405, 501)
    yield refused("line: CONNECT", b"CONNECT a.test:443 HTTP/1.1" + rest + HIDDEN, 405, 501)
    yield refused("line: TRACE", b"TRACE / HTTP/1.1" + rest, 405, 501)
    yield refused("line: a target of 9 kB", b"GET /" + b"a" * 9000 + b" HTTP/1.1" + rest, 414)
    yield refused("line: a target that does not end", b"GET /" + b"a" * 40000, 414)
    seen = {
        b"GET http://a.test/x?y HTTP/1.1": b"/x?y",
        b"GET http://A.TEST HTTP/1.1": b"/",
        b"GET //smuggled@a.test/ HTTP/1.1": b"//smuggled@a.test/",
        b"GET /%00%0d%0aX:%20y HTTP/1.1": b"/%00%0d%0aX:%20y",
        b"GET /a/../b HTTP/1.1": b"/a/../b",
        b"GET /a\\b;c='\"<>{}|^` HTTP/1.1": b"/a\\b;c='\"<>{}|^`",
        b"GET /?a=http://b.test/../x HTTP/1.1": b"/?a=http://b.test/../x",
        b"OPTIONS * HTTP/1.1": b"*",
    }
    for line, target in seen.items():
        yield Row(f"line: {line.decode()}", line + rest, (200,), False, (target,))
    yield served("line: behind an empty line", b"\r\n" + GET + b"\r\n")


def hosts() -> Iterator[Row]:
    """Host, the field that decides who answers."""
    line = b"GET / HTTP/1.1\r\n"
    wrong = {
        "missing": b"",
        "empty": b"Host:\r\n",
        "twice": HOST + HOST,
        "two of them": HOST + b"Host: b.test\r\n",
        "two of them, apart": HOST + b"X: y\r\nhOST: b.test\r\n",
        "two names": b"Host: a.test b.test\r\n",
        "a list": b"Host: a.test,b.test\r\n",
        "a tab inside": b"Host: a\ttest\r\n",
        "a slash": b"Host: a.test/x\r\n",
        "a query": b"Host: a.test?x\r\n",
        "a fragment": b"Host: a.test#x\r\n",
        "user information": b"Host: u@a.test\r\n",
        "a backslash": b"Host: a.test\\x\r\n",
        "a scheme": b"Host: http://a.test\r\n",
        "a port of letters": b"Host: a.test:http\r\n",
        "a negative port": b"Host: a.test:-1\r\n",
        "a port too high": b"Host: a.test:65536\r\n",
        "two ports": b"Host: a.test:80:80\r\n",
        "an open bracket": b"Host: [::1\r\n",
        "something behind the bracket": b"Host: [::1]x\r\n",
        "not ASCII": b"Host: \xe9.test\r\n",
        "a broken escape": b"Host: a%zz\r\n",
        "a NUL": b"Host: a\0.test\r\n",
        "a quote": b'Host: "a.test"\r\n',
        "an angle": b"Host: a<b\r\n",
        "a space before its colon": b"Host : a.test\r\n",
        "on a folded line": b"X: y\r\n Host: a.test\r\n",
    }
    for name, field in wrong.items():
        yield refused(f"host: {name}", line + field + b"\r\n")
    for value in (b"a.test:80", b"A.Test", b"a.test.", b"127.0.0.1", b"[::1]:8080", b"xn--e1afmkfd.test"):
        yield served(f"host: {value.decode()}", line + b"Host: " + value + b"\r\n\r\n")
    yield Row("host: missing in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", (200,))


def fields() -> Iterator[Row]:
    """Field lines."""
    wrong = {
        "a space in the name": b"X Y: z",
        "a space before the colon": b"X : z",
        "a tab before the colon": b"X\t: z",
        "no name": b": z",
        "no colon": b"X",
        "NUL in the name": b"X\0Y: z",
        "a control in the name": b"X\x01: z",
        "parentheses in the name": b"(X): z",
        "a slash in the name": b"X/Y: z",
        "a name that is not ASCII": b"\xc3\xa9: z",
        "NUL in the value": b"X: y\0z",
        "a control in the value": b"X: y\x01z",
        "DEL in the value": b"X: y\x7fz",
        "a vertical tab in the value": b"X: y\x0bz",
        "CR in the value": b"X: y\rz",
        "CR before the line end": b"X: y\r",
        "LF in the value": b"X: y\nSmuggled: z",
        "a folded line": b"X: y\r\n z",
        "a line folded with a tab": b"X: y\r\n\tz",
        "a blank line that is not empty": b"X: y\r\n ",
    }
    for name, line in wrong.items():
        yield refused(f"field: {name}", GET + line + b"\r\n\r\n" + HIDDEN)
    yield refused("field: the first line is folded", b"GET / HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n")
    yield refused("fields: 200 of them", GET + b"X: y\r\n" * 200 + b"\r\n", 431)
    yield refused("fields: 40 kB of them", GET + b"X: %b\r\n" % (b"y" * 1000) * 40 + b"\r\n", 431)
    yield refused("field: 40 kB long", GET + b"X: " + b"y" * 40000 + b"\r\n\r\n", 431)
    yield refused("field: that does not end", GET + b"X: " + b"y" * 40000, 431)
    yield refused("field: a name that does not end", GET + b"y" * 40000, 431)
    yield served("field: Latin-1 in the value", GET + b"X: caf\xe9\r\n\r\n")
    yield served("field: no value", GET + b"X:\r\n\r\n")
    yield served("field: nearly 100 of them", GET + b"X: y\r\n" * 90 + b"\r\n")


def bodies() -> Iterator[Row]:
    """Bodies where nobody expects them, and what follows."""
    body = b"Content-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN)
    yield Row("body: on GET", GET + body, (200,), False, None, HIDDEN)
    yield Row("body: on HEAD", GET.replace(b"GET", b"HEAD") + body, (200,), False, None, HIDDEN)
    yield Row("body: on OPTIONS", GET.replace(b"GET", b"OPTIONS") + body, (200,), False, None, HIDDEN)
    yield Row("body: on DELETE", GET.replace(b"GET", b"DELETE") + body, (200,), False, None, HIDDEN)
    yield Row("body: and a request behind", POST + body + SECOND, (200, 200), False, BOTH, HIDDEN)
    yield Row("three at once", GET + b"\r\n" + SECOND * 2, (200, 200, 200), False, (*BOTH, b"/second"))
    yield Row("bytes behind a close", GET + b"Connection: close\r\n\r\n" + HIDDEN, (200,))
    yield Row("bytes behind a close in a list", GET + b"Connection: x, Close\r\n\r\n" + HIDDEN, (200,))
    yield Row("bytes behind HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n" + HIDDEN, (200,))
    yield Row("bytes behind a body and a close", POST + b"Connection: close\r\n" + body + HIDDEN, (200,))
    yield Row("rubbish behind a request", GET + b"\r\n" + b"\x00\x01rubbish\r\n\r\n", (200, 400), True, (b"/",))
    yield Row("a bad one, then another", GET + b"X : y\r\n\r\n" + HIDDEN, (400,), True, ())
    expect = POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    yield served("expect: 100-continue, body sent at once", expect + b"hello", b"hello")
    yield refused("expect: unknown", POST + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello", 417)
    yield refused("expect: more than 100-continue", POST + b"Expect: 100-continue, x\r\nContent-Length: 5\r\n\r\n", 417)
    yield refused("expect: too much", POST + b"Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n", 413)
    websocket = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    yield refused("upgrade: with a length", GET + websocket + body)
    yield refused("upgrade: with chunks", GET + websocket + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN)
    yield served("upgrade: by POST, which is none", POST + websocket + b"\r\n")
    yield refused("upgrade: by POST, with a body", POST + websocket + body)
    yield Row("upgrade: declined, and a request behind", GET + websocket + b"\r\n" + SECOND, (200, 200), False, BOTH)
    h2c = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    yield Row("upgrade: to HTTP/2", GET + h2c, (200,), False)
    yield Row("upgrade: to HTTP/2, and a request behind", GET + h2c + SECOND, (200, 200), False, BOTH)
    yield served("upgrade: not in Connection", GET + b"Upgrade: websocket\r\n\r\n")


ROWS = [*lengths(), *codings(), *chunks(), *lines(), *hosts(), *fields(), *bodies()]


def test_the_table_is_long_enough() -> None:
    assert len(ROWS) >= 120
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_request(row: Row, door: CleanDoor, recorder: Recorder) -> None:
    recorder.requests.clear()
    with door.client() as wire:
        wire.send(row.raw)
        answers = [wire.response("HEAD" if row.raw.startswith(b"HEAD") else "GET") for _ in row.statuses]
        for found, expected in zip(answers, row.statuses, strict=True):
            assert found.status in (expected if isinstance(expected, tuple) else (expected,))
        if row.closes:
            assert wire.ended(), f"more came, or it stayed open: {wire.begun!r}"
            assert answers[-1].get("connection") == b"close"
        else:
            assert wire.get("/marker").body == b"/marker"
    check(recorder)
    targets = tuple(request.target for request in recorder.requests if request.target != b"/marker")
    seen = row.seen if row.seen is not None else (b"/",) * sum(found.status == 200 for found in answers)
    assert targets == seen
    if row.body is not None:
        assert recorder.requests[0].body == row.body


def check(recorder: Recorder) -> None:
    """Nothing ambiguous and nothing smuggled arrived."""
    assert recorder.wrong == []
    assert not [request for request in recorder.requests if request.target == b"/smuggled"]


BY_BYTES = [row for row in [*chunks(), *codings()][::3] if len(row.raw) < 400]


@pytest.mark.parametrize("row", BY_BYTES, ids=lambda row: row.name)
def test_request_byte_by_byte(row: Row, door: CleanDoor, recorder: Recorder) -> None:
    """However the bytes arrive, the verdict is the same."""
    recorder.requests.clear()
    with door.client() as wire:
        wire.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(row.raw)):
            wire.send(row.raw[at : at + 1])
        for expected in row.statuses:
            assert wire.response().status in (expected if isinstance(expected, tuple) else (expected,))
        assert not row.closes or wire.ended()
    check(recorder)


# --- what of a request passes, and what does not ----------------------------------------------------------------------


def forwarded(door: CleanDoor, recorder: Recorder, *lines: str, target: str = "/") -> dict[bytes, list[bytes]]:
    """Send fields, and give back what the backend saw of them, by lower-case name."""
    with door.client() as wire:
        assert wire.get(target, *lines).status == 200
    check(recorder)
    found: dict[bytes, list[bytes]] = {}
    for name, value in recorder.last.fields:
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    "line",
    [
        "X-Real-IP: 6.6.6.6",
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: gopher",
        "X-Forwarded-Host: evil.test",
        "X-FORWARDED-PORT: evil",
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-Anything: evil",
        "Forwarded: for=6.6.6.6",
        "X_Forwarded_For: 6.6.6.6",
        "X_Real_IP: 6.6.6.6",
        "x-real_ip: 6.6.6.6",
        "Keep-Alive: timeout=evil",
        "Proxy-Connection: evil",
        "Proxy: http://evil.test",
        "Proxy-Authorization: evil",
        "TE: evil",
        "Trailer: evil",
        "Upgrade: evil",
        "HTTP2-Settings: evil",
        "X-Original-URL: /evil",
        "X-Rewrite-URL: /evil",
    ],
)
def test_what_clients_must_not_say_is_not_passed_on(line: str, door: CleanDoor, recorder: Recorder) -> None:
    found = forwarded(door, recorder, line)
    text = repr(found)
    assert "evil" not in text and "6.6.6.6" not in text and "gopher" not in text
    assert found[b"x-real-ip"] == found[b"x-forwarded-for"] == [b"127.0.0.1"]
    assert found[b"x-forwarded-proto"] == [b"http"] and found[b"x-forwarded-host"] == [b"localhost"]


@pytest.mark.parametrize(
    "name", ["Host", "Content-Length", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
             "X-Request-ID", "Via"],
)  # fmt: skip
def test_nominating_a_field_in_connection_does_not_remove_ours(name: str, door: CleanDoor, recorder: Recorder) -> None:
    with door.client() as wire:
        head = f"POST / HTTP/1.1\r\nHost: a.test\r\nConnection: {name.lower()}, {name}\r\nContent-Length: 5\r\n\r\n"
        assert wire.send(head.encode() + b"hello").response().status == 200
    check(recorder)
    assert len(recorder.last.all(name)) == 1 and recorder.last.body == b"hello"


def test_nominated_fields_of_the_client_are_removed(door: CleanDoor, recorder: Recorder) -> None:
    found = forwarded(door, recorder, "Connection: X-Mine, keep-alive", "x-mine: 1", "X-Other: 2", "Connection: x-more",
                      "X-More: 3")  # fmt: skip
    assert b"x-mine" not in found and b"x-more" not in found and found[b"x-other"] == [b"2"]


def test_trailers_pass_only_where_asked_for_and_never_dangerous_ones(door: CleanDoor, recorder: Recorder) -> None:
    end = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: b.test\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: a\r\nA_b: 1\r\n\r\n"
    for target, passed in ((b"/", []), (b"/trailers", [(b"x-sum", b"1")])):
        with door.client() as wire:
            wire.send(b"POST %b HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n%b" % (target, end))
            assert wire.response().status == 200
        check(recorder)
        assert recorder.last.trailers == passed
        assert recorder.last.all("host") == [b"a.test"] and recorder.last.all("x-forwarded-for") == [b"127.0.0.1"]


def test_a_thousand_requests_in_one_write_are_answered_in_order(door: CleanDoor, recorder: Recorder) -> None:
    recorder.requests.clear()
    with door.client(30.0) as wire:
        wire.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % number for number in range(1000)))
        assert [int(wire.response().body[1:]) for _ in range(1000)] == list(range(1000))
    check(recorder)
    assert [int(request.target[1:]) for request in recorder.requests] == list(range(1000))


def test_an_answer_of_one_client_never_reaches_another(door: CleanDoor, recorder: Recorder) -> None:
    wires = [Wire(door.port) for _ in range(20)]
    for turn in range(10):
        for number, wire in enumerate(wires):
            wire.send(b"GET /%d-%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % (number, turn))
        for number, wire in enumerate(wires):
            assert wire.response().body == b"/%d-%d" % (number, turn)
    for wire in wires:
        wire.wire.close()
    check(recorder)
