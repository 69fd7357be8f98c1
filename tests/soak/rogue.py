"""A backend that misbehaves as it is asked to: a program of its own, on several ports, that writes down what it did.

Rules: it reads strictly, and `mischief` says what a request wants of it. Each request leaves lines in the record, at
once, so that a SIGKILL loses none: `begun` when its head is here, `whole` when its body is, and `over` when the
connection of one that is never answered has ended. What no strict reader would take is `wrong`. With `flap` the
last port refuses connections now and then.

    python rogue.py RECORD flap|steady PORT ...       (prints "ready")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import mischief
import uvloop
from mischief import Ask
from wires import REQUEST_LINE, Fields, Wrong, field_of, framing, single

RESET = struct.pack("ii", 1, 0)
OK = b"HTTP/1.1 200 OK\r\n"
GARBAGE = (
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: y\0\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    b"<html>hello</html>",
    b"\x15\x03\x01\0\x02\x02\x28",
)
BAD_CHUNKS = (
    b"xyz\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"3\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\nzz\r\n",
)
ZEROS = bytes(100_000)
POISON = b"HTTP/1.1 200 OK\r\nX-Nonce: poison\r\nContent-Length: 6\r\n\r\npoison"


class Visit:
    """A request that was read, and the connection it came on."""

    def __init__(self, method: str, ask: Ask, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.method = method
        self.ask = ask
        self.reader = reader
        self.writer = writer
        self.rng = random.Random(ask.seed)
        self.body = b"" if ask.fault == "large" else mischief.down(ask.nonce, ask.down)
        _, _, place = ask.fault.partition("@")
        self.place = int(place) if place else None  # where to break off
        self.patience: float | None = None  # seconds that the connection may be idle behind this

    def head(self, *lines: bytes, status: bytes = OK, length: bool = True) -> bytes:
        """The head of the right answer."""
        size = b"Content-Length: %d\r\n" % len(self.body) if length else b""
        more = b"".join(line + b"\r\n" for line in lines)
        return b"%bX-Nonce: %b\r\n%b%b\r\n" % (status, self.ask.nonce.encode(), size, more)

    def say(self, head: bytes, body: bytes) -> None:
        """Write, in one or two pieces."""
        if self.method == "HEAD":
            body = b""
        if self.rng.random() < 0.8:
            self.writer.write(head + body)
        else:
            self.writer.write(head)
            self.writer.write(body)

    def part(self, data: bytes, reset: bool) -> None:
        """Write a part that is not the whole, and break off."""
        self.writer.write(data[: self.rng.randrange(len(data)) if self.place is None else self.place])
        if reset:
            self.break_off()

    def break_off(self) -> None:
        """A reset."""
        with contextlib.suppress(OSError, AttributeError):  # it is gone already
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()

    async def ended(self, seconds: float) -> bool:
        """Whether the other side ends the connection in that time; what it sends meanwhile is thrown away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                with contextlib.suppress(OSError):  # not all of them are ConnectionErrors
                    while await self.reader.read(65536):
                        pass
                return True
        return False


Play = Callable[[Visit], Awaitable[bool]]
PLAYS: dict[str, Play] = {}


def play(function: Play) -> Play:
    """A fault: plays its answer and says whether the connection goes on."""
    PLAYS[function.__name__] = function
    return function


@play
async def ok(visit: Visit) -> bool:
    visit.say(visit.head(), visit.body)
    return True


