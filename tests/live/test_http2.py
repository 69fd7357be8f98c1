"""HTTP/2 with the clients that people use, over TLS and on a plain port: curl, nghttp, h2load, httpx."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from certificates import certify, trusting
from configs import fixed
from door import Door, free_port

from proxy.downstream.h2.engines import ENGINES

pytestmark = pytest.mark.skipif(not ENGINES, reason="no engine of HTTP/2 is installed")
CONFIG = """
workers = 1
[listen.plain]
address = "127.0.0.1:{port}"
http2 = true
[listen.web]
address = "127.0.0.1:{secure}"
tls = true
[listen.old]
address = "127.0.0.1:{old}"
tls = true
http2 = false
[site.s]
default = true
certificate = "tls.pem"
key = "tls.key"
"""


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    door = Door(CONFIG + fixed("/", "hello"), secure=free_port(), old=free_port())
    certify(door.folder)
    with door:
        yield door


def said(door: Door, *words: str) -> str:
    """What a command says."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is missing")
    filled = [word.format(**door.words) for word in words]
    return subprocess.run(filled, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.debian
@pytest.mark.parametrize(
    "words,spoken",
    (
        (("-k", "https://127.0.0.1:{secure}/"), "2"),
        (("-k", "--http1.1", "https://127.0.0.1:{secure}/"), "1.1"),
        (("-k", "https://127.0.0.1:{old}/"), "1.1"),
        (("--http2-prior-knowledge", "http://127.0.0.1:{port}/"), "2"),
        (("http://127.0.0.1:{port}/",), "1.1"),
    ),
)
def test_curl(door: Door, words: tuple[str, ...], spoken: str) -> None:
    assert said(door, "curl", "-s", "-w", " %{{http_version}} %{{http_code}}", *words) == f"hello {spoken} 200"


@pytest.mark.debian
def test_nghttp(door: Door) -> None:
    assert "hello" in said(door, "nghttp", "http://127.0.0.1:{port}/")


@pytest.mark.debian
def test_h2load(door: Door) -> None:
    told = said(door, "h2load", "-n", "300", "-c", "3", "-m", "10", "https://127.0.0.1:{secure}/")
    assert "300 succeeded, 0 failed, 0 errored" in told


def test_httpx(door: Door) -> None:
    with httpx.Client(http2=True, verify=trusting()) as client:
        place = f"https://127.0.0.1:{door.words['secure']}/"
        answers = [client.post(place, content=b"x" * size) for size in (0, 70000)]
    assert [(answer.http_version, answer.text) for answer in answers] == [("HTTP/2", "hello")] * 2
