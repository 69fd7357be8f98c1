"""PROXY headers to backends: HAProxy, nginx and another door of ours as those who read them, over TLS too."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from door import Door, free_port, head_of, until
from door import backend as talking

from proxy.http.proxy_protocol import Proxied, read

HAPROXY = """
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend plain
    bind 127.0.0.1:{plain} accept-proxy
    bind 127.0.0.1:{secure} accept-proxy ssl crt {folder}/server.pem
    http-request return status 200 content-type text/plain lf-string "%[src]|%[src_port]|%[dst]|%[dst_port]|%[fc_pp_authority]|%[fc_pp_unique_id]|%[fc_rcvd_proxy]|%[ssl_fc]"
"""  # noqa: E501
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{plain} proxy_protocol;
        listen 127.0.0.1:{secure} ssl proxy_protocol;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        location / {{
            return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr
                $proxy_protocol_server_port";
        }}
    }}
}}
"""
DOOR = """
workers = 1
[listen.web]
address = "127.0.0.1:{port}"
[listen.tls]
address = "127.0.0.1:{tls}"
tls = true
http2 = true
[upstream.plain]
servers = ["127.0.0.1:{plain}"]
proxy_protocol = "{version}"
retry = { on = [] }
health = { path = "/health", interval = "50ms" }
[upstream.secure]
servers = ["127.0.0.1:{secure}"]
proxy_protocol = "{version}"
retry = { on = [] }
tls = { verify = false }
health = { path = "/health", interval = "50ms" }
[site.all]
default = true
certificate = "{certificates}/server.pem"
key = "{certificates}/server.key"
[[site.all.route]]
path = "/secure"
upstream = "secure"
[[site.all.route]]
path = "/"
upstream = "plain"
"""
INNER = """
workers = 1
[http]
trusted_proxies = ["127.0.0.0/8"]
[listen.web]
address = "127.0.0.1:{port}"
proxy_protocol = true
[listen.tls]
address = "127.0.0.1:{tls}"
proxy_protocol = true
tls = true
[site.all]
default = true
certificate = "{certificates}/server.pem"
key = "{certificates}/server.key"
[[site.all.route]]
path = "/"
reply = { body = "here" }
add_headers = [ { name = "X-Told", value = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_tlv_authority $proxy_protocol_tlv_alpn $proxy_protocol_tlv_ssl_version $proxy_protocol_tlv_ssl_cipher $proxy_protocol_tlv_unique_id" } ]
"""  # noqa: E501


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for everybody."""
    folder = tmp_path_factory.mktemp("certificates")
    leaf = trustme.CA().issue_cert("door.test")
    (folder / "server.key").touch(0o600)
    (folder / "server.key").write_bytes(leaf.private_key_pem.bytes())
    (folder / "server.pem").write_bytes(leaf.cert_chain_pems[0].bytes() + leaf.private_key_pem.bytes())
    return folder


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A program that listens, until the `with` ends."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until(lambda: socket.create_connection(("127.0.0.1", port), 1.0).close() is None, 10.0, command[0])
        yield
    finally:
        process.terminate()
        process.wait(10)


def trusting(*protocols: str) -> ssl.SSLContext:
    """A client that believes anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context


class Client:
    """A connection to a door: its own address, and what it is told."""

    def __init__(self, port: int, name: str | None = None) -> None:
        self.wire = socket.create_connection(("127.0.0.1", port), 10)
        self.ends = (*self.wire.getsockname(), *self.wire.getpeername())
        if name is not None:
            self.wire = trusting("http/1.1").wrap_socket(self.wire, server_hostname=name)

    def get(self, path: str) -> str:
        """What an answer tells in its field or its body; it must be good."""
        self.wire.sendall(f"GET {path} HTTP/1.1\r\nHost: door.test\r\n\r\n".encode())
        response = http.client.HTTPResponse(self.wire, method="GET")
        response.begin()
        body = response.read().decode()
        assert response.status == 200, body
        return response.headers.get("X-Told") or body

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()


