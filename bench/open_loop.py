"""An open-loop load: requests are sent when they are due, whether those before them are answered or not.

Rules: all moments and service times are drawn before the first request, from a seed, so that every server gets the same
ones; latency counts from the moment when a request was due, so that a server that is behind cannot hide it (no
coordinated omission). Connections are kept and used again; a new one is opened when none is idle, as browsers and other
front ends do. It runs in a process of its own: `python -m bench.open_loop URL RATE SECONDS MEAN_MS SEED`, and prints
milliseconds, one line a request, or the error.
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

PATIENCE = 30.0  # seconds


class Due(NamedTuple):
    """A request: seconds after the start, and how long its handler is to take, in milliseconds."""

    at: float
    ms: float


def plan(rate: float, seconds: float, mean_ms: float, seed: int) -> list[Due]:
    """Poisson arrivals and exponential service times."""
    rng = random.Random(seed)
    found, at = [], 0.0
    while (at := at + rng.expovariate(rate)) < seconds:
        found.append(Due(at, rng.expovariate(1 / mean_ms)))
    return found


class Client:
    """Connections to one server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.path = parts.hostname or "127.0.0.1", parts.port or 80, parts.path
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, due: Due, start: float) -> str:
        """One request when it is due; its milliseconds, or what went wrong."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, start + due.at - loop.time()))
        try:
            async with asyncio.timeout(PATIENCE):
                await self.exchange(due.ms)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            return f"error {type(error).__name__}: {error}"
        return f"{(loop.time() - start - due.at) * 1000:.3f}"

    async def exchange(self, ms: float) -> None:
        """Ask, and read the answer. ValueError when it is not 200."""
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(f"GET {self.path}?ms={ms:.3f} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200 "):
                raise ValueError(head.split(b"\r\n")[0].decode())
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in head:
            writer.close()
        else:
            self.idle.append((reader, writer))


async def run(url: str, rate: float, seconds: float, mean_ms: float, seed: int) -> list[str]:
    """All of them."""
    client = Client(url)
    start = asyncio.get_running_loop().time() + 0.1
    return list(await asyncio.gather(*(client.ask(due, start) for due in plan(rate, seconds, mean_ms, seed))))


def main() -> None:
    """Print what came of each."""
    url, rate, seconds, mean_ms, seed = sys.argv[1:]
    work = run(url, float(rate), float(seconds), float(mean_ms), int(seed))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print("\n".join(runner.run(work)))


if __name__ == "__main__":
    main()
