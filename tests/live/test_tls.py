"""TLS as clients meet it: certificates by name, versions, resumption over all workers, changes at a reload."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from door import free_port, until
from wires import CleanDoor

CONFIG = """
workers = 2
[listen.web]
address = "127.0.0.1:{port}"
tls = true
[listen.plain]
address = "127.0.0.1:{plain}"
redirect = "https"
[site.a]
names = ["a.test"]
certificate = "a.pem"
key = "a.key"
[[site.a.route]]
path = "/"
reply = { body = "a" }
[site.b]
names = ["b.test"]
default = true
certificate = "b.pem"
key = "b.key"
[[site.b.route]]
path = "/"
reply = { body = "b" }
[site.wild]
names = ["*.wild.test"]
certificate = "wild.pem"
key = "wild.key"
[[site.wild.route]]
path = "/"
reply = { body = "wild" }
"""


class Authority:
    """Issues the certificates of a folder, and makes clients that believe them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        for name, host in (("a", "a.test"), ("b", "b.test"), ("wild", "*.wild.test")):
            self.issue(name, host)

    def issue(self, name: str, host: str) -> None:
        """Write NAME.pem and NAME.key."""
        leaf = self.authority.issue_cert(host)
        leaf.private_key_pem.write_to_path(self.folder / f"{name}.key")
        (self.folder / f"{name}.key").chmod(0o600)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))

    def client(self, version: ssl.TLSVersion | None = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A client that trusts us, and speaks one version only if it is given."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


class SecureDoor(CleanDoor):
    """A door with certificates."""

    def __init__(self, config: str) -> None:
        super().__init__(config, plain=free_port())
        self.authority = Authority(self.folder)

    def shake(
        self, context: ssl.SSLContext, name: str | None = "a.test", session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        """A connection after its handshake."""
        return context.wrap_socket(self.wire(), server_hostname=name, session=session)


@pytest.fixture(scope="module")
def door() -> Iterator[SecureDoor]:
    with SecureDoor(CONFIG) as door:
        yield door


def ask(wire: ssl.SSLSocket, host: str = "a.test") -> bytes:
    """One request, the connection stays open; gives the body."""
    wire.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    response = http.client.HTTPResponse(wire)
    response.begin()
    assert response.status == 200
    return response.read()


def names(wire: ssl.SSLSocket) -> list[str]:
    """What the certificate stands for."""
    certificate = wire.getpeercert()
    assert certificate
    return [str(entry[1]) for entry in certificate["subjectAltName"]]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize(
    ("name", "certificate"),
    [
        ("a.test", "a.test"),
        ("A.TEST", "a.test"),
        ("b.test", "b.test"),
        ("x.wild.test", "*.wild.test"),
        ("unknown.test", "b.test"),
        ("wild.test", "b.test"),
        (None, "b.test"),
    ],
)
def test_the_name_chooses_the_certificate(
    door: SecureDoor, version: ssl.TLSVersion, name: str | None, certificate: str
) -> None:
    context = door.authority.client(version)
    context.check_hostname = False
    with door.shake(context, name) as wire:
        assert names(wire) == [certificate]
        assert wire.version() == ("TLSv1.2" if version is ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
        assert ask(wire, name or "b.test") in (b"a", b"b", b"wild")


def test_a_client_that_verifies_is_content(door: SecureDoor) -> None:
    for name, body in (("a.test", b"a"), ("b.test", b"b"), ("x.wild.test", b"wild")):
        with door.shake(door.authority.client(), name) as wire:
            assert ask(wire, name) == body


def test_http_1_1_is_agreed_on(door: SecureDoor) -> None:
    for offer in (("spdy/3", "http/1.1"), ("http/1.1",)):
        with door.shake(door.authority.client(alpn=offer)) as wire:
            assert wire.selected_alpn_protocol() == "http/1.1"
            assert ask(wire) == b"a"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_old_versions_are_refused(door: SecureDoor, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(incoming, outgoing, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    with door.wire() as wire:
        wire.sendall(outgoing.read())
        try:
            answer = wire.recv(100)
        except ConnectionResetError:
            answer = b""
    # The alert "protocol_version", or just the end: uvloop throws the alert away when a handshake fails.
    assert answer == b"" or (answer[0], answer[6]) == (0x15, 70)


def test_something_else_than_tls_is_ended(door: SecureDoor) -> None:
    with door.wire() as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        said = b""
        try:
            while more := wire.recv(1000):
                said += more
        except ConnectionResetError:
            pass
        assert b"HTTP/1.1 200" not in said
    with door.shake(door.authority.client()) as after:
        assert ask(after) == b"a"


def resumed(door: SecureDoor, context: ssl.SSLContext, session: ssl.SSLSession, times: int = 24) -> list[bool]:
    """Whether new connections with this session were resumed."""
    found = []
    for _ in range(times):
        with door.shake(context, session=session) as wire:
            assert ask(wire) == b"a"
            found.append(bool(wire.session_reused))
    return found


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_session_resumes_on_every_worker_also_after_a_reload(version: ssl.TLSVersion) -> None:
    with SecureDoor(CONFIG) as door:
        context = door.authority.client(version)
        with door.shake(context) as wire:
            assert ask(wire) == b"a" and not wire.session_reused
            session = wire.session
            before = wire.getpeercert(True)
        assert session is not None
        accepted = [worker["accepted"] for worker in door.status()["workers"]]
        assert resumed(door, context, session) == [True] * 24
        now = [worker["accepted"] for worker in door.status()["workers"]]
        assert all(later > earlier for later, earlier in zip(now, accepted, strict=True)), "one worker had them all"
        door.authority.issue("a", "a.test")
        door.reload()
        for _ in range(12):
            with door.shake(context) as wire:
                assert wire.getpeercert(True) != before and ask(wire) == b"a"
        assert resumed(door, context, session) == [True] * 24


def test_a_killed_worker_s_successor_resumes_too() -> None:
    with SecureDoor(CONFIG) as door:
        context = door.authority.client()
        with door.shake(context) as wire:
            ask(wire)
            session = wire.session
        assert session is not None
        before = door.workers()
        subprocess.run(["kill", "-KILL", *map(str, before)], check=True)
        until(lambda: len(door.workers()) == 2 and not set(before) & set(door.workers()))
        assert resumed(door, context, session) == [True] * 24


def test_a_successor_has_the_new_certificate() -> None:
    with SecureDoor(CONFIG) as door:
        context = door.authority.client()
        with door.shake(context) as wire:
            before = wire.getpeercert(True)
        door.authority.issue("a", "a.test")
        door.reload()
        old = door.workers()
        subprocess.run(["kill", "-KILL", *map(str, old)], check=True)
        until(lambda: len(door.workers()) == 2 and not set(old) & set(door.workers()))
        for _ in range(12):
            with door.shake(context) as wire:
                assert wire.getpeercert(True) != before


def test_open_connections_live_through_a_change_of_certificates() -> None:
    with SecureDoor(CONFIG) as door:
        wires = [door.shake(door.authority.client()) for _ in range(8)]
        assert [ask(wire) for wire in wires] == [b"a"] * 8
        door.authority.issue("a", "a.test")
        door.reload()
        assert [ask(wire) for wire in wires] == [b"a"] * 8
        for wire in wires:
            wire.close()


def test_plain_http_is_sent_to_https_with_its_port(door: SecureDoor) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(str(door.words["plain"])), timeout=10)
    for host in ("a.test", f"a.test:{door.words['plain']}"):
        connection.request("GET", "/x/%2e?y=z&u=http://b.test/", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 301
        assert answer.headers["Location"] == f"https://a.test:{door.port}/x/%2e?y=z&u=http://b.test/"
    connection.close()


def test_a_key_of_another_certificate_is_refused_and_the_old_one_stays() -> None:
    with SecureDoor(CONFIG) as door:
        context = door.authority.client()
        with door.shake(context) as wire:
            before = wire.getpeercert(True)
        door.authority.issue("c", "a.test")
        (door.folder / "c.key").replace(door.folder / "a.key")
        line = door.path.read_text().split("\n").index('key = "a.key"') + 1
        checked = door.command("check")
        assert checked.returncode == 1 and f"{door.path}:{line}: key " in checked.stderr
        assert "does not belong to certificate" in checked.stderr
        door.reload(good=False)
        assert f"{door.path}:{line}: key " in door.stderr
        for _ in range(8):
            with door.shake(context) as wire:
                assert wire.getpeercert(True) == before and ask(wire) == b"a"
        door.authority.issue("a", "a.test")
        door.reload()
        with door.shake(context) as wire:
            assert wire.getpeercert(True) != before


def test_a_client_that_says_nothing_does_not_hold_others_up(door: SecureDoor) -> None:
    silent = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(50)]
    for number, one in enumerate(silent):
        one.sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 6])
    for _ in range(10):
        with door.shake(door.authority.client()) as wire:
            assert ask(wire) == b"a"
    for one in silent:
        one.close()


def is_over(wire: socket.socket) -> bool:
    """Whether the other side has closed, without waiting for it."""
    wire.setblocking(False)
    try:
        return not wire.recv(4096)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_a_connection_has_its_place_from_when_it_is_accepted_until_its_handshake_fails() -> None:
    config = CONFIG.replace("workers = 2", "workers = 1") + "[http]\nmax_connections_per_address = 5\n"
    with SecureDoor(config) as door:
        silent = [door.wire() for _ in range(12)]
        until(lambda: sum(map(is_over, silent)) >= 7, what="the end of those for whom there is no place")
        assert sum(map(is_over, silent)) == 7
        for wire in silent:
            wire.close()
        context = door.authority.client()

        def served() -> bytes:
            with door.shake(context) as wire:
                return ask(wire)

        assert until(served) == b"a"
        for begin in (b"nonsense\r\n\r\n", b"\x16\x03\x01"):
            for _ in range(8):  # more than there are places
                with door.wire() as wire:
                    wire.sendall(begin)
                    wire.shutdown(socket.SHUT_WR)
                    until(lambda wire=wire: is_over(wire))
        assert until(served) == b"a"
