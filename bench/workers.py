"""Does it help to know each worker? nginx before Gunicorn's shared socket, and `frontgate run`, with the same
application: `python -m bench.workers`, which writes WORKERS.md here.

Rules: four workers, 60 % load, an open loop (see `open_loop`), in two variants: handlers that block without the
processor, and handlers that compute. All servers run at once and are driven in turn, round by round, with the same
requests at the same moments; figures and ratios are the medians of the rounds'.
Nothing is pinned: an application has its machine.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.peers.setup import DEBIAN, binary
from bench.processes import ROOT, guard

WORKERS = 4
MEAN_MS = 20.0
LOAD = 0.6
UP_WITHIN = 30.0  # seconds
NGINX = """{user}daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  upstream app {{ server unix:{folder}/app.sock; keepalive 32; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""


@dataclass
class Row:
    """A server, where it listens, and what it needed: milliseconds by round."""

    name: str
    port: int
    rounds: list[list[float]] = field(default_factory=list)
    errors: int = 0

    def percentile(self, share: float) -> float:
        """In the middle of the rounds."""
        return statistics.median(at_share(group, share) for group in self.rounds)

    def ratio(self, other: Row, share: float) -> float:
        """To another one, in the middle of the rounds."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(at_share(own, share) / at_share(its, share) for own, its in pairs)


@dataclass
class Variant:
    """A kind of handler; `capacity` is how many a second the machine can do, 0.0 if that is to be found out."""

    title: str
    path: str
    capacity: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return LOAD * self.capacity


def variants() -> list[Variant]:
    """Those that block are bounded by the workers alone, those that compute by the machine and what else it does."""
    return [
        Variant("handlers that block (20 ms on average, exponential)", "/sleep", WORKERS / (MEAN_MS / 1000)),
        Variant("handlers that compute (20 ms of processor time on average, exponential)", "/burn"),
    ]


def capacity(row: Row, variant: Variant) -> float:
    """How many a second it answers when eight clients ask without a pause."""
    url = f"http://127.0.0.1:{row.port}{variant.path}?ms={MEAN_MS}"
    end = time.monotonic() + 4.0

    def ask() -> int:
        done = 0
        while time.monotonic() < end:
            with urllib.request.urlopen(url, timeout=30) as answer:
                answer.read()
            done += 1
        return done

    with ThreadPoolExecutor(2 * WORKERS) as pool:
        return sum(pool.map(lambda number: ask(), range(2 * WORKERS))) / 4.0


def at_share(numbers: list[float], share: float) -> float:
    """A percentile, without guessing between two."""
    return sorted(numbers)[min(len(numbers) - 1, int(share * len(numbers)))]


def free_port() -> int:
    """One that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def start(stack: ExitStack, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server; it is ended with the stack."""
    with log.open("wb") as output:
        process = subprocess.Popen([*guard(), *command], cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
    stack.callback(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Have it go."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def servers(stack: ExitStack, folder: Path) -> list[Row]:
    """All of them, running."""
    nginx, blocking, least = Row("nginx, Gunicorn's shared socket", free_port()), *(
        Row(name, free_port()) for name in ("frontgate run --concurrency blocking", "frontgate run (async)")
    )  # fmt: skip
    gunicorn = ["-m", "gunicorn", "-w", str(WORKERS), "-k", "uvicorn_worker.UvicornWorker", "--keep-alive", "75"]
    gunicorn += ["--bind", f"unix:{folder}/app.sock", "--no-control-socket", "bench.waiting:app"]
    start(stack, [sys.executable, *gunicorn], folder / "gunicorn.txt")
    user = "" if os.geteuid() else "user root; "
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=nginx.port, user=user))
    start(stack, [binary("nginx", DEBIAN), "-p", str(folder), "-c", f"{folder}/nginx.conf"], folder / "nginx.txt")
    for row, words in ((blocking, ["--concurrency", "blocking"]), (least, [])):
        own = ["--http", f"127.0.0.1:{row.port}", "--runtime", str(folder / f"{row.port}"), "--access-log", "off"]
        command = [sys.executable, "-m", "proxy.cli", "run", "bench.waiting:app", "--workers", str(WORKERS)]
        start(stack, [*command, *own, *words], folder / f"{row.port}.txt")
    rows = [nginx, blocking, least]
    for row in rows:
        wait_for(row)
    return rows


def wait_for(row: Row) -> None:
    """Until it answers."""
    deadline = time.monotonic() + UP_WITHIN
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{row.port}/healthz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{row.name} does not answer: {error}") from None
        time.sleep(0.1)


def drive(row: Row, variant: Variant, seconds: int, seed: int) -> None:
    """One round."""
    words = [f"http://127.0.0.1:{row.port}{variant.path}", str(variant.rate), str(seconds), str(MEAN_MS), str(seed)]
    command = [sys.executable, "-m", "bench.open_loop", *words]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    row.rounds.append([float(line) for line in said if line and not line.startswith("error")])
    row.errors += sum(line.startswith("error") for line in said)


def table(variant: Variant, rows: list[Row], rounds: int, seconds: int) -> list[str]:
    """Lines of Markdown."""
    first = rows[0]
    load = f"{LOAD:.0%} of what they can do, {variant.rate:.0f} requests/s"
    lines = [f"### {variant.title.capitalize()}", "", f"{load}; {rounds} rounds of {seconds} s.", ""]
    lines += ["| | p50 | p99 | errors | p50 / nginx | p99 / nginx |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        figures = f"{row.percentile(0.5):.0f} ms | {row.percentile(0.99):.0f} ms | {row.errors}"
        lines.append(f"| {row.name} | {figures} | {row.ratio(first, 0.5):.2f} | {row.ratio(first, 0.99):.2f} |")
    return [*lines, ""]


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=20, help="of one round")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "WORKERS.md")
    parser.add_argument("--only", choices=("sleep", "burn"), help="one kind of handler; nothing is written then")
    options = parser.parse_args()
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = ["# Workers known one by one", "", f"Measured {date} by `python -m bench.workers`, {WORKERS} workers on"]
    lines += [f"{len(os.sched_getaffinity(0))} cores; figures and ratios are the medians of the rounds'.", ""]
    for variant in (one for one in variants() if options.only in (None, one.path[1:])):
        with tempfile.TemporaryDirectory(prefix="frontgate-bench-") as name, ExitStack() as stack:
            rows = servers(stack, Path(name))
            variant.capacity = variant.capacity or capacity(rows[0], variant)
            for turn in range(-1, options.rounds):
                for row in rows:
                    drive(row, variant, options.seconds if turn >= 0 else 2, 1000 + turn)
                    if turn < 0:
                        row.rounds.clear()
                        row.errors = 0
                    else:
                        found = row.rounds[-1]
                        print(
                            f"  {row.name}: p50 {at_share(found, 0.5):.0f} p99 {at_share(found, 0.99):.0f}", flush=True
                        )
            lines += table(variant, rows, options.rounds, options.seconds)
    text = "\n".join(lines)
    print(text)
    if options.only is None:
        options.output.write_text(text.rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
