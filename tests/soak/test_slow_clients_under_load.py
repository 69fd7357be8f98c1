"""Very many slowloris connections held at once, and what well-behaved clients notice of them."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from pathlib import Path

import pytest
from crowd import Load, Report
from door import until
from house import CONFIG, WHOLE, Soaked
from rogue import Rogue
from wires import resident

SLOW = 10_000 if WHOLE else 2_000
REQUESTS = 4_000
NOISE = 0.02  # seconds; below this, a p99 says more about the machine than about the door


def p99(report: Report) -> float:
    """The 99th percentile of the seconds of a request."""
    times = sorted(report.times)
    return times[len(times) * 99 // 100]


@pytest.mark.timeout(180)
def test_slow_clients_are_held_and_the_others_notice_little(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < SLOW + 1000:
        pytest.skip(f"no more than {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    config = CONFIG.replace('client_header = "2s"', 'client_header = "100s"')
    wires: list[socket.socket] = []
    over = threading.Event()

    def drip() -> None:
        turn = 0
        while not over.wait(0.2):
            turn += 1
            for wire in wires[turn % 25 :: 25]:  # each has its turn every 5 s
                with contextlib.suppress(OSError):
                    wire.sendall(b"x")

    try:
        with Rogue(tmp_path, 2) as rogue, Soaked(config, servers=rogue.servers) as door:
            with Load(port=door.port, requests=REQUESTS, connections=8, think=0.004, short=0.2, seed=1) as load:
                calm = load.done()
            memory = sum(map(resident, door.workers()))
            for _ in range(SLOW):
                wires.append(socket.create_connection(("127.0.0.1", door.port), 10.0))
                wires[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            until(lambda: door.connections() >= SLOW, 10.0, "all are there")
            thread = threading.Thread(target=drip, daemon=True)
            thread.start()
            with Load(port=door.port, requests=REQUESTS, connections=8, think=0.004, short=0.2, seed=2) as load:
                busy = load.done()
            assert door.connections() >= SLOW, "the slow ones were not held meanwhile"
            each = (sum(map(resident, door.workers())) - memory) / SLOW
            over.set()
            thread.join(10)
            for wire in wires:
                wire.close()
            until(lambda: door.connections() == 0, 10.0, "no connection")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"p99 {p99(calm) * 1000:.1f} ms, with {SLOW} slow clients {p99(busy) * 1000:.1f} ms, {each:.0f} bytes each")
    for report in (calm, busy):
        assert set(report.ends.values()) == {"200"} and report.violations == [] and report.refused == 0
    assert p99(busy) <= max(2 * p99(calm), NOISE)
    assert each <= 16_384
