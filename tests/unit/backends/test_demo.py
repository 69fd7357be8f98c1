"""The demo before it starts anything: what it reads from the configuration and what it says about busy ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.demo import Child, Demo, Stopped, invitation, make_certificates
from backends.plan import Trouble, busy, read_plan
from proxy.config.toml import read

ROOT = Path(__file__).resolve().parents[3]


def configuration(folder: Path, secure: int, backend: str = "unix:app.sock") -> Path:
    """Write the configuration of a demo on these addresses; admin and plain on any free port."""
    path = folder / "demo.toml"
    path.write_text(f"""
        admin = {{ listen = "127.0.0.1:0" }}
        listen.secure = {{ address = "127.0.0.1:{secure}", tls = true }}
        listen.plain = {{ address = "127.0.0.1:0" }}
        upstream.app = {{ servers = ["{backend}", {{ address = "127.0.0.1:0", weight = 2 }}] }}
        site.demo = {{ certificate = "made/localhost.pem", key = "made/localhost.key" }}
    """)
    return path


def check(config: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo's check of its ports as a person would."""
    command = [sys.executable, "-m", "backends.demo", "--check-only", "-c", str(config)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo with its files made and nothing started yet; whatever a test starts in it is stopped."""
    demo = Demo(read_plan(configuration(tmp_path, 0)))
    make_certificates(demo.plan)
    yield demo
    demo.stop()


def start(demo: Demo, script: str) -> Child:
    """Start a shell script as a child of the demo and wait until it has said something."""
    child = demo.start("app-1", ["sh", "-c", script], {})
    while not child.log.read_text():
        demo.pause()
    return child


def test_a_busy_port_is_named_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = check(configuration(tmp_path, port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Port {port} on 127.0.0.1 is busy: stop the program that has it")
    assert done.stderr.count("\n") == 1


def test_a_port_shared_by_reuseport_is_busy_too() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        reason = busy(f"127.0.0.1:{taken.getsockname()[1]}")
    assert reason is not None
    assert "is busy" in reason


def test_free_ports_are_fine_and_nothing_is_made(tmp_path: Path) -> None:
    done = check(configuration(tmp_path, 0))
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "made").exists()


def test_a_unix_socket_is_busy_only_while_somebody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert path in str(busy(f"unix:{path}"))
    assert os.path.exists(path)
    assert busy(f"unix:{path}") is None


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    plan = read_plan(configuration(tmp_path, 8443))
    assert plan.backends == (f"unix:{tmp_path}/app.sock", "127.0.0.1:0")
    assert plan.certificate == tmp_path / "made" / "localhost.pem"
    assert plan.authority == tmp_path / "made" / "ca.pem"


def test_a_configuration_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="cannot be read"):
        read_plan(tmp_path / "missing.toml")
    (tmp_path / "empty.toml").write_text("workers = 1")
    with pytest.raises(Trouble, match="not a configuration for the demo"):
        read_plan(tmp_path / "empty.toml")


def test_the_demo_of_the_repository_is_one_it_can_run() -> None:
    plan = read_plan(ROOT / "config" / "demo.toml")
    assert len(plan.backends) == 4
    assert sum(address.startswith("unix:") for address in plan.backends) == 1
    assert plan.folder == ROOT / "var" / "demo"


def test_the_invitation_tells_how_to_ask_and_reload(tmp_path: Path) -> None:
    text = invitation(read_plan(ROOT / "config" / "demo.toml"))
    for word in ("status", "reload"):
        assert re.search(rf"bin/frontgate {word} -c \S*config/demo\.toml$", text, re.MULTILINE)
    assert read(ROOT / "config" / "demo.toml").pid == str(ROOT / "var" / "demo" / "frontgate.pid")


def test_certificates_are_kept_and_the_key_is_private(tmp_path: Path) -> None:
    plan = read_plan(configuration(tmp_path, 0))
    make_certificates(plan)
    made = [path.read_bytes() for path in (plan.authority, plan.certificate, plan.key)]
    make_certificates(plan)
    assert [path.read_bytes() for path in (plan.authority, plan.certificate, plan.key)] == made
    assert plan.key.stat().st_mode & 0o077 == 0
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(plan.certificate, plan.key)


def test_a_child_that_dies_is_named_with_its_last_words(demo: Demo) -> None:
    demo.start("app-1", ["sh", "-c", "echo no such app >&2; exit 3"], {})
    with pytest.raises(Trouble, match=r"(?s)^app-1 ended by itself with status 3\..*no such app"):
        while True:
            demo.pause()


def test_a_stop_asked_for_ends_the_waiting(demo: Demo) -> None:
    demo.ask_to_stop()
    with pytest.raises(Stopped):
        demo.pause()


def test_children_are_asked_first_and_killed_when_they_do_not_listen(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    polite = start(demo, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    deaf = start(demo, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    monkeypatch.setattr("backends.demo.STOP_WITHIN", 1.0)
    demo.stop()
    assert polite.process.returncode == 0
    assert deaf.process.returncode == -signal.SIGKILL
    assert capsys.readouterr().err.count("is killed") == 1
