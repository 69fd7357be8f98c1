"""Backends of every bad kind and clients that leave, under load: what must hold for each of many requests.

Rules: the number is FRONTGATE_SOAK_REQUESTS (5000 by default, 100000 in CI). The properties are: every answer is that
of its own request, whole and exact, or visibly none; what is not idempotent reaches a backend at most once; work for
clients that have left ends; afterwards nothing is in flight, and memory and descriptors are what they were.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from crowd import Load, Report
from door import until
from house import CONFIG, REQUESTS, Soaked
from mischief import FAULTS, IDEMPOTENT, LEFT, allowed
from rogue import Line, Rogue
from wires import resident

ATTEMPTS = 4  # of one idempotent request at most: each of three servers, and one again for a link that had died
STRAYS = 0.005  # share of requests that may meet a link which dies at that instant, and cannot be repeated


def unexpected(report: Report) -> Counter[str]:
    """The outcomes that are not allowed; what may happen to any request is not among them: see `strays`."""
    found: Counter[str] = Counter()
    for words, number in report.outcomes.items():
        fault, method, outcome = words.split()
        if outcome not in (LEFT, *allowed(fault, method)) and not stray(words):
            found[words] = number
    return found


def stray(words: str) -> bool:
    """Whether an outcome is that of a link which died while a request was on its way, and could not be repeated."""
    fault, method, outcome = words.split()
    return outcome == "502" and method not in ("GET", "HEAD") and outcome not in allowed(fault, method)


def executions(lines: list[Line]) -> Counter[tuple[str, str]]:
    """How often each (method, nonce) has reached a backend. A head that has come counts: more may have."""
    return Counter((line.method, line.nonce) for line in lines if line.event == "begun")


def repeated(lines: list[Line]) -> list[tuple[str, str]]:
    """Requests that are not idempotent and have reached a backend more than once (P1), or any too often."""
    return [one for one, number in executions(lines).items() if number > (ATTEMPTS if one[0] in IDEMPOTENT else 1)]


def lost(report: Report, lines: list[Line]) -> list[str]:
    """Requests that a client was told are done and no backend has had, whole."""
    whole = {line.nonce for line in lines if line.event == "whole"}
    return [nonce for nonce, outcome in report.ends.items() if outcome == "200" and nonce not in whole]


def orphans(report: Report, lines: list[Line]) -> list[tuple[str, float]]:
    """Work that went on for more than a second after its client had left (P6), with the seconds."""
    return [
        (line.nonce, line.time - report.left[line.nonce])
        for line in lines
        if line.event == "over" and line.time - report.left.get(line.nonce, line.time) > 1.0
    ]


@pytest.mark.timeout(300)
def test_everything_holds_under_faults_and_load(tmp_path: Path) -> None:
    with Rogue(tmp_path, 3, flap=True) as rogue, Soaked(CONFIG, servers=rogue.servers) as door:
        files = door.descriptors()
        with Load(port=door.port, requests=max(500, REQUESTS // 20), faults=True, leave=0.02, seed=1) as load:
            load.done()  # what is built up once has been built up
        until(lambda: door.in_flight() == 0, 5.0, "nothing in flight")
        memory = [resident(pid) for pid in door.workers()]
        loads = [
            Load(port=door.port, requests=REQUESTS // 2, faults=True, leave=0.02, seed=seed, connections=24)
            for seed in (2, 3)
        ]
        with loads[0], loads[1]:
            reports = [load.done() for load in loads]
        lines = rogue.lines()
        until(lambda: door.in_flight() == 0, 5.0, "nothing in flight")
        until(lambda: door.descriptors() <= files, 10.0, f"at most {files} descriptors")
        grown = [resident(pid) - before for pid, before in zip(door.workers(), memory, strict=True)]
        rogue.calm()
        with Load(port=door.port, requests=500, seed=4) as load:
            after = load.done()
        assert set(after.ends.values()) == {"200"} and after.violations == []  # P5
    total: Counter[str] = Counter()
    for report in reports:
        show(report)
        total += report.outcomes
        assert report.violations == [], report.violations[:20]  # P2, P3, P4
        assert unexpected(report) == {}
        assert lost(report, lines) == [] and orphans(report, lines) == []  # P6
    assert sum(total.values()) == REQUESTS // 2 * 2
    assert {words.split()[0].removeprefix("once-") for words in total} == set(FAULTS)
    strays = sum(number for words, number in total.items() if stray(words))
    assert strays <= STRAYS * REQUESTS, f"{strays} requests failed for no fault of theirs"
    assert repeated(lines) == []  # P1
    assert [line for line in lines if line.event == "wrong"] == []
    print(f"memory grew by {grown} bytes, {strays} strays, {door.restarts} restarts")
    assert max(grown) < 8 << 20, f"memory grew by {grown} bytes"
    assert door.restarts == 0


def show(report: Report) -> None:
    """What a run was like, for who reads it."""
    times = sorted(report.times)
    rate = len(times) / report.took
    print(
        f"{len(times)} requests in {report.took:.1f} s ({rate:.0f}/s), p50 {times[len(times) // 2] * 1000:.1f} ms, "
        f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, longest {report.slowest}, {report.refused} refused"
    )
