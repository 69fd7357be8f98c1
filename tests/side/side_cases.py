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
    """A configuration and the requests that are made to it, each by its name: (door, bytes), or (door, list of bytes)
    for several on one connection."""

    name: str
    asked: dict[str, tuple[int, bytes | list[bytes]]]
    secure: bool = False  # over TLS, unless the name of a request begins with "plain"

    @property
    def conf(self):
        """What stands inside `http { }`: a file of conf/."""
        return (CONF / re.sub("[^a-z]+", "_", self.name)).with_suffix(".conf").read_text()


def ask(target, *fields, method="GET", host="localhost", body=b"", version="1.1", door=0):
    """One request; fields as `name: value`."""
    return door, said(target, "Connection: close", *fields, method=method, host=host, body=body, version=version)


def said(target, *fields, method="GET", host="localhost", body=b"", version="1.1"):
    """The bytes of a request behind which the connection may go on."""
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def talk(*requests):
    """Several requests on one connection; a text is the target of one."""
    return 0, [request if isinstance(request, bytes) else said(request) for request in requests]


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
        **paths("/inside/x", "/into/x", "/into-here/x", "/into-args?x=/inside/y"),
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
            ".", ".:80", "exact..example", "exact.example..", ".exact.example", "exact.example.:80", "[v1.a]",
            "exact.example:", "[::1", "exact.example:x",
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
        **{f"range {way}": ask(f"/{way}/small.txt", "Range: bytes=0-4") for way in ("slow", "unchunked", "set")},
        **{f"range of much {way}": ask(f"/{way}/big.bin", "Range: bytes=9-99") for way in ("slow", "unchunked", "set")},
        **{f"range beyond {way}": ask(f"/{way}/small.txt", "Range: bytes=9999-") for way in ("slow", "unchunked")},
        **{f"expires in {e}": ask(f"/asked/small.txt?e={e}") for e in ("1h", "99999999d", "999999999999999999y")},
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
        **paths(
            "/made/x?a=b", "/made/%252e%252e/%252e%252e/made-inside/x", "/made/a%3Fb", "/made/100%2525", "/made/a%20b"
        ),
        **paths("/led/%2525252e%2525252e/small.txt", "/led/small.txt"),
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

TAKES = "Accept-Encoding: gzip"

COMPRESSION = Group(
    "compression",
    {
        **paths("/small.txt", "/page.html", "/picture.png", "/empty.txt", "/nothing", "/text", "/short", "/big.bin"),
        **{f"gzip {path}": ask(path, TAKES) for path in ("/small.txt", "/page.html", "/picture.png", "/empty.txt")},
        **{f"gzip {path}": ask(path, TAKES) for path in ("/nothing", "/text", "/short", "/big.bin", "/moved", "/none")},
        **{f"gzip /plain{path}": ask("/plain" + path, TAKES) for path in ("/small.txt", "/page.html", "/unknown.xyz")},
        **{f"gzip /any{path}": ask("/any" + path, TAKES) for path in ("/small.txt", "/picture.png", "/unknown.xyz")},
        **{f"gzip /vary{path}": ask("/vary" + path, TAKES) for path in ("/small.txt", "/picture.png")},
        **{f"no gzip /vary{path}": ask("/vary" + path) for path in ("/small.txt", "/picture.png")},
        "head": ask("/small.txt", TAKES, method="HEAD"),
        "part": ask("/small.txt", TAKES, "Range: bytes=0-4"),
        "not modified": ask("/small.txt", TAKES, f"If-Modified-Since: {LATE}"),
        "old client": ask("/small.txt", TAKES, version="1.0"),
        "old client, wanted": ask("/old/small.txt", TAKES, version="1.0"),
        "several": ask("/small.txt", "Accept-Encoding: br, gzip;q=0.5"),
        "not wanted": ask("/small.txt", "Accept-Encoding: gzip;q=0, identity"),
        "anything": ask("/small.txt", "Accept-Encoding: *"),
        "another's name": ask("/small.txt", "Accept-Encoding: xgzip"),
        "capitals": ask("/small.txt", "Accept-Encoding: GZip"),
        "through another proxy": ask("/small.txt", TAKES, "Via: 1.1 x"),
        "through another proxy, any": ask("/proxied/small.txt", TAKES, "Via: 1.1 x"),
        "with credentials": ask("/auth/small.txt", TAKES, "Via: 1.1 x", "Authorization: x"),
        "without credentials": ask("/auth/small.txt", TAKES, "Via: 1.1 x"),
        "a browser that cannot": ask("/disabled/small.txt", TAKES, "User-Agent: lame"),
        "a browser that can": ask("/disabled/small.txt", TAKES, "User-Agent: good"),
        "precompressed": ask("/static/page.html"),
        "precompressed head": ask("/static/page.html", method="HEAD"),
        "precompressed always": ask("/always/page.html"),
        "precompressed always, no such file": ask("/always/other.html"),
        "precompressed, vary": ask("/static-vary/page.html"),
        "unpacked": ask("/unpacked/page.html"),
        "unpacked for nobody": ask("/unpacked/page.html", TAKES),
        "a backend's": ask("/backend/json", TAKES),
        "a backend's, tagged": ask("/backend/tagged", TAKES),
        "a backend's, packed": ask("/backend/gzipped", TAKES),
        "a backend's, packed, not wanted": ask("/backend/gzipped"),
        "substituted": ask("/changed/small.txt", TAKES),
    },
)

