"""Open-loop load: requests are sent when they are to be, whatever has been answered, and timed from that instant.

Rules: latency is from a request's intended time to the end of its answer, so that whatever holds up the sender or the
door counts in full and nothing waits unmeasured (Tene's "coordinated omission"). A request takes an idle connection, or
opens one; with several workers each has a connection of its own, for a worker is found by connection. Nobody waits
for more than PATIENCE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from selectors import SelectSelector
from statistics import median
from typing import Any, Final, NamedTuple

WORK: Final = b"/work"
NUMBER: Final = b"X-Number: "
IDLE: Final = b"/idle"
IDLE_FOR: Final = 0.005  # seconds that a backend takes for it
PATIENCE: Final = 30.0  # seconds
OK: Final = 200


class Answered(NamedTuple):
    """What became of a request: its number, seconds from when it was to be sent, status (0: none), which backend
    answered (-1: none), and by how many seconds it was sent too late."""

    number: int
    latency: float
    status: int
    backend: int
    late: float


class Wire(asyncio.Protocol):
    """One connection to the door; `one` is the request that is on it."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.raw = b""
        self.one: tuple[int, float, float] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """It is there."""
        self.transport = transport
        self.load.wires.add(self)

    def send(self, number: int, meant: float, text: bytes) -> None:
        """Send a request that was to be sent at a time of the loop."""
        self.one = (number, meant, self.load.loop.time() - meant)
        self.transport.write(text)

    def data_received(self, data: bytes) -> None:
        """The answer, in one piece or more."""
        self.raw += data
        head, end, body = self.raw.partition(b"\r\n\r\n")
        if not end:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields.get(b"content-length", b"0")):
            return
        self.raw = b""
        if fields.get(b"connection") == b"close":
            self.transport.close()
        self.done(int(head[9:12]), int(fields.get(b"x-backend", b"-1")))

    def done(self, status: int, backend: int) -> None:
        """The request is over."""
        if self.one is None:
            return
        (number, meant, late), self.one = self.one, None
        if not self.transport.is_closing():
            self.load.idle.append(self)
        self.load.heard(Answered(number, self.load.loop.time() - meant, status, backend, late))

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self.load.wires.discard(self)
        if self in self.load.idle:
            self.load.idle.remove(self)
        self.done(0, -1)


class Load:
    """What is sent to a port of this machine; `found` is what became of it, in the order in which it ended."""

    def __init__(self, port: int, method: str, fresh: bool, tell: Callable[[int], object] | None = None) -> None:
        self.port = port
        self.method = method.encode()
        self.fresh = fresh
        self.tell = tell
        self.loop: asyncio.AbstractEventLoop
        self.wires: set[Wire] = set()
        self.idle: list[Wire] = []
        self.opening: set[asyncio.Task[None]] = set()
        self.found: list[Answered] = []
        self.hears = asyncio.Event()

    def text(self, path: bytes, client: bytes) -> bytes:
        """A request, but for its number."""
        lines = [b"%b %b HTTP/1.1" % (self.method, path), b"Host: lab", b"X-Forwarded-For: " + client]
        lines += [b"Content-Length: 0"] if self.method == b"POST" else []
        lines += [b"Connection: close"] if self.fresh else []
        return b"\r\n".join([*lines, NUMBER])

    async def run(self, times: Sequence[float], clients: Sequence[bytes]) -> None:
        """Send one at each of these times, in seconds from now, each from a client; until all are answered."""
        self.loop = asyncio.get_running_loop()
        texts = {client: self.text(WORK, client) for client in set(clients)}
        begin = self.loop.time()
        for number, (time, client) in enumerate(zip(times, clients, strict=True)):
            if (pause := begin + time - self.loop.time()) > 0.0:
                await asyncio.sleep(pause)
            self.send(number, begin + time, b"%b%d\r\n\r\n" % (texts[client], number))
            if self.tell is not None:
                self.tell(number + 1)
        try:
            async with asyncio.timeout(PATIENCE):
                while len(self.found) < len(times):
                    self.hears.clear()
                    await self.hears.wait()
        except TimeoutError:
            self.close()

    def send(self, number: int, meant: float, text: bytes) -> None:
        """Send a request on a connection that is free, or on a new one."""
        if self.idle:
            self.idle.pop().send(number, meant, text)
            return
        task = self.loop.create_task(self._open(number, meant, text))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def _open(self, number: int, meant: float, text: bytes) -> None:
        try:
            _, wire = await self.loop.create_connection(lambda: Wire(self), "127.0.0.1", self.port)
        except OSError:
            self.heard(Answered(number, self.loop.time() - meant, 0, -1, 0.0))
        else:
            wire.send(number, meant, text)

    def heard(self, answered: Answered) -> None:
        """A request is over."""
        self.found.append(answered)
        self.hears.set()

    def close(self) -> None:
        """Break off what there is."""
        for wire in tuple(self.wires):
            wire.transport.abort()

    async def idle_overhead(self, number: int) -> float:
        """Seconds that a request takes beyond the backend's time while nothing else goes on: the median of some that
        are asked one after the other. OSError when the door does not answer."""
        self.loop = asyncio.get_running_loop()
        self.found.clear()
        text = self.text(IDLE, b"127.0.0.1") + b"0\r\n\r\n"
        for one in range(number):
            self.hears.clear()
            self.send(one, self.loop.time(), text)
            async with asyncio.timeout(PATIENCE):
                await self.hears.wait()
            if self.found[-1].status != OK:
                raise OSError(f"the door answered {self.found[-1].status}")
        times = [one.latency for one in self.found]
        self.found.clear()
        return median(times) - IDLE_FOR


def exact() -> asyncio.AbstractEventLoop:
    """A loop that wakes up when it is to: epoll and uvloop count milliseconds, select microseconds."""
    return asyncio.SelectorEventLoop(SelectSelector())
