"""What both servers are asked: groups of requests, each with its configuration."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

CONF = Path(__file__).parent / "conf"
OLD = "Thu, 01 Jan 1970 00:00:01 GMT"
LATE = "Fri, 01 Jan 2038 00:00:00 GMT"


@dataclass(frozen=True)
class Group:
    """A configuration and the requests that are made to it, each by its name: (door, bytes)."""

    name: str
    asked: dict[str, tuple[int, bytes]]

    @property
    def conf(self):
        """What stands inside `http { }`: a file of conf/."""
        return (CONF / re.sub("[^a-z]+", "_", self.name)).with_suffix(".conf").read_text()


def ask(target, *fields, method="GET", host="localhost", body=b"", version="1.1", door=0):
    """One request; fields as `name: value`."""
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", "Connection: close", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return door, ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def paths(*targets, **rest):
    """One request for each target, named by it."""
    return {target: ask(target, **rest) for target in targets}


RETURN = Group(
    "return",
    {
        **paths("/text?a=b", "/typed", "/moved", "/found", "/see?q=1", "/temp", "/perm", "/none", "/teapot", "/bad"),
        **paths("/forbidden", "/gone", "/own", "/unavailable", "/closed", "/empty"),
        "head": ask("/text", method="HEAD"),
        "old": ask("/moved", version="1.0"),
        "post": ask("/text", method="POST", body=b"abc"),
    },
)

REWRITE = Group(
    "rewrite",
    {
        **paths("/outer/x?y=1", "/last/a?b=c", "/drop/a?b=c", "/break/a", "/redirect/a%20b?c=d", "/permanent/a?b"),
        **paths("/http/x", "/loop", "/named/one/two", "/if?a=1", "/if?b=two words", "/if?c=xyz", "/if?d=upper"),
        **paths("/if", "/if?e=no", "/header?x=1", "/header", "/stop", "/args?old=1", "/if?a=0", "/redirect/%e2%82%ac"),
        "post": ask("/if", method="POST", body=b"x"),
        "cookie": ask("/if", "Cookie: other=1; id=abc; x=y"),
    },
)

LOCATIONS = Group(
    "locations",
    {
        **paths(
            "/", "/exact", "/exact/", "/prefix", "/prefixed", "/prefix/longer/x", "/first/a.php", "/a.php", "/a.GIF"
        ),
        **paths("/cap/abc/d/e", "/outer/", "/outer/inner/1", "/outer/x", "/with%20space", "/to-named", "/internal"),
        **paths("/a/../exact", "//exact", "/%65xact", "/exact?x", "/a/./b.php", "/..", "/%2e%2e/x", "/first/%2ejpg"),
        "absolute": ask("http://localhost/exact"),
        "encoded slash": ask("/prefix%2flonger"),
        "nothing at the end": ask("/%"),
        "nul": ask("/a%00b"),
    },
)

NAMES = Group(
    "server names",
    {
        host: ask("/", host=host)
        for host in (
            "exact.example", "EXACT.example", "exact.example:8080", "exact.example.", "a.lead.example",
            "a.b.lead.example", "lead.example", "trail.org", "trail.co.uk", "x.both.example", "both.example",
            "ann.re.example", "x.deep.lead.example", "unknown.example", "127.0.0.1", "[::1]", "1.re.example",
        )
    }
    | {"none": (0, b"GET / HTTP/1.0\r\n\r\n")},
)  # fmt: skip

FILES = Group(
    "files",
    {
        **paths(
            "/small.txt", "/folder", "/folder/", "/nothing", "/empty.txt", "/page.html", "/picture.png", "/unknown.xyz"
        ),
        **paths("/aliased/other.txt", "/aliased/", "/re/small.txt", "/re/nothing", "/list/", "/index/", "/try/nothing"),
        **paths(
            "/try/", "/tries/x", "/code/", "/expires/small.txt", "/charset/small.txt", "/small.txt/", "/folder?x=y"
        ),
        **paths("/ranges/small.txt", "/folder/../small.txt", "/hidden/secret.txt", "/big.bin", "/nocache/small.txt"),
        "head": ask("/small.txt", method="HEAD"),
        "post": ask("/small.txt", method="POST", body=b"x"),
        "put": ask("/small.txt", method="PUT", body=b"x"),
        "options": ask("/small.txt", method="OPTIONS"),
        "range": ask("/small.txt", "Range: bytes=0-4"),
        "range to the end": ask("/small.txt", "Range: bytes=5-"),
        "range of the end": ask("/small.txt", "Range: bytes=-5"),
        "range beyond": ask("/small.txt", "Range: bytes=100000-"),
        "range longer": ask("/small.txt", "Range: bytes=5-100000"),
        "range malformed": ask("/small.txt", "Range: bytes=x"),
        "range of another unit": ask("/small.txt", "Range: lines=1-2"),
        "ranges too many": ask("/ranges/small.txt", "Range: bytes=0-1,3-4"),
        "ranges none": ask("/noranges/small.txt", "Range: bytes=0-1"),
        "range if etag": ask("/small.txt", "Range: bytes=0-4", 'If-Range: "no"'),
        "range if date": ask("/small.txt", "Range: bytes=0-4", f"If-Range: {OLD}"),
        "not modified": ask("/small.txt", f"If-Modified-Since: {LATE}"),
        "not modified, exact": ask("/small.txt", "If-Modified-Since: Thu, 01 Jan 2015 00:00:00 GMT"),
        "modified": ask("/small.txt", f"If-Modified-Since: {OLD}"),
        "before": ask("/before/small.txt", f"If-Modified-Since: {LATE}"),
        "off": ask("/nocache/small.txt", "If-Modified-Since: Thu, 01 Jan 2015 00:00:00 GMT"),
        "unmodified": ask("/small.txt", f"If-Unmodified-Since: {OLD}"),
        "unmodified, late": ask("/small.txt", f"If-Unmodified-Since: {LATE}"),
        "match any": ask("/small.txt", "If-Match: *"),
        "match no": ask("/small.txt", 'If-Match: "x"'),
        "none match any": ask("/small.txt", "If-None-Match: *"),
        "none match": ask("/small.txt", 'If-None-Match: "x", "y"'),
        "precompressed": ask("/precompressed/page.html", "Accept-Encoding: gzip"),
        "precompressed, not accepted": ask("/precompressed/page.html"),
        "old client": ask("/small.txt", version="1.0"),
        "gzip, too old": ask("/zip/small.txt", "Accept-Encoding: gzip", version="1.0"),
        "gzip, not wanted": ask("/zip/small.txt", "Accept-Encoding: gzip;q=0"),
        "gzip, other type": ask("/zip/picture.png", "Accept-Encoding: gzip"),
    },
)

ERRORS = Group(
    "error pages",
    {
        **paths("/403", "/404", "/410", "/500", "/401", "/402", "/local", "/off", "/nothing", "/404.html"),
        **paths("/proxied/status/404", "/proxied/status/500", "/proxied/status/200", "/passed/status/404"),
        "head": ask("/nothing", method="HEAD"),
        "post": ask("/404", method="POST", body=b"x"),
    },
)

PROXY = Group(
    "proxy",
    {
        **paths(
            "/plain?a=b", "/plain/%7Euser/%20x", "/uri/x?y=z", "/uri/%20", "/nothing/x", "/host", "/empty", "/method"
        ),
        **paths(
            "/noheaders", "/body", "/hide/fields", "/pass/fields", "/add/status/404", "/add/x", "/cookies/", "/flags/"
        ),
        **paths(
            "/redirect/http://inner.example/x", "/redirect/http://else.example/x", "/default/goto/http://127.0.0.1/x"
        ),
        **paths(
            "/noredirect/goto//x", "/rewritten/a", "/variable/a?b", "/regex/a%20b", "/x-accel/", "/inner/small.txt"
        ),
        **paths("/refused", "/if?x=1", "/if", "/slash", "/unzip", "/ignored", "/plain/status/304", "/plain/status/204"),
        "post": ask("/plain", method="POST", body=b"abc"),
        "no body": ask("/nobody", method="POST", body=b"abc"),
        "too large": ask("/large", method="POST", body=b"abcdefgh"),
        "head": ask("/plain", method="HEAD"),
        "forwarded": ask("/empty", "X-Forwarded-For: 192.0.2.1", "Accept: x"),
        "underscore": ask("/plain", "X_Under: 1", "X-Dash: 2"),
        "range over an answer": ask("/range", "Range: bytes=0-3"),
        "not modified over an answer": ask("/range", 'If-None-Match: "tag"'),
        "gunzip for who takes it": ask("/unzip", "Accept-Encoding: gzip"),
        "old client": ask("/plain", version="1.0"),
        "te": ask("/plain", "TE: trailers", "Upgrade: h2c"),
        "chunked": (
            0,
            b"POST /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\n\r\n",
        ),
        "expect": ask("/plain", "Expect: 100-continue", method="POST", body=b"abc"),
    },
)

BASIC = base64.b64encode(b"ann:secret").decode()
WRONG = base64.b64encode(b"ann:wrong").decode()

ACCESS = Group(
    "access",
    {
        **paths("/allowed", "/denied/small.txt", "/files/small.txt", "/basic/small.txt", "/any/small.txt"),
        **paths(
            "/asked/small.txt", "/refused/small.txt", "/broken/small.txt", "/limited/small.txt", "/real", "/referer"
        ),
        **paths("/secure", "/secure?md5=x&expires=1", "/ask"),
        "basic": ask("/basic/small.txt", f"Authorization: Basic {BASIC}"),
        "basic, wrong": ask("/basic/small.txt", f"Authorization: Basic {WRONG}"),
        "basic, malformed": ask("/basic/small.txt", "Authorization: Basic !!!"),
        "any": ask("/any/small.txt", f"Authorization: Basic {BASIC}"),
        "limited": ask("/limited/small.txt", method="POST", body=b"x"),
        "real": ask("/real", "X-Real-IP: 192.0.2.77"),
        "real, malformed": ask("/real", "X-Real-IP: nobody"),
        "chain": ask("/chain", "X-Forwarded-For: 203.0.113.5, 192.0.2.1"),
        "referer, good": ask("/referer", "Referer: http://a.good.example/x"),
        "referer, bad": ask("/referer", "Referer: http://bad.example/x"),
        "referer, pattern": ask("/referer", "Referer: http://okay.example/"),
        "referer, blocked": ask("/referer", "Referer: nothing"),
        "referer, own": ask("/referer", "Referer: http://localhost/"),
    },
)

DECLARED = Group(
    "map, geo, split_clients",
    {
        **paths("/map", "/map?x=a", "/map?x=b%20c", "/map?x=rex", "/map?x=upper", "/map?x=default", "/map?a=1&b=2"),
        **paths("/map?v=x", "/map?w=through", "/geo?ip=192.0.2.1", "/geo?ip=192.0.2.200", "/geo?ip=10.0.0.1"),
        **paths("/geo?ip=2001:db8::1", "/geo?ip=nothing", "/geo", "/split?k=one", "/split?k=two", "/split?k=three"),
        **paths("/split?k=four", "/split?k=five", "/split", "/map?x=A"),
        **{f"host {name}": ask("/host", host=name) for name in ("a.wild.example", "exact.example", "x.both.example")},
        **{f"host {name}": ask("/host", host=name) for name in ("both.example", "trail.org", "none.example")},
    },
)

LIMITS = Group(
    "limits",
    {
        "first": ask("/req?k=1"),
        "second": ask("/req?k=1"),
        "other key": ask("/req?k=2"),
        "no key": ask("/req"),
        "no key again": ask("/req"),
        "burst 1": ask("/burst?k=b"),
        "burst 2": ask("/burst?k=b"),
        "burst 3": ask("/burst?k=b"),
        "burst 4": ask("/burst?k=b"),
        "dry 1": ask("/dry?k=d"),
        "dry 2": ask("/dry?k=d"),
        "conn": ask("/conn"),
    },
)

HEADERS = Group(
    "headers",
    {
        **paths(
            "/inherit", "/replace", "/always", "/error", "/twice", "/variable?q=1", "/none", "/control", "/relative"
        ),
        **paths("/port", "/named", "/tokens"),
        "without host": (0, b"GET /named HTTP/1.0\r\n\r\n"),
        "host with port": ask("/port", host="first.example:81"),
    },
)

VARIABLES = Group(
    "variables",
    {
        "plain": ask("/a%20b/c?one=1&two=2"),
        "fields": ask("/x", "X-One: 1", "Cookie: a=b; c=d", "User-Agent: me", "Referer: there"),
        "two alike": ask("/x", "X-One: 1", "X-One: 2"),
        "post": ask("/x", "Content-Type: text/x", method="POST", body=b"abc"),
        "old": ask("/x", version="1.0"),
        "user": ask("/x", f"Authorization: Basic {BASIC}"),
        "argument in other case": ask("/x?ONE=up"),
        "no value": ask("/x?one"),
    },
)

MALFORMED = Group(
    "malformed requests",
    {
        "no host": (0, b"GET / HTTP/1.1\r\n\r\n"),
        "version 2": (0, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        "bad header": (0, b"GET / HTTP/1.1\r\nHost: a\r\nBad\x00Header: 1\r\nConnection: close\r\n\r\n"),
        "two hosts": (0, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"),
        "bad host": (0, b"GET / HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n"),
        "bad length": (0, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\nConnection: close\r\n\r\n"),
        "length and chunked": (
            0,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        "unknown method": (0, b"HELLO / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        "long uri": (0, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        "large field": (0, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\nConnection: close\r\n\r\n"),
        "trace": (0, b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        "connect": (0, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n"),
        "gzip coding": (0, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n"),
    },
)

GROUPS = (
    RETURN, REWRITE, LOCATIONS, NAMES, FILES, ERRORS, PROXY, ACCESS, DECLARED, LIMITS, HEADERS, VARIABLES, MALFORMED
)  # fmt: skip
