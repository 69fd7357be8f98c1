"""Cases: request lines, targets and Host."""

from __future__ import annotations

from collections.abc import Iterator

from cases import GET, HIDDEN, HOST, MUST, POLICY, SECOND, SHOULD, Case, either, refused, served

REST = b"\r\n" + HOST + b"\r\n"
LINE = "RFC 9112 3: a malformed request line is refused, not repaired"
VERSION = "RFC 9112 2.3 and RFC 9110 15.6.6: HTTP-version is HTTP/1.0 or HTTP/1.1 here"
FORM = "RFC 9112 3.2: four target forms, each with its methods"
VALUE = "RFC 9112 3.2: an invalid Host is 400"


def methods() -> Iterator[Case]:
    """Methods and what stands around them."""
    for name, line in {
        "a bare CR in front": b"\rGET / HTTP/1.1",
        "a form feed for a space": b"GET\x0c/ HTTP/1.1",
        "a vertical tab behind the target": b"GET /\x0bHTTP/1.1",
        "no-break spaces": b"GET\xa0/\xa0HTTP/1.1",
        "a byte-order mark": b"\xef\xbb\xbfGET / HTTP/1.1",
        "a NUL behind the method": b"GET\0 / HTTP/1.1",
        "a colon in the method": b"GET: / HTTP/1.1",
        "a comma in the method": b"GET,POST / HTTP/1.1",
        "a slash for a method": b"/ / HTTP/1.1",
        "a quoted method": b'"GET" / HTTP/1.1',
        "a method of DEL": b"\x7f / HTTP/1.1",
        "a status line": b"HTTP/1.1 200 OK",
        "words in the wrong order": b"HTTP/1.1 GET /",
        "a field line": b"Host: a.test",
        "a chunk size": b"5",
        "a line of RTSP": b"OPTIONS rtsp://a.test/ RTSP/1.0",
        "a line of SIP": b"INVITE sip:a@a.test SIP/2.0",
        "a line of SMTP": b"EHLO a.test",
    }.items():
        yield refused(f"line: {name}", LINE, line + REST + HIDDEN, 400, 501, 505)
    for name, method in {
        "of 300 letters": b"G" * 300,
        "of tildes": b"~~~",
        "of digits": b"123",
        "in mixed case": b"Get",
        "that is another plus a letter": b"GETX",
        "in small letters, with a body": b"post",
    }.items():
        raw = method + b" / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
        yield refused(f"method: {name}", "RFC 9110 9.1: methods are case-sensitive tokens", raw, 400, 405, 501)
    for method in (b"CONNECT / HTTP/1.1", b"CONNECT http://a.test/ HTTP/1.1", b"CONNECT a.test HTTP/1.0"):
        yield refused(
            f"method: {method.decode()}", "reliability 3: CONNECT is 405", method + REST + HIDDEN, 400, 405, 501
        )
    yield refused(
        "method: TRACE with Max-Forwards",
        "reliability 3: TRACE is 405",
        b"TRACE / HTTP/1.1\r\nMax-Forwards: 0" + REST,
        405,
        501,
    )
    for name, method in {"PATCH": b"PATCH", "PROPFIND": b"PROPFIND", "QUERY": b"QUERY"}.items():
        body = b"Content-Length: 5\r\n\r\nhello"
        yield served(f"method: {name}", "RFC 9110 9", method + b" / HTTP/1.1\r\n" + HOST + body, b"hello", SHOULD)
    zero = b"OPTIONS / HTTP/1.1\r\n" + HOST + b"Max-Forwards: 0\r\n\r\n"
    yield Case(
        "method: OPTIONS with Max-Forwards 0 goes no further",
        "RFC 9110 7.6.2: an intermediary MUST NOT forward it; it MUST answer itself",
        (zero + SECOND,),
        ((200,), (200,)),
        SHOULD,
        False,
        targets=(b"/second",),
    )
    for method, value, passed in (
        (b"OPTIONS", b"1", b"0"), (b"OPTIONS", b"0010", b"9"), (b"OPTIONS", b"x", b"x"), (b"OPTIONS", b"-1", b"-1"),
        (b"GET", b"0", b"0"), (b"GET", b"7", b"7"),
    ):  # fmt: skip
        raw = method + b" / HTTP/1.1\r\n" + HOST + b"max-Forwards: " + value + b"\r\n\r\n"
        name = f"method: {method.decode()} with Max-Forwards {value.decode()}"
        yield served(name, "RFC 9110 7.6.2: one less is forwarded", raw, fields={"max-forwards": (passed,)})


