"""What the service manager is told, over a real socket of its kind, and nobody where there is none."""

from __future__ import annotations

import os
import socket
from time import monotonic

import pytest

from proxy.process.notify import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A manager's socket, and its address as the environment has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        path = str(tmp_path / "notify") if request.param == "path" else f"@frontgate-{os.getpid()}"
        wire.bind(path.replace("@", "\0"))
        wire.settimeout(5)
        yield wire, path


def lines(wire):
    return wire.recv(4096).decode().split("\n")


def test_how_we_are(manager):
    wire, path = manager
    notify = Notify({"NOTIFY_SOCKET": path})
    notify.ready("serving")
    assert lines(wire) == ["READY=1", "STATUS=serving", f"MAINPID={os.getpid()}"]
    before = int(monotonic() * 1e6)
    notify.reloading()
    first, second, _ = lines(wire)
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC" and before <= int(value) <= monotonic() * 1e6
    notify.stopping("finishing")
    assert lines(wire) == ["STOPPING=1", "STATUS=finishing"]
    notify.stopping("finishing", 4711)
    told = lines(wire)
    assert told[0] == "MAINPID=4711" and "STOPPING=1" not in told, "the service lives on"


def test_signs_of_life(manager):
    wire, path = manager
    notify = Notify({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
    assert notify.pause == 1.5 and notify.due <= monotonic() + 1.5
    notify.live(notify.due - 0.1)
    due = notify.due
    notify.live(due)
    assert notify.due == due + 1.5
    assert lines(wire) == ["WATCHDOG=1"]


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}])
def test_nobody_asks_for_signs_of_life(manager, more):
    notify = Notify({"NOTIFY_SOCKET": manager[1], **more})
    assert notify.pause == 0.0 and notify.due == float("inf")


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"WATCHDOG_USEC": "3000000"}])
def test_nobody_listens(environment):
    notify = Notify(environment)
    notify.ready("serving")
    notify.live(notify.due)
    assert "NOTIFY_SOCKET" in environment or not notify.pause


def test_a_manager_that_does_not_read_is_not_waited_for(manager):
    notify = Notify({"NOTIFY_SOCKET": manager[1]})
    for _ in range(2000):
        notify.tell("STATUS=" + "x" * 1000)
