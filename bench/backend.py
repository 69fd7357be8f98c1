"""The cheap backend: a fixed small answer to every GET, and uploads read and thrown away.

Rules: it does only what the benchmark sends (no pipelining, heads in one piece, uploads with Content-Length), because
every microsecond it spends is taken from the load generator, which shares its core. Measured on this design against
nginx with `return 200`: 4.4 and 4.5 us a request, so it is as cheap, and it reads uploads in pieces of 256 KB where
nginx discards them by 4 KB. Only 10 MB answers are cheaper from nginx (sendfile: 0.7 ms against 2.7 ms), so the
download scenario has nginx as its backend.
"""

from __future__ import annotations

import argparse
import asyncio
import re

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 120\r\n\r\n" + b"x" * 119 + b"\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
LAST_CHUNK = b"0\r\n\r\n"


class Backend(asyncio.Protocol):
    """One connection of a proxy."""

    __slots__ = ("chunked", "left", "tail", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.left = 0
        self.chunked = False
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports are not asyncio.Transport

    def data_received(self, data: bytes) -> None:
        """Answer a whole head, or count down an upload and answer at its end."""
        if self.left:
            self.left = max(self.left - len(data), 0)
            if not self.left:
                self.transport.write(ANSWER)
        elif self.chunked:
            self.end_chunked(data)
        elif data.startswith(b"GET"):
            self.transport.write(ANSWER)
        else:
            self.begin_upload(data)

    def begin_upload(self, data: bytes) -> None:
        """The head of an upload, perhaps with the beginning of its body."""
        head, _, body = data.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None and CHUNKED.search(head):
            self.chunked = True
            self.end_chunked(body)
            return
        self.left = max((int(length.group(1)) if length else 0) - len(body), 0)
        if not self.left:
            self.transport.write(ANSWER)

    def end_chunked(self, data: bytes) -> None:
        """Answer when the last chunk has come; the benchmark's bodies hold no zero, so its end is unmistakable."""
        self.tail = (self.tail + data[-len(LAST_CHUNK) :])[-len(LAST_CHUNK) :]
        if self.tail == LAST_CHUNK:
            self.chunked = False
            self.tail = b""
            self.transport.write(ANSWER)


async def serve(port: int) -> None:
    """Serve on the loopback until ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Backend, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    """Run one backend: `python -m bench.backend PORT`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
