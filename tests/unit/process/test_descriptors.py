"""A process without descriptors: it says so, closes who comes, and serves on."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket

import pytest
import uvloop

from proxy.process.descriptors import Descriptors


class Greeter(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"served")
        transport.close()


async def asked(port, wire):
    """What a client hears."""
    wire.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(wire, ("127.0.0.1", port))
        return await loop.sock_recv(wire, 16)
    except ConnectionError:
        return b""


async def starve():
    """Serve with and without descriptors; gives what three clients heard."""
    one = Descriptors(0)
    server = await asyncio.get_running_loop().create_server(Greeter, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wires = [socket.socket() for _ in range(3)]
    heard = [await asked(port, wires[0])]
    assert one.look(1000.0)
    held = []
    with pytest.raises(OSError, match="Too many open files"):
        while True:
            held.append(os.dup(0))
    assert [one.look(now) for now in (1000.1, 1000.2, 1060.1, 1060.2)] == [False] * 4
    heard.append(await asked(port, wires[1]))
    for fd in held:
        os.close(fd)
    assert one.look(1060.3)
    heard.append(await asked(port, wires[2]))
    for wire in wires:
        wire.close()
    server.close()
    return heard


def test_without_descriptors(caplog):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(fd) for fd in os.listdir("/proc/self/fd")) + 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            heard = runner.run(starve())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert heard == [b"served", b"", b"served"]
    line = (
        f"all {most} file descriptors of this process are in use (raise LimitNOFILE= or ulimit -n): "
        "new connections are closed and backends cannot be reached"
    )
    assert caplog.messages == [line, line]  # the second a minute later


def test_the_system_has_none(monkeypatch, caplog):
    def refused(fd):
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr(os, "dup", refused)
    assert not Descriptors(0).look(1.0)
    assert caplog.messages[0].startswith("the system has no file descriptors left: ")