def doored(certificates: Path, version: str, plain: int, secure: int) -> Door:
    """A door before a backend, with a listener for TLS too."""
    return Door(DOOR, certificates=certificates, version=version, plain=plain, secure=secure, tls=free_port())


def no_trouble(door: Door) -> None:
    """Checks found the backends well."""
    until(lambda: door.stderr.count("is up: its first check was good") == 2, 10.0, "good checks over both listeners")


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs Debian's haproxy")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_believes_who_the_client_is(version, certificates, tmp_path):
    plain, secure = free_port(), free_port()
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.format(plain=plain, secure=secure, folder=certificates))
    command = [shutil.which("haproxy"), "-f", str(tmp_path / "haproxy.cfg"), "-db"]
    with running(command, plain), doored(certificates, version, plain, secure) as door:
        no_trouble(door)
        for path, inner in (("/", "0"), ("/secure", "1")):
            with Client(door.port) as one, Client(door.words["tls"], "door.test") as other:
                for client, name in ((one, ""), (other, "door.test"), (one, "")):
                    words = client.get(path).split("|")
                    assert words[:4] == [str(end) for end in client.ends]
                    assert words[4] == (name if version == "v2" else "")
                    assert (words[5] == "") == (version == "v1")
                    assert words[6:] == ["1", inner]


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs Debian's nginx")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_believes_who_the_client_is(version, certificates, tmp_path):
    plain, secure = free_port(), free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(plain=plain, secure=secure, folder=tmp_path))
    for name in ("server.pem", "server.key"):
        shutil.copy(certificates / name, tmp_path / name)
    with (
        running([shutil.which("nginx"), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], plain),
        doored(certificates, version, plain, secure) as door,
    ):
        no_trouble(door)
        for path in ("/", "/secure"):
            with Client(door.port) as client:
                assert client.get(path).split() == [str(end) for end in client.ends]


def test_another_door_is_told_of_the_clients_tls(certificates):
    with (
        Door(INNER, certificates=certificates, tls=free_port()) as inner,
        doored(certificates, "v2", inner.port, inner.words["tls"]) as door,
    ):
        no_trouble(door)
        identities = set()
        for path in ("/", "/secure"):
            with Client(door.words["tls"], "a.door.test") as client:
                address, port, name, protocol, version, cipher, identity = client.get(path).split(" ")
                assert (address, port) == ("127.0.0.1", str(client.ends[1]))
                assert (name, protocol, version) == ("a.door.test", "http/1.1", "TLSv1.3")
                assert cipher == client.wire.cipher()[0]
                identities.add(identity)
        assert len(identities) == 2, "each connection has its own"


class Noted:
    """A backend that notes each connection's header, and how many requests came behind it."""

    def __init__(self) -> None:
        self.headers: list[Proxied] = []
        self.raw: list[bytes] = []
        self.requests: list[int] = []

    def __call__(self, wire: socket.socket) -> None:
        data = b""
        while (found := read(data) if data else None) is None:
            data += wire.recv(65536)
        number = len(self.headers)
        data = head_of(wire, data[found.size :])
        if b"GET /health" in data:
            self.raw.append(b"")
            assert not found.address, "a check speaks for nobody"
        else:
            self.headers.append(found)
            self.requests.append(0)
        while b"\r\n\r\n" in data:
            if b"GET /health" not in data:
                self.requests[number] += 1
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(number)), number))
            data = head_of(wire, data.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_link_serves_one_client_alone(version, certificates):
    noted = Noted()
    with talking(noted) as port, doored(certificates, version, port, free_port()) as door:
        with Client(door.port) as one, Client(door.port) as other:
            said = [client.get("/") for client in (one, other, one, other, one)]
            assert said == ["0", "1", "0", "1", "0"]
            assert noted.requests == [3, 2]
            assert [found.port for found in noted.headers] == [one.ends[1], other.ends[1]]
        with Client(door.port) as third:
            assert third.get("/") == "2", "links of clients that have gone are nobody else's"
        until(lambda: noted.raw, 5.0, "a check")