def versions() -> Iterator[Case]:
    """Versions."""
    for version in (
        b"HTTP/-1.1", b"HTTP/1.", b"HTTP/.1", b"HTTP/+1.1", b"HTTP/1.1.", b"HTTP/1 .1", b"HTTP/1.1;x", b"HTTP/1.1,1.0",
        b"HTTPS/1.1", b"XHTTP/1.1", b"HTTP//1.1", b"HTTP\\1.1", b"Http/1.1", b"HTTP/a.b", b"HTTP/1.\xb9",
        b"HTTP/1.1 HTTP/1.0", b"HTTP/1.1\0", b"HTTP/1.1\x0b", b"HTTP/1.1\t", b"HTTP/0x1.1", b"HTTP", b"HTTP/",
    ):  # fmt: skip
        yield refused(f"version: {version!r}", VERSION, b"GET / " + version + REST + HIDDEN, 400, 505)
    for version in (b"HTTP/0.0", b"HTTP/0.1", b"HTTP/1.3", b"HTTP/1.9", b"HTTP/2.1", b"HTTP/3.1"):
        yield refused(f"version: {version!r}", VERSION, b"GET / " + version + REST + HIDDEN, 400, 505, level=SHOULD)


def targets() -> Iterator[Case]:
    """Targets: their octets and their forms."""
    for octet in (*range(1, 32), 0x22 + 0x80, 0x7F, 0x80, 0xA0, 0xFF):
        if octet not in (0x09, 0x0A, 0x0D):
            raw = b"GET /a" + bytes((octet,)) + b"b HTTP/1.1" + REST + HIDDEN
            yield refused(f"target: octet {octet:02x}", "RFC 3986 2 and RFC 9112 3.2: not in a target", raw)
    for name, target in {
        "one slash in an absolute-form": b"http:/a.test/",
        "no slashes in an absolute-form": b"http:a.test/",
        "no colon in an absolute-form": b"http//a.test/",
        "a scheme alone": b"http://",
        "a port alone": b"http://:80/",
        "a backslash before user information": b"http://a.test\\@b.test/",
        "two ports": b"http://a.test:80:80/",
        "a port of letters": b"http://a.test:http/",
        "a list of hosts": b"http://a.test,b.test/",
        "a fragment behind the authority": b"http://a.test#/",
        "an escape of a slash in user information": b"http://a.test%2f@b.test/",
        "the scheme ws": b"ws://a.test/",
        "the scheme file": b"file:///etc/passwd",
        "the scheme javascript": b"javascript:x",
        "a drive": b"C:/x",
        "two asterisks": b"**",
        "a dot": b".",
        "two dots": b"..",
        "a semicolon": b";/x",
        "an at": b"@a.test/",
        "an escape": b"%2f",
        "above the root, behind a backslash": b"/a\\..\\b/../../x",
        "above the root, by escaped slashes": b"/a/..%2f..%2fx",
    }.items():
        yield refused(f"target: {name}", FORM, b"GET " + target + b" HTTP/1.1" + REST + HIDDEN)
    for method in (b"HEAD", b"POST", b"DELETE"):
        yield refused(f"target: an asterisk for {method.decode()}", FORM, method + b" * HTTP/1.1" + REST)
    for target in (
        b"/%", b"/%2", b"/%u0041", b"/%c0%ae%c0%ae/x", b"/;/..;/x", b"///b.test/", b"/a%5c..%5cb", b"/a%20b?c%20d",
        b"/a?b?c", b"/[a]", b"/a%0d%0aX:%20y", b"/:80", b"/http://b.test/", b"/?", b"/a//", b"/.%00./x",
        b"/*", b"/a,b;c=d", b"/@b.test",
    ):  # fmt: skip
        raw = b"GET " + target + b" HTTP/1.1" + REST
        yield either(f"target: {target!r} as it is", "reliability 3: forwarded byte for byte", raw, targets=(target,))


