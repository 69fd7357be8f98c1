"""Extensions, types, lists of types, and who takes gzip."""

from __future__ import annotations

import pytest

from proxy.http.encoding import takes_gzip
from proxy.http.media_types import KNOWN, MediaTypes, TypeList, extension, with_charset
from proxy.http.pages import page, said


@pytest.mark.parametrize(
    ("path", "end"),
    [
        (b"/a.TXT", b"txt"),
        (b"/a.tar.gz", b"gz"),
        (b"/.profile", b""),
        (b"/a.d/b", b""),
        (b"/a.", b""),
        (b"/a", b""),
        (b"/a/.b.c", b"c"),
    ],
)
def test_extensions(path, end):
    assert extension(path) == end


def test_types():
    types = MediaTypes({**KNOWN, "own": "text/x-own"}, "text/else")
    assert types.of(b"/a.own") == b"text/x-own" and types.of(b"/a.html") == b"text/html"
    assert types.of(b"/a.b") == b"text/else"


def test_lists_of_types():
    some = TypeList(["text/html"])
    assert b"Text/HTML; charset=x" in some and b"text/plain" not in some and None not in some
    assert b"any/thing" in TypeList(["*"])


@pytest.mark.parametrize(
    ("value", "takes"),
    [
        (b"gzip", True),
        (b"br, GZIP", True),
        (b"br,gzip;q=0.5", True),
        (b"gzip;q=1.0, br", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000", False),
        (b"gzip;q=0.001", True),
        (b"x-gzip", False),
        (b"gzipped", False),
        (b"*", False),
        (b"", False),
        (None, False),
    ],
)
def test_who_takes_gzip(value, takes):
    assert takes_gzip(value) is takes


def test_pages_of_statuses_that_are_400():
    for status in (494, 495, 496, 497):
        assert said(status) == 400 and b"<h1>400 Bad Request</h1>" in page(status)
    assert b"<title>400 No required SSL certificate was sent</title>" in page(496)
    assert b"<h1>503 Service Temporarily Unavailable</h1>" in page(503) and said(503) == 503


def test_statuses_of_no_page():
    assert page(418) == page(422) == page(499) == page(599) == page(508) == b""
    assert page(429) and page(407) and page(307) and page(507)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (b"text/plain", b"text/plain; charset=x"),
        (b"text/plain; charset=y", b"text/plain; charset=x"),
        (b'text/plain;CHARSET="y"; format=flowed', b"text/plain; format=flowed; charset=x"),
        (b"text/plain; format=flowed", b"text/plain; format=flowed; charset=x"),
        (b"multipart/byteranges; boundary=1", b"multipart/byteranges; boundary=1"),
    ],
)
def test_a_type_with_a_character_set(kind, said):
    assert with_charset(kind, b"x") == said
