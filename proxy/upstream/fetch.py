"""Fetches a small text from a backend, past all traffic: its metrics.

Rules: those of a probe (`upstream.probe`): one time for everything, no redirects, no connection twice, a bounded
answer, and words for what a backend does wrong.
"""

from __future__ import annotations

import asyncio
from typing import Final

import h11

from proxy.policy.health import Check
from proxy.upstream.probe import Probe, Unhealthy
from proxy.upstream.resolve import Resolver

CHUNK: Final = 64 << 10
OVERHEAD: Final = 64 << 10  # bytes that a head and framing may have beside the body
WANTED: Final = b"text/plain;version=0.0.4;q=1,text/plain;q=0.5"


class Fetch(Probe):
    """One fetch on its way: a probe whose whole answer is wanted, of at most `most` bytes."""

    def __init__(self, address: str, check: Check, resolver: Resolver | None, most: int) -> None:
        super().__init__(address, check, resolver)
        self.most = most
        self.body = bytearray()

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The fields of the request."""
        return [(name, WANTED if name == b"Accept" else value) for name, value in super().fields()]

    async def judge(self, reader: asyncio.StreamReader) -> None:
        """Read the answer to its end."""
        taken = 0
        while True:
            event = self.wire.next_event()
            if event is h11.NEED_DATA:
                raw = await reader.read(CHUNK)
                taken += len(raw)
                if not taken:
                    raise Unhealthy("closed the connection without an answer")
                self.wire.receive_data(raw)
                if taken > self.most + OVERHEAD:
                    raise Unhealthy(f"sent more than {self.most} bytes")
            elif isinstance(event, h11.Response):
                if event.status_code != 200:
                    raise Unhealthy(f"answered {event.status_code}")
            elif isinstance(event, h11.Data):
                self.body += event.data
                if len(self.body) > self.most:
                    raise Unhealthy(f"sent more than {self.most} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return


async def fetched(address: str, check: Check, most: int, resolver: Resolver | None = None) -> bytes:
    """What a backend at "host:port", "[v6]:port" or "unix:/path" answers to a GET of the check's path.

    Unhealthy with what is wrong, in words that follow the backend's name.
    """
    one = Fetch(address, check, resolver, most)
    try:
        await one.run()
    except TimeoutError:
        raise Unhealthy(f"did not {one.doing} within {check.timeout:g} s") from None
    return bytes(one.body)