def absolute() -> Iterator[Case]:
    """Absolute-form: its authority is the host."""
    rule = "RFC 9112 3.2.2: the authority of the target is the host, Host is ignored (or 400 if they differ)"
    rows = {
        "in HTTP/1.0, another Host": (b"http://b.test/", b"1.0", b"Host: a.test\r\n", b"b.test"),
        "in HTTP/1.0, no Host": (b"http://b.test/", b"1.0", b"", b"b.test"),
        "another port": (b"http://a.test:81/", b"1.1", HOST, b"a.test:81"),
        "the same port": (b"http://a.test:81/", b"1.1", b"Host: a.test:81\r\n", b"a.test:81"),
        "another host": (b"http://b.test/", b"1.1", HOST, b"b.test"),
        "the scheme in capitals": (b"HTTP://a.test/", b"1.1", HOST, b"a.test"),
        "https in clear text": (b"https://a.test/", b"1.1", HOST, b"a.test"),
        "an address of IPv6": (b"http://[::1]/", b"1.1", b"Host: [::1]\r\n", b"[::1]"),
        "no path": (b"http://a.test", b"1.1", HOST, b"a.test"),
    }
    for name, (target, version, host, wanted) in rows.items():
        raw = b"GET " + target + b" HTTP/" + version + b"\r\n" + host + b"\r\n"
        yield either(f"absolute: {name}", rule, raw, 400, 421, fields={"host": (wanted,)})
    yield served(
        "absolute: OPTIONS without a path",
        "RFC 9112 3.2.4: forwarded as *",
        b"OPTIONS http://a.test HTTP/1.1" + REST,
        targets=(b"*",),
    )
    yield refused("absolute: with two Hosts", VALUE, b"GET http://a.test/ HTTP/1.1\r\n" + HOST + HOST + b"\r\n")
    yield refused("absolute: with a bad Host", VALUE, b"GET http://a.test/ HTTP/1.1\r\nHost: a b\r\n\r\n")
    yield refused("absolute: no Host in HTTP/1.1", VALUE, b"GET http://a.test/ HTTP/1.1\r\n\r\n")


def hosts() -> Iterator[Case]:
    """Host."""
    for value in (
        b"[]", b"[::1", b"::1", b"[::1]]", b"[[::1]]", b"[::1]:x", b"[::1]80", b"[g::1]", b"[::1 ]", b"a.test]",
        b"a[b]",
        b"a.test:8 0", b"a.test:+80", b"a.test:0x50", b"a.test:80/", b"a.test:80:", b"a.test:123456", b":80", b":",
        b"a.test^", b"a.test|b", b"a`b", b"{a}", b"a>b", b"a%2", b"a%", b"a.test%g0", b"a\x1ftest", b"a\x7ftest",
        b"a.test\x80", b"a.test;\x85", b"a.test, b.test", b"a.test\tb.test", b"http:a.test/", b"//a.test", b"@a.test",
        b"a.test@", b"a.test\\b", b"a.test?b", b"a.test#", "ａ.test".encode(), b"'a'\"",
    ):  # fmt: skip
        yield refused(f"host: {value!r}", VALUE, b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n" + HIDDEN)
    for value in (b"[1:2]", b"[:::]", b"[12345::]", b"[::1.2.3.999]", b"[1::2::3]", b"[.]", b"[1:2:3:4:5:6:7:8:9]"):
        raw = b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n"
        yield refused(f"host: {value!r} is no IPv6 address", VALUE + " (RFC 3986 3.2.2)", raw, level=SHOULD)
    for value in (b"a.test:", b"a.test:00080", b"a;b", b"a!$&'()*+=b", b"a%2etest", b"-", b"a..test", b"*", b"[v1.a]"):
        raw = b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n"
        yield either(f"host: {value!r}", "RFC 3986 3.2.2 allows it", raw, fields={"host": (value,)})
    for value in (
        b"a.test:65535",
        b"a.test:0",
        b"[::ffff:1.2.3.4]:80",
        b"[2001:DB8::1]",
        b"1.2.3.4:80",
        b"a~b",
        b"a_b",
    ):
        raw = b"GET / HTTP/1.1\r\nHost:\t " + value + b" \t\r\n\r\n"
        yield served(f"host: {value!r}", "RFC 9110 7.2", raw, fields={"host": (value,)})
    one = b"GET / HTTP/1.0\r\n"
    yield refused("host: two in HTTP/1.0", VALUE, one + HOST + HOST + b"\r\n")
    yield refused("host: invalid in HTTP/1.0", VALUE, one + b"Host: a b\r\n\r\n")
    yield refused("host: the second is empty", VALUE, GET + b"Host:\r\n\r\n")
    yield refused("host: the first is empty", VALUE, b"GET / HTTP/1.1\r\nHost:\r\n" + HOST + b"\r\n")
    yield refused("host: three", VALUE, GET + HOST + HOST + b"\r\n")
    yield served(
        "host: another field that looks like it",
        VALUE,
        GET + b"X-Host: b.test\r\nHost-: b.test\r\n\r\n",
        fields={"host": (b"a.test",)},
    )


CASES = [*methods(), *versions(), *targets(), *absolute(), *hosts()]
assert {case.level for case in CASES} <= {MUST, POLICY, SHOULD}
