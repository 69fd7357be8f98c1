"""HTTP/2 through the life of a whole door: WebSockets on streams, reloads under load, and a stop with streams open; and
a browser, which does all of it at once."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from certificates import certify
from configs import fixed, plain
from door import Door, backend, free_port, head_of, until
from framed import DATA, END, GOAWAY, HEADERS, WHOLE, Framed, block, frame, text

from proxy.downstream.h2.engines import ENGINES

pytestmark = pytest.mark.skipif(not ENGINES, reason="no engine of HTTP/2 is installed")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONFIG = (
    plain('[timeouts]\nshutdown = "8s"\n[http2]\nengine = "{engine}"\n[log]\naccess = "access.log"', workers=1)
    .replace('{port}"\n', '{port}"\nhttp2 = true\n[listen.safe]\naddress = "127.0.0.1:{secure}"\ntls = true\n', 1)
    .replace("default = true\n", 'default = true\ncertificate = "tls.pem"\nkey = "tls.key"\n', 1)
)
NEW = CONFIG + fixed("/new", "new")
PAGE = b"""<!DOCTYPE html><title>door</title><p id=told>nothing</p><script>
const hop = performance.getEntriesByType("navigation")[0].nextHopProtocol;
const tunnel = new WebSocket(`wss://${location.host}/tunnel`);
tunnel.onopen = () => tunnel.send("over there");
tunnel.onmessage = (event) => { told.textContent = `${hop} brings ${event.data}`; };
tunnel.onerror = () => { told.textContent = `${hop} brings no tunnel`; };
</script>"""


class Origin:
    """A backend with a page, a WebSocket that sends everything back, and answers that wait until they are `due`."""

    def __init__(self) -> None:
        self.due = threading.Event()
        self.waiting = 0

    def __call__(self, wire: socket.socket) -> None:
        raw = b""
        while b"\r\n\r\n" in (raw := head_of(wire, raw)):
            head, _, raw = raw.partition(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            if lines.get(b"upgrade") == b"websocket":
                self.echo(wire, re.search(rb"(?i)sec-websocket-key: (\S+)", head)[1])  # type: ignore[index]
                return
            if b"/late" in head:
                self.waiting += 1
                self.due.wait(20)
            body = PAGE if b"/page" in head else b"hello"
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    @staticmethod
    def echo(wire: socket.socket, key: bytes) -> None:
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        wire.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        while data := wire.recv(65536):
            if data[1] & 0x80:  # a short frame of a client, which is masked (RFC 6455 section 5.3)
                mask, words = data[2:6], data[6 : 6 + (data[1] & 0x7F)]
                plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(words))
                wire.sendall(bytes((data[0], len(plain))) + plain)


@pytest.fixture(scope="module", params=sorted(ENGINES))
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Door, Origin]]:
    origin = Origin()
    with backend(origin) as port:
        door = Door(CONFIG, backend=port, secure=free_port(), engine=request.param)
        certify(door.folder)
        with door:
            yield door, origin


def test_a_websocket_on_a_stream(place: tuple[Door, Origin]) -> None:
    """RFC 8441: it lives through a reload, and other streams beside it are answered."""
    door, _ = place
    with Framed(door.port) as client:
        assert client.said[8] == 1, "ENABLE_CONNECT_PROTOCOL"
        protocol = b"\0" + text(b":protocol") + text(b"websocket")
        client.wire.sendall(frame(HEADERS, WHOLE, 1, protocol + block(method=b"CONNECT", path=b"/tunnel")))
        door.reload(NEW)
        client.wire.sendall(frame(HEADERS, WHOLE | END, 3, block(path=b"/new")))
        client.wire.sendall(frame(DATA, 0, 1, b"\x81\x82\0\0\0\0hi"))
        said: dict[int, bytes] = {}
        for kind, _, stream, payload in client.frames(5.0):
            if kind == DATA:
                said[stream] = said.get(stream, b"") + payload
            if set(said) == {1, 3}:
                break
        assert said == {1: b"\x81\x02hi", 3: b"new"}
    door.reload(CONFIG)


@pytest.mark.debian
def test_reloads_under_load_lose_nothing(place: tuple[Door, Origin]) -> None:
    if shutil.which("h2load") is None:
        pytest.skip("h2load is missing: apt-get install nghttp2-client")
    door, _ = place
    url = f"https://127.0.0.1:{door.words['secure']}/"
    with subprocess.Popen(
        ["h2load", "-c", "4", "-m", "16", "-D", "4", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as load:
        for number in range(8):
            door.reload((NEW, CONFIG)[number % 2])
        told = load.communicate(timeout=30)[0]
    assert " 0 failed, 0 errored, 0 timeout" in told, told
    assert "4xx, 0 5xx" in told and int(told.partition("requests: ")[2].split()[0]) > 100, told


@pytest.mark.debian
def test_a_browser(place: tuple[Door, Origin]) -> None:
    """Its page and its WebSocket come on one connection (RFC 8441)."""
    drive = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    door, _ = place
    with drive.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = chromium.new_context(ignore_https_errors=True).new_page()
        page.goto(f"https://127.0.0.1:{door.words['secure']}/page")
        page.wait_for_function("told.textContent != 'nothing'", timeout=20_000)
        told = page.text_content("#told")
        chromium.close()
    assert told == "h2 brings over there"
    until(lambda: "CONNECT /tunnel HTTP/2.0" in (door.folder / "access.log").read_text(), 5.0, "a line in the log")


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_stop_finishes_what_was_begun(engine: str) -> None:
    """GOAWAY in two steps: what came before the second is answered, and then the connection ends."""
    origin = Origin()
    with backend(origin) as port:
        door = Door(CONFIG, backend=port, secure=free_port(), engine=engine)
        certify(door.folder)
        with door, Framed(door.port) as client:
            client.wire.sendall(frame(HEADERS, WHOLE | END, 1, block(path=b"/late")))
            until(lambda: origin.waiting == 1, 5.0, "the request")
            door.tell(signal.SIGQUIT)
            ended, lasts = [], []
            for kind, flags, stream, payload in client.frames(10.0):
                if kind == GOAWAY:
                    lasts.append(int.from_bytes(payload[:4], "big"))
                    if len(lasts) == 1:  # it was on its way
                        client.wire.sendall(frame(HEADERS, WHOLE | END, 3, block()))
                    else:
                        origin.due.set()
                elif kind in (DATA, HEADERS) and flags & END:
                    ended.append(stream)
            assert client.over and ended == [3, 1] and lasts == [(1 << 31) - 1, 3]
            assert door.left(10.0) == 0