OLD_BROWSER = "User-Agent: Mozilla/4.0 (compatible; MSIE 5.5; Windows 98)"
SAFARI = "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_6_8) AppleWebKit/534.48 Safari/534.48.3"

CONNECTIONS = Group(
    "connections",
    {
        "twice": talk("/small.txt", "/small.txt"),
        "as often as may be": talk(*["/small.txt"] * 5),
        "less often": talk(*["/less/small.txt"] * 4),
        "more often": talk(*["/more/small.txt"] * 7),
        "here and there": talk("/more/small.txt", "/more/small.txt", "/less/small.txt", "/more/small.txt"),
        "once": talk("/once/small.txt", "/small.txt"),
        "closed by wish": talk(said("/small.txt", "Connection: close"), "/small.txt"),
        "closed by one wish of several": talk(said("/small.txt", "Connection: x, close"), "/small.txt"),
        "old client": talk(said("/small.txt", version="1.0"), "/small.txt"),
        "old client that stays": talk(*[said("/small.txt", "Connection: keep-alive", version="1.0")] * 2),
        "old client, unknown length": talk(
            said("/zip/small.txt", "Accept-Encoding: gzip", "Connection: keep-alive", version="1.0"), "/small.txt"
        ),
        "in chunks": talk(said("/zip/small.txt", "Accept-Encoding: gzip"), "/small.txt"),
        "head first": talk(said("/small.txt", method="HEAD"), "/small.txt"),
        "head in chunks": talk(said("/zip/small.txt", "Accept-Encoding: gzip", method="HEAD"), "/small.txt"),
        "no time": talk("/zero/small.txt", "/small.txt"),
        "told how long": talk("/told/small.txt", "/told/small.txt"),
        "told, but closed": talk(said("/told/small.txt", "Connection: close"), "/small.txt"),
        "no content": talk("/none", "/small.txt"),
        "not modified": talk(said("/small.txt", f"If-Modified-Since: {LATE}"), "/small.txt"),
        "part": talk(said("/small.txt", "Range: bytes=0-4"), "/small.txt"),
        "not found": talk("/nothing", "/small.txt"),
        "forbidden": talk("/forbidden", "/small.txt"),
        "moved": talk("/moved", "/small.txt"),
        "error": talk("/error", "/small.txt"),
        "bad": talk("/bad", "/small.txt"),
        "not there": talk("/unavailable", "/small.txt"),
        "too large": talk("/toolarge", "/small.txt"),
        "not implemented": talk("/unknown", "/small.txt"),
        "late": talk("/late", "/small.txt"),
        "old browser": talk(said("/small.txt", OLD_BROWSER), "/small.txt"),
        "old browser's post": talk(said("/return", OLD_BROWSER, method="POST"), "/small.txt"),
        "old browser's post, kept": talk(said("/any", OLD_BROWSER, method="POST"), "/small.txt"),
        "safari": talk(said("/safari/small.txt", SAFARI), "/small.txt"),
        "safari elsewhere": talk(said("/small.txt", SAFARI), "/small.txt"),
        "chrome": talk(said("/safari/small.txt", SAFARI + " Chrome/1"), "/small.txt"),
        "post": talk(said("/return", method="POST", body=b"abc"), "/small.txt"),
        "post of a file": talk(said("/small.txt", method="POST", body=b"abc"), "/small.txt"),
        "proxied": talk("/proxied", "/small.txt", "/proxied"),
        "proxied post": talk(said("/proxied", method="POST", body=b"abc"), "/small.txt"),
        "proxied head": talk(said("/proxied", method="HEAD"), "/proxied"),
        "proxied, nothing": talk("/proxied/status/304", "/small.txt"),
        "proxied, error": talk("/proxied/status/500", "/small.txt"),
        "internal": talk("/folder/", "/small.txt"),
        "page of an error": talk("/paged", "/small.txt"),
    },
)

TLS = Group(
    "tls",
    {
        **paths("/", "/verify", "/session", "/moved", "/proxied/x", "/nothing"),
        "other name": ask("/", host="other.example"),
        "other name, verified": ask("/", host="verified.example"),
        "unknown name": ask("/", host="unknown.example"),
        "head": ask("/", method="HEAD"),
        "plain": ask("/"),
        "plain, post": ask("/", method="POST", body=b"abc"),
    },
    secure=True,
)

UPSTREAMS = Group(
    "upstreams",
    {
        **paths(
            "/first/x",
            "/down/x",
            "/backup/x",
            "/none/x",
            "/alone/x",
            "/hash/x?a",
            "/once/x",
            "/off/x",
            "/500/status/500",
        ),
        **paths("/mirrored/x", "/limited/small.txt", "/404/status/404"),
        "post": ask("/first/x", method="POST", body=b"abc"),
        "post, not repeated": ask("/403/status/403", method="POST", body=b"abc"),
    },
)

GROUPS = (
    RETURN, REWRITE, LOCATIONS, NAMES, FILES, ERRORS, PROXY, ACCESS, DECLARED, LIMITS, HEADERS, VARIABLES, MALFORMED,
    CONNECTIONS, COMPRESSION, TLS, UPSTREAMS,
)  # fmt: skip
