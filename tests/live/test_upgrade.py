"""`frontgate upgrade` and the signals that it is made of, and what is told when it does not come about."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from configs import fixed, plain
from door import Door, alive, backend, kill, saying, until

CONFIG = plain('[timeouts]\nshutdown = "5s"', workers=1) + fixed("/here", "here")


@pytest.fixture
def door() -> Iterator[Door]:
    with backend(saying(b"hello")) as port, Door(CONFIG, backend=port) as door:
        yield door


def master(door: Door) -> int:
    """The process that the pid file names."""
    return int((door.folder / "pid").read_text())


@pytest.fixture
def gone(door: Door) -> Iterator[None]:
    """Behind the test nobody is left, whoever has taken over."""
    yield
    if (door.folder / "pid").exists() and master(door) != door.pid:
        os.kill(master(door), signal.SIGTERM)
        until(lambda: not (door.folder / "pid").exists())


@pytest.mark.built
def test_the_new_program_serves_before_the_old_one_goes(door: Door, gone: None) -> None:
    kept = door.connection()
    kept.request("GET", "/here")
    assert kept.getresponse().read() == b"here"
    done = door.command("upgrade")
    assert (done.returncode, done.stderr) == (0, "")
    heir = master(door)
    assert done.stdout == f"process {heir} serves; process {door.pid} finishes its requests and goes\n"
    kept.request("GET", "/here")
    answer = kept.getresponse()
    assert answer.read() == b"here" and answer.headers["Connection"] == "close", "the old one says that it goes"
    assert door.left() == 0 and alive(heir)
    assert door.get("/here").body == b"here" and door.get().body == b"hello"
    assert not (door.folder / "pid.oldbin").exists()


def test_a_configuration_that_the_new_program_refuses_is_told_and_nothing_begins(door: Door) -> None:
    door.write(CONFIG.replace("workers", "workerz"))
    done = door.command("upgrade")
    assert done.returncode == 1 and 'unknown key "workerz"' in done.stderr
    assert master(door) == door.pid and "started anew" not in door.stderr


def test_who_runs_applications_cannot_be_replaced(door: Door) -> None:
    (door.folder / "main.py").write_text("")
    door.write(CONFIG + '[app.one]\napp = "main:app"\n')
    done = door.command("upgrade")
    assert done.returncode == 1 and "applications cannot be there twice" in done.stderr, done.stderr
    assert master(door) == door.pid


def test_a_program_that_does_not_come_up_is_told_and_the_old_one_serves_on(door: Door) -> None:
    good, bad = door.folder / "frontgate.toml", door.folder / "other.toml"
    bad.write_text(good.read_text())
    good.write_text("nonsense")
    door.path = bad
    done = door.command("upgrade")
    assert done.returncode == 1
    assert done.stderr == "frontgate: the new program did not come up: the error log says why. The old one serves on\n"
    assert master(door) == door.pid and door.get("/here").body == b"here"
    door.path = good
    door.reload(CONFIG)


def test_one_that_hangs_is_told_and_both_are_there(door: Door, gone: None) -> None:
    door.tell(signal.SIGSTOP)
    done = door.command("upgrade", "--wait", "0.3")
    door.tell(signal.SIGCONT)
    assert done.returncode == 1 and "has started no other within 0.3 s" in done.stderr
    until(lambda: master(door) != door.pid, 15.0, "the heir, late")
    done = door.command("upgrade", "--pid", str(door.folder / "pid"))
    assert done.returncode == 1 and "an upgrade is under way" in done.stderr
    os.kill(door.pid, signal.SIGQUIT)
    assert door.left() == 0


def test_nobody_to_be_replaced(door: Door) -> None:
    pid = Path(door.folder / "pid")
    door.stop(signal.SIGTERM)
    done = door.command("upgrade")
    assert done.returncode == 1 and "frontgate does not run" in done.stderr
    pid.write_text("999999999\n")
    done = door.command("upgrade")
    assert done.returncode == 1 and "there is no process 999999999" in done.stderr
    door.path.write_text(door.path.read_text().replace('pid = "pid"', ""))
    done = door.command("upgrade")
    assert done.returncode == 1 and 'add pid = "/run/frontgate.pid"' in done.stderr


@pytest.mark.built
def test_the_old_workers_can_rest_and_come_back(door: Door, gone: None) -> None:
    """USR2, WINCH, and HUP when the new program is found wanting: nginx's way back. It has no terminal here."""
    door.stop(signal.SIGTERM)
    door.program[:0] = ["setsid"]
    door.__enter__()
    door.process.send_signal(signal.SIGUSR2)
    until(lambda: (door.folder / "pid").exists() and master(door) != door.pid, 15.0, "the heir")
    door.process.send_signal(signal.SIGWINCH)
    until(lambda: "the workers finish their requests; a reload starts others" in door.stderr)
    until(lambda: len(door.children()) == 2, 10.0, "the end of its worker: the keeper and the heir are left")
    assert door.get("/here").body == b"here"
    heir = master(door)
    door.tell(signal.SIGHUP)
    until(lambda: door.stderr.count("reading") >= 1)
    os.kill(heir, signal.SIGQUIT)
    until(lambda: not (door.folder / "pid.oldbin").exists(), 10.0, "the old one's name")
    assert master(door) == door.pid
    until(lambda: door.get("/here").body == b"here")


def test_a_master_that_dies_meanwhile_is_told(door: Door) -> None:
    workers = door.workers()
    door.tell(signal.SIGSTOP)
    kill(door.pid)
    door.left()
    done = door.command("upgrade")
    assert done.returncode == 1 and f"there is no process {door.pid}" in done.stderr
    until(lambda: not any(alive(pid) for pid in workers), 10.0, "the end of its workers")
