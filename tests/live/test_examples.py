"""The configurations that people copy: those in config/ start and answer, those in documents pass `check`."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from certificates import certify, trusting
from door import ROOT, Answer, Door, backend, fetch, free_port
from front import Front
from wires import CleanDoor, Recorder, Wire, read_response

from proxy.config import model, upstream

ADDRESS = re.compile(r'"(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)"')
EXAMPLES = sorted((ROOT / "config").glob("*.toml"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.M | re.S), 1)
]
NGINX_CONF = ROOT / "config" / "nginx.conf"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
# What a block that shows one thing may leave out.
REST = {
    "listen": '[listen.web]\naddress = "127.0.0.1:8080"\n',
    "upstream": '[upstream.app]\nservers = ["127.0.0.1:8001"]\n',
    "site": '[site.s]\ndefault = true\n[[site.s.route]]\npath = "/"\nupstream = "app"\n',
}


def certified(text: str, folder: Path, authority: trustme.CA) -> str:
    """The text with paths of a certificate and a key that exist, for all its sites."""
    names = [
        name for listed in re.findall(r"^names = \[(.*?)\]", text, re.M) for name in re.findall(r'"(.*?)"', listed)
    ]
    leaf = authority.issue_cert(*names)
    leaf.private_key_pem.write_to_path(folder / "site.key")
    (folder / "site.key").chmod(0o600)
    (folder / "site.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    text = re.sub(r'^certificate = "(?!acme").*?"', f'certificate = "{folder}/site.pem"', text, flags=re.M)
    return re.sub(r'^key = ".*?\.(?:key|pem)"', f'key = "{folder}/site.key"', text, flags=re.M)


@contextlib.contextmanager
def behind(text: str, folder: Path, admin: int) -> Iterator[tuple[str, Recorder]]:
    """The text with ports of this test: listeners' are free ones, and behind every backend's is a recorder."""
    recorder = Recorder()
    with contextlib.ExitStack() as stack:
        ports = {"9000": str(admin)}

        def moved(match: re.Match[str]) -> str:
            if match[1] not in ports:
                listens = re.search(rf'^address = "[\d.]+:{match[1]}"', text, re.M)
                ports[match[1]] = str(free_port() if listens else stack.enter_context(backend(recorder)))
            return f'"127.0.0.1:{ports[match[1]]}"'

        changed = re.sub(r'"unix:[^"]*/', f'"unix:{folder}/', ADDRESS.sub(moved, text))
        yield re.sub(r"^(?:# )?pid = .*$", 'pid = "pid"', changed, flags=re.M), recorder


@pytest.mark.built
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_starts_and_answers(path: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    admin = free_port()
    with behind(path.read_text(), tmp_path, admin) as (text, recorder):
        door = CleanDoor(certified(text, tmp_path, authority))
        door.admin = admin
        with door:
            assert "warning" not in door.stderr.lower(), door.stderr
            client = ssl.create_default_context()
            authority.configure_trust(client)
            listeners = door.status()["listeners"].values()
            assert listeners
            for listener in listeners:
                port = int(listener["address"].rpartition(":")[2])
                if listener["redirect"]:
                    assert fetch(port, "/x").status == 301
                    continue
                for site in re.findall(r'^names = \["(.*?)"', text, re.M):
                    with Wire(port) as wire:
                        wire.wire = (
                            client.wrap_socket(wire.wire, server_hostname=site) if listener["tls"] else wire.wire
                        )
                        wire.send(f"GET /some/where HTTP/1.1\r\nHost: {site}\r\n\r\n".encode())
                        found = read_response(wire)
                    assert (found.status, found.body) == (200, b"/some/where")
                    assert found.get("x-frame-options") == b"DENY"
            assert recorder.requests and recorder.wrong == []
            assert fetch(admin, "/metrics").status == 200


def moved(front: Front, ports: dict[str, int]) -> str:
    """The nginx.conf with the paths of a Front and the ports of a test."""
    folder = front.folder
    certify(folder)
    (folder / "static").mkdir()
    (folder / "static" / "a.css").write_text("body {}")
    (folder / "mime.types").write_text("types { text/css css; }")
    text = NGINX_CONF.read_text()
    user = "user root; " if os.geteuid() == 0 else ""
    for old, new in (
        ("worker_processes auto;", f"{user}worker_processes 2;"),
        ("# daemon off;", "daemon off;"),
        ("pid /run/frontgate.pid;", "pid nginx.pid;"),
        ("/var/log/frontgate/", f"{folder}/"),
        ("/etc/nginx/mime.types", f"{folder}/mime.types"),
        ("/etc/letsencrypt/live/api.example.com/fullchain.pem", f"{folder}/tls.pem"),
        ("/etc/letsencrypt/live/api.example.com/privkey.pem", f"{folder}/tls.key"),
        ("/app/static/", f"{folder}/static/"),
        ("listen 80;", f"listen 127.0.0.1:{front.port};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{front.other} ssl"),
        *((f"server 127.0.0.1:{name}", f"server 127.0.0.1:{port}") for name, port in ports.items()),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def nginx_example() -> Iterator[tuple[Front, Recorder]]:
    """A Front with config/nginx.conf, moved, that is not started yet, and what its backends are asked."""
    recorder = Recorder()
    with contextlib.ExitStack() as stack:
        front = Front("")
        ports = {name: stack.enter_context(backend(recorder)) for name in ("8001", "8002", "8003")}
        (front.folder / "nginx.conf").write_text(moved(front, ports))
        yield front, recorder


def asked(connection: http.client.HTTPConnection, path: str) -> Answer:
    """One request to the site of config/nginx.conf."""
    connection.request("GET", path, headers={"Host": "api.example.com", "X-Forwarded-For": "1.2.3.4"})
    return Answer(connection.getresponse())


def test_the_nginx_conf_starts_and_answers() -> None:
    with nginx_example() as (front, recorder), front:
        plain = fetch(front.port, "/x?y", host="api.example.com")
        assert (plain.status, plain.headers["Location"]) == (301, "https://api.example.com/x?y")
        connection = http.client.HTTPSConnection("127.0.0.1", front.other, timeout=10, context=trusting())
        with contextlib.closing(connection):
            for path in ("/some/where", "/least-conn/a", "/ip-hash/a", "/weighted/a"):
                found = asked(connection, path)
                assert (found.status, found.body.decode()) == (200, path)
                assert found.headers["X-Frame-Options"] == "DENY"
                assert found.headers["X-Content-Type-Options"] == "nosniff"
            found = asked(connection, "/static/a.css")
            assert (found.status, found.body, found.headers["Content-Type"]) == (200, b"body {}", "text/css")
            assert found.headers["Cache-Control"] == "max-age=2592000"
            statuses = [200]
            while statuses[-1] == 200 and len(statuses) < 500:
                statuses.append(asked(connection, "/api/x").status)
            assert statuses[-1] == 429 and len(statuses) >= 1 + 21 + 1
        assert recorder.wrong == []
        for request in recorder.requests:
            assert request.get("x-forwarded-for") == b"127.0.0.1" and request.get("x-forwarded-proto") == b"https"
            assert request.get("connection") is None  # kept, and nothing is upgraded that did not ask for it


def test_the_nginx_conf_passes_check_and_is_converted() -> None:
    with nginx_example() as (front, _):
        command = [sys.executable, "-P", "-m", "proxy.cli"]
        for name in ("nginx.conf", "frontgate.toml"):
            checked = subprocess.run(
                [*command, "check", "-c", str(front.folder / name)],
                cwd=ROOT,
                env=front.environment,
                capture_output=True,
                text=True,
            )
            assert (checked.returncode, checked.stderr) == (0, "")
            converted = [*command, "convert", str(front.folder / "nginx.conf")]
            text = subprocess.run(converted, cwd=ROOT, env=front.environment, capture_output=True, text=True)
            assert text.returncode == 0 and 'servers = ["127.0.0.1:' in text.stdout
            (front.folder / "frontgate.toml").write_text(text.stdout)


@pytest.mark.debian
def test_nginx_itself_takes_the_nginx_conf() -> None:
    with nginx_example() as (front, _):
        command = [NGINX, "-t", "-p", f"{front.folder}/", "-c", f"{front.folder}/nginx.conf"]
        tested = subprocess.run(command, capture_output=True, text=True)
        assert tested.returncode == 0 and "[warn]" not in tested.stderr, tested.stderr


def test_there_are_examples() -> None:
    assert {"demo.toml", "frontgate.toml"} <= {path.name for path in EXAMPLES}
    assert {"README.md-1", "reliability.md-1"} <= {str(block.id) for block in BLOCKS}


def test_every_key_of_reliability_is_shown() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    shown = set(re.findall(r"^(?:# )?(\w+) = ", "\n".join(re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)), re.M))
    inline = set(re.findall(r"`(\w+)", text)) | set(re.findall(r"[{,] (\w+) = ", text))
    for table in (upstream.Retry, upstream.Breaker, upstream.Health, upstream.Queue, upstream.Fallback, model.Buffer):
        missing = table.model_fields.keys() - shown - inline
        assert not missing, f"{table.__name__}: {missing}"


@pytest.mark.parametrize("block", BLOCKS)
def test_a_configuration_in_a_document_passes_check(block: str, tmp_path: Path) -> None:
    text = certified(block, tmp_path, trustme.CA()) if "certificate" in block else block
    text = re.sub(r'"unix:[^"]*/', f'"unix:{tmp_path}/', text)
    given = tomllib.loads(block)
    given |= {"upstream": given["app"]} if "app" in given else {}  # an app is one, too
    path = tmp_path / "frontgate.toml"
    path.write_text("".join((text, *(table for name, table in REST.items() if name not in given))))
    command = [sys.executable, "-m", "proxy.cli", "check", "-c", str(path)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert checked.stderr == ""


def test_an_example_with_an_error_is_refused() -> None:
    """This test's own proof: what is compared above can fail."""
    broken = EXAMPLES[0].read_text().replace("[admin]", "[admn]", 1)
    with Door(broken, wait=False) as door:
        assert door.left() == 1 and "admn" in door.stderr
