"""The configurations that people copy: those in config/ start and answer, those in the README pass `check`."""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from door import ROOT, Door, backend, fetch, free_port
from wires import CleanDoor, Recorder, Wire, read_response

ADDRESS = re.compile(r'"(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)"')
EXAMPLES = sorted((ROOT / "config").glob("*.toml"))
README = ROOT / "README.md"
BLOCKS = re.findall(r"^```toml\n(.*?)^```", README.read_text(), re.M | re.S) if README.exists() else []


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


@pytest.mark.skipif(not BLOCKS, reason="no README.md with TOML in it")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_readme_s_configuration_passes_check(number: int, tmp_path: Path) -> None:
    text = re.sub(r'"unix:[^"]*/', f'"unix:{tmp_path}/', certified(BLOCKS[number], tmp_path, trustme.CA()))
    path = tmp_path / "readme.toml"
    path.write_text(text)
    command = [sys.executable, "-m", "proxy.cli", "check", "-c", str(path)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert checked.stderr == ""


def test_an_example_with_an_error_is_refused() -> None:
    """This test's own proof: what is compared above can fail."""
    broken = EXAMPLES[0].read_text().replace("[admin]", "[admn]", 1)
    with Door(broken, wait=False) as door:
        assert door.left() == 1 and "admn" in door.stderr
