"""Clients under a seed: a program that asks all the time, and judges every answer byte by byte.

Rules: what a request may become is what `mischief` allows; anything else is a violation, a sentence in the report. The
next request on a connection is sent only if the answer before said so. With `faults` the requests are of all kinds and
some clients leave in the middle; without, all are to be answered 200. SIGTERM has it finish what it has begun.

    python crowd.py '{"port": 8080, "requests": 1000, ...}'       (prints the report as JSON)
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
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

import mischief
import uvloop
from mischief import CUT, FAULTS, GONE, LEFT, ONCE, STATUSES, Ask
from wires import STATUS_LINE, Fields, Wrong, field_of, framing, single

RESET = struct.pack("ii", 1, 0)
METHODS = ("GET",) * 10 + ("HEAD",) * 2 + ("POST",) * 5 + ("PUT",) * 3
NAMES = (*FAULTS, *ONCE)
SHARES = (*(mischief.share for mischief in FAULTS.values()), *(20 for _ in ONCE))
MORE_NAMES = (*NAMES, *STATUSES, "once-busy")
MORE_SHARES = (*SHARES, *(mischief.share for mischief in STATUSES.values()), 60)


@dataclass(frozen=True)
class Plan:
    """What a crowd does. `requests` 0: until SIGTERM; `short`: share of connections for one request only; `leave`:
    share of requests that the client leaves; `think`: mean seconds between requests; `tunnels`: upgraded connections
    that send all the time; `longest`: seconds that any request may take (P4)."""

    port: int
    requests: int = 0
    connections: int = 16
    seed: int = 1
    faults: bool = False
    short: float = 0.1
    leave: float = 0.0
    think: float = 0.0
    tunnels: int = 0
    longest: float = 8.0
    stubborn: bool = True  # goes on after a connection is refused
    only: str = ""  # the only fault
    statuses: bool = False  # those faults too, and trailers may come


@dataclass
class Report:
    """What came of it. `outcomes` counts "fault method outcome"; `ends` gives the outcome of each nonce."""

    outcomes: Counter[str] = field(default_factory=Counter)
    ends: dict[str, str] = field(default_factory=dict)
    failures: list[tuple[float, str, str, str, str]] = field(
        default_factory=list
    )  # time, nonce, method, fault, outcome
    violations: list[str] = field(default_factory=list)
    left: dict[str, float] = field(default_factory=dict)  # when the clients of these left
    refused: int = 0  # connections that were
    echoed: int = 0  # bytes that came back through tunnels
    times: list[float] = field(default_factory=list)  # seconds of each request
    slowest: tuple[float, str, str] = (0.0, "", "")  # seconds, request, outcome
    took: float = 0.0


class Answer:
    """A whole response."""

    def __init__(self, status: int, fields: Fields, body: bytes, keep: bool) -> None:
        self.status = status
        self.fields = fields
        self.body = body
        self.keep = keep


async def read_head(reader: asyncio.StreamReader) -> tuple[int, Fields]:
    """A response's head, strictly."""
    line, *rest = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        raise Wrong(f"not a status line: {line!r}")
    fields: Fields = [field_of(one) for one in rest]
    return int(match[1]), fields


async def read_trailers(reader: asyncio.StreamReader, wanted: bool) -> None:
    """What is behind the last chunk: trailers, if they may be there."""
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        if not wanted or field_of(line[:-2]) != (b"x-sum", b"1"):
            raise Wrong(f"trailers: {line!r}")


async def read_answer(reader: asyncio.StreamReader, method: str, trailers: bool = False) -> Answer:
    """A final response. IncompleteReadError or ConnectionError (`begun` on it) when it is not whole."""
    begun = False
    try:
        status, fields = await read_head(reader)
        while 100 <= status < 200 and status != 101:
            status, fields = await read_head(reader)
        begun = True
        size = framing(fields)
        keep = single(fields, b"connection") != b"close"
        if method == "HEAD" or status in (101, 204, 304):
            return Answer(status, fields, b"", keep)
        if size is None:
            return Answer(status, fields, await reader.read(), False)
        if size >= 0:
            return Answer(status, fields, await reader.readexactly(size), keep)
        parts = []
        while length := int((await reader.readuntil(b"\r\n"))[:-2], 16):
            parts.append(await reader.readexactly(length))
            if await reader.readexactly(2) != b"\r\n":
                raise Wrong("a chunk without its CRLF")
        await read_trailers(reader, trailers)
        return Answer(status, fields, b"".join(parts), keep)
    except asyncio.IncompleteReadError as error:
        if not begun and error.partial:
            raise Wrong(f"a head that ends: {error.partial[:100]!r}") from None
        raise Broken(begun) from None
    except OSError:  # a reset, mostly
        raise Broken(begun) from None