@play
async def large(visit: Visit) -> bool:
    """As many zeros as were asked for, as fast as they are taken; the client does not judge them."""
    visit.writer.write(b"%bContent-Length: %d\r\n\r\n" % (OK, visit.ask.down))
    for _ in range(visit.ask.down // 100_000):
        visit.writer.write(ZEROS)
        await visit.writer.drain()
    return True


@play
async def chunks(visit: Visit) -> bool:
    parts = mischief.pieces(visit.body, visit.rng, max(1, len(visit.body) // 3))
    data = mischief.chunked(parts, visit.rng.choice((b"", b";a=b")), visit.rng.choice((b"", b"X-Sum: 1\r\n")))
    visit.say(visit.head(b"Transfer-Encoding: chunked", length=False), data)
    return True


@play
async def busy(visit: Visit) -> bool:
    """A 503 in one piece: to be had elsewhere, perhaps."""
    status = b"HTTP/1.1 503 Service Unavailable\r\n"
    lines = (b"Retry-After: 0",) if visit.rng.random() < 0.3 else ()
    if visit.method == "HEAD" or visit.rng.random() < 0.3:
        visit.say(visit.head(*lines, status=status), visit.body)
        return True
    parts = mischief.pieces(visit.body, visit.rng, max(1, len(visit.body) // 3))
    head = visit.head(*lines, b"Transfer-Encoding: chunked", status=status, length=False)
    visit.writer.write(head + mischief.chunked(parts, b"", b"X-Sum: 1\r\n"))
    return True


@play
async def trailed(visit: Visit) -> bool:
    data = mischief.chunked(mischief.pieces(visit.body, visit.rng, max(1, len(visit.body) // 2)), b"", b"X-Sum: 1\r\n")
    head = visit.head(b"Transfer-Encoding: chunked", b"Trailer: X-Sum", length=False)
    visit.writer.write(head + (b"" if visit.method == "HEAD" else data))
    return True


@play
async def until(visit: Visit) -> bool:
    visit.say(visit.head(length=False), visit.body)
    return False


@play
async def drip(visit: Visit) -> bool:
    data = visit.head() + (b"" if visit.method == "HEAD" else visit.body)
    for piece in mischief.pieces(data, visit.rng, max(20, len(data) // 4)):
        visit.writer.write(piece)
        await asyncio.sleep(0.002)
    return True


@play
async def hints(visit: Visit) -> bool:
    lines = (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n")
    for _ in range(visit.rng.randint(1, 10)):
        visit.writer.write(visit.rng.choice(lines))
    return await ok(visit)


@play
async def idle(visit: Visit) -> bool:
    visit.patience = visit.rng.uniform(0, 0.05)
    return await ok(visit)


@play
async def extra(visit: Visit) -> bool:
    visit.writer.write(visit.head() + (b"" if visit.method == "HEAD" else visit.body) + POISON)
    await visit.ended(2.0)
    return False


@play
async def cut(visit: Visit) -> bool:
    visit.part(visit.head(), False)
    return False


@play
async def reset(visit: Visit) -> bool:
    visit.part(visit.head(), True)
    return False


@play
async def half(visit: Visit) -> bool:
    visit.writer.write(visit.head())
    if visit.method != "HEAD":
        visit.part(visit.body, False)
    return False


@play
async def resetbody(visit: Visit) -> bool:
    visit.writer.write(visit.head())
    if visit.method != "HEAD":
        visit.part(visit.body, True)
    return False


@play
async def garbage(visit: Visit) -> bool:
    visit.writer.write(visit.rng.choice(GARBAGE))
    return False


@play
async def lengths(visit: Visit) -> bool:
    visit.writer.write(visit.head(b"Content-Length: %d" % (len(visit.body) + visit.rng.randint(0, 1))) + visit.body)
    await visit.ended(2.0)
    return False


@play
async def badchunk(visit: Visit) -> bool:
    visit.say(visit.head(b"Transfer-Encoding: chunked", length=False), visit.rng.choice(BAD_CHUNKS))
    if visit.method == "HEAD":
        return True
    await visit.ended(2.0)
    return False


@play
async def storm(visit: Visit) -> bool:
    visit.writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
    return await ok(visit)


@play
async def switch(visit: Visit) -> bool:
    visit.writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + POISON
    )
    await visit.ended(2.0)
    return False


@play
async def early(visit: Visit) -> bool:
    visit.say(visit.head(b"Connection: close", status=b"HTTP/1.1 413 Content Too Large\r\n"), visit.body)
    with contextlib.suppress(OSError):
        visit.writer.write_eof()
    await visit.ended(2.0)
    return False


@play
async def rude(visit: Visit) -> bool:
    visit.say(visit.head(b"Connection: close", status=b"HTTP/1.1 413 Content Too Large\r\n"), visit.body)
    return False


@play
async def mute(visit: Visit) -> bool:
    await visit.ended(30.0)
    return False


@play
async def stall(visit: Visit) -> bool:
    visit.writer.write(visit.head())
    if visit.method == "HEAD":
        return True
    visit.part(visit.body, False)
    await visit.ended(30.0)
    return False


@play
async def tunnel(visit: Visit) -> bool:
    """Switches protocols, being asked to, and sends everything back."""
    visit.writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    while data := await visit.reader.read(65536):
        visit.writer.write(data)
        await visit.writer.drain()
    return False


def read_head(raw: bytes) -> tuple[str, Ask, Fields]:
    """A request's head, strictly."""
    line, *rest = raw[:-4].split(b"\r\n")
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Wrong(f"not a request line: {line!r}")
    fields: Fields = [field_of(one) for one in rest]
    if single(fields, b"host") is None:
        raise Wrong("no Host")
    return match[1].decode(), Ask.of(match[2].decode()), fields


async def read_body(reader: asyncio.StreamReader, fields: Fields) -> bytes:
    """A request's body, strictly."""
    size = framing(fields)
    if size != -1:
        return await reader.readexactly(size) if size else b""
    parts = []
    while True:
        length = int((await reader.readuntil(b"\r\n"))[:-2], 16)
        if not length:
            if await reader.readuntil(b"\r\n") != b"\r\n":
                raise Wrong("a trailer")
            return b"".join(parts)
        parts.append(await reader.readexactly(length))
        if await reader.readexactly(2) != b"\r\n":
            raise Wrong("a chunk without its CRLF")


class Program:
    """The running program."""

    def __init__(self, record: str) -> None:
        self.record = open(record, "ab", buffering=0)  # noqa: SIM115  # it lives as long as the program
        self.seen: set[str] = set()
        self.calm = False

    def note(self, event: str, method: str, nonce: str, words: str = "") -> None:
        """A line of the record."""
        self.record.write(json.dumps((monotonic(), event, method, nonce, words)).encode() + b"\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        patience: float | None = None
        try:
            while True:
                async with asyncio.timeout(patience):
                    raw = await reader.readuntil(b"\r\n\r\n")
                visit = await self.visit(raw, reader, writer)
                if visit is None:
                    return
                await writer.drain()
                patience = visit.patience
        except (
            OSError,
            RuntimeError,
            asyncio.IncompleteReadError,
        ):  # RuntimeError: uvloop, on a transport that is gone
            pass
        except (Wrong, ValueError, asyncio.LimitOverrunError) as error:
            self.note("wrong", "", "", repr(error))
        finally:
            writer.close()

    async def visit(self, raw: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Visit | None:
        """One request, of which the head has been read; None when the connection does not go on."""
        method, ask, fields = read_head(raw)
        self.note("begun", method, ask.nonce)
        fault = ask.fault
        if fault.startswith("once-"):
            fault = "ok" if ask.nonce in self.seen else fault[5:]
            self.seen.add(ask.nonce)
        visit = Visit(method, ask, reader, writer)
        if fault not in ("early", "rude"):
            body = await read_body(reader, fields)
            self.note("whole", method, ask.nonce)
            if body != mischief.up(ask.nonce, ask.up):
                self.note("wrong", method, ask.nonce, f"{len(body)} bytes of {ask.up}, or other bytes")
        on = await PLAYS[fault.partition("@")[0]](visit)
        if fault == "mute":
            self.note("over", method, ask.nonce)
        return visit if on else None

    async def open(self, port: int) -> asyncio.Server:
        """Listen."""
        return await asyncio.start_server(self.serve, "127.0.0.1", port, limit=1 << 18, backlog=512, reuse_address=True)

    async def run(self, ports: list[int], flap: bool) -> None:
        """Serve until killed; SIGUSR1 ends the flapping."""
        servers = [await self.open(port) for port in ports]
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, setattr, self, "calm", True)
        print("ready", flush=True)
        rng = random.Random(1)
        while flap and not self.calm:
            await asyncio.sleep(rng.uniform(0.2, 0.6))
            servers[-1].close()
            await asyncio.sleep(rng.uniform(0.01, 0.05))
            servers[-1] = await self.open(ports[-1])
        await asyncio.Event().wait()


# --- the tests' side -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of the record."""

    time: float
    event: str
    method: str
    nonce: str
    words: str


class Rogue:
    """The program under a test's command: `with Rogue(folder, 3) as rogue`. Its ports stay its own while it is dead."""

    def __init__(self, folder: Path, ports: int = 1, flap: bool = False, name: str = "record") -> None:
        self.record = folder / name
        self.flap = flap
        self.holds = [socket.socket() for _ in range(ports)]
        for one in self.holds:  # bound and never listening: nobody else is given the port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
        self.ports = [int(one.getsockname()[1]) for one in self.holds]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        here = Path(__file__)
        words = [str(self.record), "flap" if self.flap else "steady", *map(str, self.ports)]
        path = f"{here.parent}:{here.parents[1] / 'live'}"
        self.process = subprocess.Popen(
            [sys.executable, str(here), *words], env={"PYTHONPATH": path}, stdout=subprocess.PIPE, bufsize=0
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", "the backend did not start"

    def kill(self) -> float:
        """SIGKILL; gives the time of death."""
        assert self.process is not None
        self.process.kill()
        now = monotonic()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return now

    def calm(self) -> None:
        """Flap no more."""
        assert self.process is not None
        self.process.send_signal(signal.SIGUSR1)

    def __enter__(self) -> Rogue:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for one in self.holds:
            one.close()

    @property
    def servers(self) -> str:
        """Its addresses, as the configuration wants them."""
        return ", ".join(f'"127.0.0.1:{port}"' for port in self.ports)

    def lines(self) -> list[Line]:
        """What it has written down."""
        return [Line(*json.loads(line)) for line in self.record.read_bytes().splitlines()]


if __name__ == "__main__":
    uvloop.run(Program(sys.argv[1]).run([int(word) for word in sys.argv[3:]], sys.argv[2] == "flap"))
