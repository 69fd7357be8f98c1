"""The loads: drive one server for some seconds and say what came back."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from bench.peers.setup import DEBIAN, binary
from bench.processes import ROOT, Cores, guard
from bench.scenarios import Scenario
from bench.servers import Certificates

UPLOAD = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "text/plain"\nwrk.body = string.rep("x", 10000000)\n'
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
SLACK_SECONDS = 30
HEAD_END = b"\r\n\r\n"


class LoadFailed(Exception):
    """The load generator gave nothing that can be read; the text says what it gave."""


@dataclass(frozen=True)
class Load:
    """What a load saw: requests (or handshakes) done, errors, per second, and milliseconds."""

    done: int
    errors: int
    rate: float
    p50_ms: float
    p99_ms: float


def run_pinned(command: list[str], core: int, seconds: int) -> str:
    """The standard output of a load, pinned, bounded in time."""
    try:
        ended = subprocess.run(
            [*guard(), "taskset", "-c", str(core), *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds + SLACK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise LoadFailed(f"the load did not end {SLACK_SECONDS} s after its time") from late
    return ended.stdout + ended.stderr


def milliseconds(word: str) -> float:
    """A latency as wrk prints it: 357.00us, 1.30ms, 1.44s."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", word)
    if match is None:
        raise LoadFailed(f"wrk printed the latency {word!r}")
    return float(match[1]) * UNITS[match[2]]


def read_wrk(out: str) -> Load:
    """What wrk --latency printed."""
    done = re.search(r"(\d+) requests in", out)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    p50, p99 = (re.search(rf"^\s+{percent}%\s+(\S+)", out, re.MULTILINE) for percent in (50, 99))
    if done is None or rate is None or p50 is None or p99 is None:
        raise LoadFailed(f"wrk failed: {out.strip()[-200:]}")
    errors = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    for line in re.findall(r"Socket errors: (.*)", out):
        errors += sum(int(number) for number in re.findall(r"\d+", line))
    return Load(int(done[1]), errors, float(rate[1]), milliseconds(p50[1]), milliseconds(p99[1]))


def wrk(scenario: Scenario, url: str, seconds: int, cores: Cores, folder: Path) -> Load:
    """wrk with one thread."""
    command = [binary("wrk", DEBIAN), "-t1", f"-c{scenario.connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["--latency"]
    for one in scenario.fields:
        command += ["-H", one]
    if scenario.upload:
        script = folder / "upload.lua"
        script.write_text(UPLOAD, encoding="ascii")
        command += ["-s", str(script)]
    return read_wrk(run_pinned([*command, url], cores.load, seconds))


def read_h2load(out: str, lasted: list[int]) -> Load:
    """What h2load printed, and how many microseconds each request took."""
    rate = re.search(r"finished in \S+, ([\d.]+) req/s", out)
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
    if rate is None or found is None or len(lasted) < 2:
        raise LoadFailed(f"h2load failed: {out.strip()[-200:]}")
    if "Application protocol: h2" not in out:
        raise LoadFailed("h2load was not answered in HTTP/2")
    done, *wrong = (int(number) for number in found.groups())
    parts = quantiles(lasted, n=100)
    return Load(done, sum(wrong), float(rate[1]), parts[49] / 1000, parts[98] / 1000)


def h2load(scenario: Scenario, url: str, seconds: int, cores: Cores, folder: Path) -> Load:
    """h2load with one thread, 32 requests at a time on each connection."""
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = [binary("h2load", DEBIAN), f"-c{scenario.connections}", "-m32", f"-D{seconds}", f"--log-file={log}", url]
    out = run_pinned(command, cores.load, seconds)
    lines = log.read_text(encoding="ascii").splitlines() if log.exists() else []
    return read_h2load(out, [int(line.split()[2]) for line in lines])


def handshakes(scenario: Scenario, url: str, seconds: int, cores: Cores, authority: Path) -> Load:
    """bench/handshakes.py on the load's core."""
    port = urlsplit(url).port
    command = [sys.executable, "-m", "bench.handshakes", str(port), str(seconds), str(scenario.connections)]
    command += [str(authority), *(["--resumed"] if scenario.resumed else [])]
    out = run_pinned(command, cores.load, seconds)
    try:
        said = json.loads(out)
    except ValueError as error:
        raise LoadFailed(f"the handshake load failed: {out.strip()[-200:]}") from error
    return Load(said["done"], said["errors"], said["done"] / said["seconds"], said["p50_ms"], said["p99_ms"])


def drive(scenario: Scenario, url: str, seconds: int, cores: Cores, folder: Path, certificates: Certificates) -> Load:
    """The scenario's load on one server."""
    if scenario.load == "handshakes":
        return handshakes(scenario, url, seconds, cores, certificates.authority)
    if scenario.load == "h2load":
        return h2load(scenario, url, seconds, cores, folder)
    return wrk(scenario, url, seconds, cores, folder)


def open_idle(url: str, count: int, tls: ssl.SSLContext | None, stack: ExitStack) -> int:
    """Open so many connections, each answered once and then idle until the stack is left; the number that failed."""
    port = urlsplit(url).port
    failed = 0
    for _ in range(count):
        try:
            wire: socket.socket = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            # Over TLS the request would wait behind the client's Finished for a delayed acknowledgement (40 ms).
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                wire = stack.enter_context(tls.wrap_socket(wire, server_hostname="localhost"))
            wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            failed += not small_answer(wire)
        except OSError:
            failed += 1
    return failed


def small_answer(wire: socket.socket) -> bool:
    """Read one small answer whole; True for a 200."""
    seen = b""
    while HEAD_END not in seen:
        piece = wire.recv(65536)
        if not piece:
            return False
        seen += piece
    head, _, body = seen.partition(HEAD_END)
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    left = (int(length[1]) if length else 0) - len(body)
    while left > 0:
        piece = wire.recv(65536)
        if not piece:
            return False
        left -= len(piece)
    return head.startswith(b"HTTP/1.1 200")
