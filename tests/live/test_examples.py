"""The configurations that people copy: those in config/ start and answer, those in documents pass `check`."""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from door import ROOT, Door, backend, fetch, free_port
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
    text = re.sub(r'^certificate = ".*?"', f'certificate = "{folder}/site.pem"', text, flags=re.M)
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