class Broken(Exception):
    """A connection ended; `begun`: behind the head of a response."""

    def __init__(self, begun: bool) -> None:
        super().__init__()
        self.begun = begun


class Crowd:
    """The running program."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.report = Report()
        self.rng = random.Random(plan.seed)
        self.asked = 0
        self.over = False

    # --- what is asked ------------------------------------------------------------------------------------------------

    def next(self) -> tuple[str, Ask] | None:
        """The next request; None when there is none."""
        if self.over or (self.plan.requests and self.asked >= self.plan.requests):
            return None
        self.asked += 1
        rng, nonce = self.rng, f"{self.plan.seed}-{self.asked}"
        method = rng.choice(METHODS)
        fault = "ok"
        if self.plan.faults:
            (fault,) = rng.choices(MORE_NAMES, MORE_SHARES) if self.plan.statuses else rng.choices(NAMES, SHARES)
        if self.plan.only:
            fault = self.plan.only
        upload = method in ("POST", "PUT")
        if fault in ("early", "rude"):
            method, upload = "POST", True
            return method, Ask(fault, nonce, rng.randrange(1 << 30), self.size(), rng.randint(1, 400_000))
        return method, Ask(fault, nonce, rng.randrange(1 << 30), self.size(), self.size() if upload else 0)

    def size(self) -> int:
        """Bytes of a body: few of them mostly."""
        kind = self.rng.random()
        return self.rng.randint(0, 400 if kind < 0.8 else 16_000 if kind < 0.98 else 200_000)

    def raw(self, method: str, ask: Ask, last: bool) -> bytes:
        """The request's bytes."""
        lines = f"{method} {ask.target} HTTP/1.1\r\nHost: localhost\r\n" + ("Connection: close\r\n" if last else "")
        if method not in ("POST", "PUT"):
            return f"{lines}\r\n".encode()
        body = mischief.up(ask.nonce, ask.up)
        if self.rng.random() < 0.6:
            return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
        parts = mischief.pieces(body, self.rng, max(1, len(body) // 2))
        return f"{lines}Transfer-Encoding: chunked\r\n\r\n".encode() + mischief.chunked(parts)

    # --- what comes back ----------------------------------------------------------------------------------------------

    def judge(self, method: str, ask: Ask, answer: Answer) -> str:
        """The outcome of a whole answer; what is wrong with it is a violation."""
        status, nonce = str(answer.status), single(answer.fields, b"x-nonce")
        if status in ("200", "413") or (ask.fault.endswith("busy") and nonce is not None):
            if nonce != ask.nonce.encode():
                self.violate(ask, method, f"the answer is that of {nonce!r}")
            body = mischief.down(ask.nonce, ask.down)
            if method != "HEAD" and answer.body != body:
                self.violate(ask, method, f"{len(answer.body)} bytes of {len(body)}, or other bytes")
            if method == "HEAD" and framing(answer.fields) not in (len(body), None, -1):
                self.violate(ask, method, f"length {framing(answer.fields)} of {len(body)}")
        elif nonce is not None:
            self.violate(ask, method, f"a {status} with the nonce {nonce!r}")
        return status

    def violate(self, ask: Ask, method: str, sentence: str) -> None:
        """Write a violation down."""
        self.report.violations.append(f"{method} {ask.target}: {sentence}")

    def ended(self, method: str, ask: Ask, outcome: str, began: float) -> None:
        """Write down what a request has become."""
        report = self.report
        now = monotonic()
        report.times.append(now - began)
        report.slowest = max(report.slowest, (now - began, f"{method} {ask.target}", outcome))
        report.ends[ask.nonce] = outcome
        report.outcomes[f"{ask.fault} {method} {outcome}"] += 1
        if outcome in mischief.FAILED:
            report.failures.append((now, ask.nonce, method, ask.fault, outcome))
        if now - began > self.plan.longest:
            self.violate(ask, method, f"took {now - began:.1f} s")

    # --- connections --------------------------------------------------------------------------------------------------

    async def client(self) -> None:
        """One client after the other."""
        wire: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (job := self.next()) is not None:
            method, ask = job
            began = monotonic()
            if wire is None:
                wire = await self.connect()
                if wire is None:
                    return
            if not await self.ask(method, ask, began, *wire):
                wire[1].close()
                wire = None
            if self.plan.think:
                await asyncio.sleep(self.rng.uniform(0, 2 * self.plan.think))
        if wire is not None:
            wire[1].close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection; None when it is refused and that is the end."""
        while not self.over:
            try:
                return await asyncio.open_connection("127.0.0.1", self.plan.port, limit=1 << 18)
            except OSError:
                self.report.refused += 1
                if not self.plan.stubborn:
                    break
                await asyncio.sleep(0.01)
        return None

    async def ask(
        self, method: str, ask: Ask, began: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request; whether the connection can carry another. What is `began` is the client's wait."""
        last = self.rng.random() < self.plan.short
        raw = self.raw(method, ask, last)
        if self.rng.random() < self.plan.leave:
            await self.leave(ask, raw, reader, writer)
            self.ended(method, ask, LEFT, began)
            return False
        writer.write(raw)
        keep = False
        try:
            async with asyncio.timeout(self.plan.longest + 2):
                answer = await read_answer(reader, method, self.plan.statuses)
            outcome, keep = self.judge(method, ask, answer), answer.keep and not last
        except Broken as broken:
            outcome = CUT if broken.begun else GONE
        except TimeoutError:
            outcome = "hung"
        except (Wrong, ValueError, asyncio.LimitOverrunError) as error:
            outcome = "wrong"
            self.violate(ask, method, repr(error))
        self.ended(method, ask, outcome, began)
        return keep

    async def leave(self, ask: Ask, raw: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a request, or a part of it, and leave: at once, in a moment, or behind the first of the answer."""
        sent = self.rng.choice((len(raw), len(raw), self.rng.randint(1, len(raw))))
        writer.write(raw[:sent])
        with contextlib.suppress(OSError):
            await writer.drain()
            kind = self.rng.random()
            if kind < 0.3 and sent == len(raw):
                await reader.read(1)
            elif kind < 0.7:
                await asyncio.sleep(self.rng.uniform(0, 0.02))
        if self.rng.random() < 0.5:
            with contextlib.suppress(OSError, AttributeError):  # it is gone already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        else:
            writer.close()
        self.report.left[ask.nonce] = monotonic()

    async def tunnel(self, number: int) -> None:
        """An upgraded connection: what is sent must come back, until the end."""
        ask = Ask("tunnel", f"t{self.plan.seed}-{number}", 0, 0, 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.plan.port)
        lines = f"GET {ask.target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        writer.write(f"{lines}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n".encode())
        try:
            answer = await read_answer(reader, "GET")
            assert answer.status == 101, answer.status
            while not self.over:
                data = self.rng.randbytes(self.rng.randint(1, 20_000))
                writer.write(data)
                if await reader.readexactly(len(data)) != data:
                    self.violate(ask, "GET", "other bytes came back")
                self.report.echoed += len(data)
                await asyncio.sleep(0.01)
        except (asyncio.IncompleteReadError, OSError, Broken, AssertionError) as error:
            self.violate(ask, "GET", f"the tunnel broke: {error!r}")
        writer.close()

    def stop(self, *_: object) -> None:
        """Ask for no more than what has begun."""
        self.over = True

    async def run(self) -> None:
        """Everything."""
        print("ready", flush=True)
        began = monotonic()
        tunnels = [asyncio.create_task(self.tunnel(number)) for number in range(self.plan.tunnels)]
        await asyncio.gather(*(self.client() for _ in range(self.plan.connections)))
        await asyncio.gather(*tunnels)
        self.report.took = monotonic() - began


# --- the tests' side -------------------------------------------------------------------------------------------------


class Load:
    """A crowd under a test's command, in a process of its own: started at once, and ended by `done` or `finish`."""

    def __init__(self, **plan: object) -> None:
        here = Path(__file__)
        path = f"{here.parent}:{here.parents[1] / 'live'}"
        words = json.dumps(asdict(Plan(**plan)))  # type: ignore[arg-type]
        self.process = subprocess.Popen(
            [sys.executable, str(here), words], env={"PYTHONPATH": path}, stdout=subprocess.PIPE, bufsize=0
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", "the clients did not start"

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def done(self, seconds: float = 300.0) -> Report:
        """Wait for the end; gives the report."""
        output, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, "the clients failed"
        report = Report(**json.loads(output))
        report.outcomes = Counter(report.outcomes)
        return report

    def finish(self, seconds: float = 30.0) -> Report:
        """Have it finish; gives the report."""
        self.process.terminate()
        return self.done(seconds)


if __name__ == "__main__":
    crowd = Crowd(Plan(**json.loads(sys.argv[1])))
    signal.signal(signal.SIGTERM, crowd.stop)  # not the loop's: that would end before the report is out
    uvloop.run(crowd.run())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(json.dumps(vars(crowd.report)))
