"""Which referers are expected: names, wildcards, paths, expressions, and what is no URL."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.policy.pattern import pattern
from proxy.policy.referers import Referers


def expected(words, referer, names=(), own=()):
    fields = SimpleNamespace(get=lambda name: referer)
    return Referers(words, names, own)(SimpleNamespace(fields=fields)) == b""


HOST = ("www.example.org",)
WILD = ("*.example.com", "*.example.org", "www.example.*", "example.*")
CASES = [
    (HOST, b"http://www.example.org", True), (HOST, b"HTTPS://WWW.Example.org:8080/x", True),
    (HOST, b"www.example.org", False), (HOST, b"http://example.org/www.example.org", False), (HOST, None, False),
    (HOST, b"http://www.example.org.", False), (HOST, b"ftp://www.example.org", False),
    (("none", *HOST), None, True), (("none", *HOST), b"", False), (("blocked", *HOST), b"", True),
    (("blocked", *HOST), b"anything", True), (("blocked", *HOST), b"http://example.com/", False),
    (("~example.org", "~(?-i)example.net"), b"http://www.eXample.org/x", True),
    (("~(?-i)example.net",), b"http://eXample.net/", False), (("~example.org$",), b"http://example.org/x", False),
    (("~example.org/uri",), b"http://www.example.org/URI", True),
    (("www.example.org/uri",), b"http://www.example.org:80/urii", True),
    (("www.example.org/uri",), b"http://www.example.org/uRi", False),
    (("www.example.org/uri",), b"http://www.example.org", False),
    (("www.example.*/uri",), b"http://www.example.net/uri", True),
    (WILD, b"http://a.b.example.com/", True), (WILD, b"http://example.net", True), (WILD, b"http://x.net", False),
    ((".example.org",), b"http://example.org", True), ((".example.org",), b"http://a.example.org", True),
    (("~.*",), b"http://" + b"a" * 256, True), (("~.*",), b"http://" + b"a" * 257, False),
]  # fmt: skip


@pytest.mark.parametrize(("words", "referer", "holds"), CASES)
def test_referers(words, referer, holds):
    assert expected(words, referer) is holds


def test_names_of_the_site_itself():
    own = (pattern("^anchored$", True),)
    assert expected((), b"http://door/x", (b"door",), own) and expected((), b"http://Anchored/", (b"door",), own)
    assert not expected((), b"http://other/", (b"door",), own)
