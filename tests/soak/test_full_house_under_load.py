"""All that watches over backends at once, under faults and load: queue, breakers, checks, retries on statuses,
trailers, a deadline; and reloads that take each of them away and bring it back.

Rules: the properties are those of `test_faults_under_load`. Besides what a fault may become, any request may meet a 503
of ours (too many wait, or no backend is left), and may hear 504 at its deadline; these are counted, for most must not.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from crowd import Load, Report
from door import until
from house import FULL, PARTS, REQUESTS, WHOLE, Soaked, places, without
from mischief import FAULTS, LEFT, STATUSES, allowed
from rogue import Line, Rogue
from test_deaths_under_load import await_more
from test_faults_under_load import lost, orphans, repeated, show, stray

OURS = ("503", "504")
DEATHS = ("502",)
SHARE = 0.3  # of requests that may be answered by ourselves: while all breakers are open, for a tenth of a second
ROUNDS = 3 if WHOLE else 1
MOVED = FULL.replace("upstream.app", "upstream.moved").replace('"app"', '"moved"')


def asked(lines: list[Line]) -> list[Line]:
    """What clients have asked for: not the checks."""
    return [line for line in lines if line.nonce != "check"]


def unexpected(report: Report) -> Counter[str]:
    """The outcomes that nothing explains."""
    found: Counter[str] = Counter()
    for words, number in report.outcomes.items():
        fault, method, outcome = words.split()
        alone = allowed(fault.removeprefix("once-"), method)  # there may be no backend for another attempt
        if outcome not in (LEFT, *OURS, *DEATHS, *allowed(fault, method), *alone) and not stray(words):
            found[words] = number
    return found


def deaths(report: Report) -> int:
    """How many ended with a backend's death though they might have been repeated: attempts and budget are bounded, and
    the line that makes them generous is away for a part of the time."""
    return sum(
        number
        for words, number in report.outcomes.items()
        if words.split()[2] in DEATHS and words.split()[2] not in allowed(*words.split()[:2]) and not stray(words)
    )


def ours(report: Report) -> int:
    """How many we have answered ourselves without the backend's having asked for it."""
    return sum(
        number
        for words, number in report.outcomes.items()
        if words.split()[2] in OURS and words.split()[2] not in allowed(*words.split()[:2])
    )


def judge(reports: list[Report], lines: list[Line], share: float) -> None:
    """Hold what was seen against what may be."""
    for report in reports:
        show(report)
        print(f"{ours(report)} answered by the door itself")
        assert report.violations == [], report.violations[:20]
        assert unexpected(report) == {}
        assert deaths(report) <= 0.005 * len(report.ends), report.outcomes
        assert ours(report) <= share * len(report.ends), report.outcomes
        assert lost(report, lines) == [] and orphans(report, lines) == []
    assert repeated(lines) == []
    assert [line for line in lines if line.event == "wrong"] == []


def crowd(door: Soaked, seed: int, requests: int = 0) -> Load:
    """Clients that ask for everything."""
    plan = {"faults": True, "statuses": True, "leave": 0.02, "connections": 16, "think": 0.003}
    return Load(port=door.port, requests=requests, seed=seed, **plan)


def calm(door: Soaked) -> None:
    """Everybody has gone: nothing is in flight, nobody waits, and whoever comes is served."""
    until(lambda: door.in_flight() == 0, 5.0, "nothing in flight")
    until(lambda: sum(group["waiting"] for group in door.status()["upstreams"].values()) == 0, 5.0, "nobody waits")
    until(lambda: {backend["breaker"] for backend in backends(door)} <= {"closed", "open"}, 5.0, "no probe")

    def served() -> bool:
        return all(door.get(f"/ok/calm-{number}/0/10/0").status == 200 for number in range(20))

    until(served, 10.0, "everybody is served")
    with Load(port=door.port, requests=500, seed=9, statuses=True) as load:
        after = load.done()
    assert set(after.ends.values()) == {"200"} and after.violations == [], after.outcomes


def backends(door: Soaked) -> list[dict[str, str]]:
    """What /status says of all."""
    return [one for group in door.status()["upstreams"].values() for one in group["backends"]]


@pytest.mark.timeout(300)
def test_everything_holds_when_everything_is_on(tmp_path: Path) -> None:
    with Rogue(tmp_path, 3, flap=True) as rogue, Soaked(FULL, places=places(rogue.ports, 4)) as door:
        loads = [crowd(door, seed, REQUESTS // 4) for seed in (2, 3)]
        with loads[0], loads[1]:
            reports = [load.done() for load in loads]
        lines = asked(rogue.lines())
        app = door.status()["upstreams"]["app"]
        assert app["queued"] and app["retries"], app  # it was what it is about
        opened = sum(one["breaker_opened"] for one in app["backends"])
        print(f"{app['queued']} have waited, {app['retries']} retries, breakers opened {opened} times")
        rogue.calm()
        calm(door)
        assert door.restarts == 0
    judge(reports, lines, SHARE)
    total = sum((report.outcomes for report in reports), Counter[str]())
    assert {words.split()[0].removeprefix("once-") for words in total} == {*FAULTS, *STATUSES}
    assert sum(number for words, number in total.items() if words.split()[2] == "200") >= 0.7 * sum(total.values())


@pytest.mark.timeout(300)
def test_reloads_that_take_each_part_away_and_bring_it_back_lose_nobody(tmp_path: Path) -> None:
    with Rogue(tmp_path, 3, flap=True) as rogue:
        few, room = places(rogue.ports, 3), ", ".join(f'"127.0.0.1:{port}"' for port in rogue.ports)
        with Soaked(FULL, places=few) as door:
            loads = [crowd(door, seed) for seed in (4, 5)]
            with loads[0], loads[1]:
                for _ in range(ROUNDS):
                    for config in (*(without(part) for part in PARTS), without(*PARTS), MOVED):
                        door.reload(config)
                        await_more(door, 40)
                        door.reload(FULL.replace("{places}", room))
                        await_more(door, 20)
                        door.reload(FULL)
                reports = [load.finish() for load in loads]
            lines = asked(rogue.lines())
            rogue.calm()
            calm(door)
            assert door.restarts == 0 and len(door.workers()) == 2
    judge(reports, lines, SHARE)
