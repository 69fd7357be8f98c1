"""Real backends of given service times, all in one process: `python -m proxy.lab.reality.backends`, for `reality.live`.

Rules: what they are comes as JSON in a line on standard input; their ports go as JSON in a line to standard output, and
they end when standard input does. Each works on `concurrency` requests at a time and keeps the others in a line, first
come first served. When a request will be answered is known when it comes: its answer is sent at that time, and the
next one's work begins then, however late this process wakes up. How long a request takes goes by its number
(X-Number), by the same times that the simulation has (`foreseen.work`). Only requests for WORK are work; others are
answered at once, and those for IDLE after a known time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from heapq import heapreplace
from random import Random
from typing import Any, Final

from proxy.lab.reality.foreseen import work
from proxy.lab.reality.load import IDLE, IDLE_FOR, NUMBER, WORK, exact
from proxy.lab.scenario import Machine, Scenario

BACKLOG: Final = 1024


class Place:
    """One backend: when each of its places is free again, and how long each request takes."""

    def __init__(self, number: int, seed: int, machine: Machine, times: Sequence[float]) -> None:
        self.free = [0.0] * machine.concurrency
        self.slowness = 1.0 / machine.speed
        self.times = times
        self.errors = machine.errors
        self.chance = Random(f"{seed} chance {number}")
        mark = b"X-Backend: %d\r\nContent-Length: 2\r\n\r\nok" % number
        self.well = b"HTTP/1.1 200 OK\r\n" + mark
        self.error = b"HTTP/1.1 %d Error\r\n" % machine.error_status + mark

    def come(self, now: float, number: int) -> float:
        """A request comes; gives the time at which it has been worked on."""
        end: float = max(now, self.free[0]) + self.times[number] * self.slowness
        heapreplace(self.free, end)
        return end

    def answer(self) -> bytes:
        """What it says to one that it has worked on."""
        return self.error if self.errors and self.chance.random() < self.errors else self.well


class Talk(asyncio.Protocol):
    """One connection of the door's."""

    def __init__(self, place: Place, loop: asyncio.AbstractEventLoop) -> None:
        self.place = place
        self.loop = loop
        self.raw = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """It is there."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Requests have no bodies: each ends with its head."""
        self.raw += data
        while b"\r\n\r\n" in self.raw:
            head, _, self.raw = self.raw.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            now = self.loop.time()
            if path == WORK:
                number = int(head.partition(NUMBER)[2].partition(b"\r\n")[0])
                self.loop.call_at(self.place.come(now, number), self.work)
            elif path == IDLE:
                self.loop.call_at(now + IDLE_FOR, self.say, self.place.well)
            else:
                self.say(self.place.well)

    def work(self) -> None:
        """One is done."""
        self.say(self.place.answer())

    def say(self, text: bytes) -> None:
        """Answer, if somebody still listens."""
        if not self.transport.is_closing():
            self.transport.write(text)


async def serve(told: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    ports = []
    scenario = Scenario.model_validate(told)
    works = work(scenario)
    for number, machine in enumerate(scenario.backends):
        place = Place(number, scenario.seed, machine, works[machine.service or scenario.service])
        server = await loop.create_server(partial(Talk, place, loop), "127.0.0.1", 0, backlog=BACKLOG)
        ports.append(server.sockets[0].getsockname()[1])
    ended = asyncio.Event()
    loop.add_reader(0, lambda: None if os.read(0, 1) else ended.set())
    print(json.dumps(ports), flush=True)
    gc.freeze()
    gc.disable()
    await ended.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=exact) as runner:
        runner.run(serve(json.loads(sys.stdin.buffer.readline())))
