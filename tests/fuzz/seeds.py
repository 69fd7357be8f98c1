"""What fuzzing begins with: messages worth changing, and words worth putting into them.

Rules: `mutated` is for Hypothesis, the lists are for anybody. A seed is whole and mostly valid; a word is what readers
have disagreed about.
"""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

WORDS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xa0", b",", b";", b":",
    b"\r\n ", b"\r\n\r\n",
    b"0\r\n\r\n", b"5\r\nhello\r\n", b"1;a=b\r\n", b"0", b"00000000000000005", b"+", b"-", b"0x", b"_", b"%00",
    b"%2e%2e", b"%2f",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Host: b\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n", b"X: y\r\n z\r\n", b"HTTP/1.0", b"HTTP/1.1", b"http://a/", b"//", b"/../", b"*",
    b"#", b"?", b"@",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 X\r\n\r\n",
    b"18446744073709551616", b"chunked", b"identity", b"[::1]", b"a:80", b"\xc3\xa9",
)  # fmt: skip

REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a?b HTTP/1.1\r\nHost: a:80\r\nX: y\r\nConnection: x\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: [::1]:8\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
)
RESPONSES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello",
    b"HTTP/1.1 103 X\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 404\r\nContent-Length: 0\r\nConnection: x, keep-alive\r\nX: y\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nab",
)
CHUNKS = (
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\nrest",
    b'5;a=b;c="d e"\r\nhello\r\nA\r\n0123456789\r\n0;x\r\nX-Sum: 1\r\nY: 2\r\n\r\n',
)
LINES = (
    b"GET /a/../b%2fc//d?e HTTP/1.1",
    b"OPTIONS * HTTP/1.0",
    b"GET /#x HTTP/1.1",
    b"GET /../x HTTP/1.1",
    b"PUT http://a/x/%2e./..?y HTTP/1.1",
    b"GET http://u@a:80/%2e%2e/x#y HTTP/1.1",
    b"DELETE /%00%zz/./..%2f HTTP/1.1",
)
CONFIGS = (
    b'[listen.web]\naddress = "127.0.0.1:80"\n[upstream.app]\nbalance = "least_conn"\n'
    b'servers = ["127.0.0.1:1", { address = "unix:/x", weight = 3 }]\n'
    b'[limit.l]\nkey = "address"\nrate = "10r/s"\nburst = 2\n'
    b'[site.s]\nnames = ["a.test", "*.b.test"]\ndefault = true\n'
    b'[[site.s.route]]\npath = "/"\nupstream = "app"\nlimits = ["l"]\n',
    b'workers = 2\n[timeouts]\nread = "1m"\n[http]\nmax_body = "10m"\n[log]\naccess = "-"\nformat = "$remote_addr"\n'
    b'[site.s]\n[[site.s.route]]\npath = "/x"\nreply = { status = 404, body = "no" }\n'
    b'[[site.s.route]]\npath = "/"\nredirect = "/y"\n',
)
CONFIG_WORDS = (
    b"[", b"]", b"[[", b"=", b'"', b"'''", b"\n", b"{", b"}", b".", b"-1", b"1e999", b"nan", b"true", b"9" * 30,
    b'"10x"', b"[site.s]\n", b"\\", b"\\u0000",
    b"1979-05-27", b"#", b"\xff", b"\xef\xbb\xbf", b"names = []\n", b'upstream = "none"\n', b'address = "x"\n', b"\0",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...], words: tuple[bytes, ...] = WORDS) -> bytes:
    """A seed with a few changes: words put in or over, parts taken out, doubled or moved."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.one_of(st.integers(0, 3), st.integers(0, 40)))
        kind = draw(st.integers(0, 4))
        word = draw(st.one_of(st.sampled_from(words), st.binary(max_size=3)))
        if kind == 0:
            data = data[:at] + word + data[at:]
        elif kind == 1:
            data = data[:at] + word + data[at + size :]
        elif kind == 2:
            data = data[:at] + data[at + size :]
        elif kind == 3:
            data = data[: at + size] + data[at:]
        else:
            data += draw(st.sampled_from(seeds))
    return data[:20_000]


def cuts(data: bytes) -> list[bytes]:
    """The same bytes in up to four parts, cut where the bytes themselves decide."""
    places = sorted({(sum(data[at::3]) * 7 + at) % (len(data) + 1) for at in range(3)}) if len(data) % 4 else []
    edges = [0, *places, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]
