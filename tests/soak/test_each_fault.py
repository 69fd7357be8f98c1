"""Each fault of a backend by itself, with each method: what the client gets, and how often the request was executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import mischief
import pytest
from crowd import Load
from door import until
from house import CONFIG, Soaked
from mischief import FAULTS, IDEMPOTENT, LEFT, Ask, allowed
from rogue import Rogue
from test_faults_under_load import orphans, repeated
from wires import Cut

SEEDS = 8
METHODS = ("GET", "HEAD", "POST", "PUT")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rogue, Soaked]]:
    config = CONFIG.replace("workers = 2", "workers = 1").replace('"600ms"', '"300ms"')
    folder = tmp_path_factory.mktemp("rogue")
    with Rogue(folder, 3) as rogue, Soaked(config, servers=rogue.servers) as door:
        yield rogue, door


def outcome(door: Soaked, method: str, ask: Ask) -> str:
    """What becomes of one request on a connection of its own; the bytes are checked."""
    body = mischief.up(ask.nonce, ask.up)
    with door.client() as wire:
        wire.send(f"{method} {ask.target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            answer = wire.response(method)
        except Cut as cut:
            return mischief.CUT if cut.head else mischief.GONE
    if answer.status in (200, 413):
        assert answer.all("x-nonce") == [ask.nonce.encode()]
        assert answer.body == (b"" if method == "HEAD" else mischief.down(ask.nonce, ask.down))
    return str(answer.status)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", [name for name in (*FAULTS, *mischief.ONCE) if name not in ("early", "rude")])
def test_a_fault_has_the_outcome_it_may_have(stage: tuple[Rogue, Soaked], fault: str, method: str) -> None:
    rogue, door = stage
    seeds = 2 if FAULTS[fault.removeprefix("once-")].slow else SEEDS
    asks = [Ask(fault, f"{fault}-{method}-{seed}", seed, 300, 200) for seed in range(seeds)]
    found = {ask.nonce: outcome(door, method, ask) for ask in asks}
    assert set(found.values()) <= set(allowed(fault, method)), found
    lines = [line for line in rogue.lines() if line.nonce in found]
    assert repeated(lines) == []
    begun = Counter(line.nonce for line in lines if line.event == "begun")
    if found and set(found.values()) == {"200"} and not fault.startswith("once-"):
        assert set(begun.values()) == {1}
    if fault.startswith("once-"):
        assert set(begun.values()) == {2 if method in IDEMPOTENT else 1}
    assert outcome(door, "POST", Ask("ok", f"after-{fault}-{method}", 0, 100, 100)) == "200"


@pytest.mark.parametrize("way", ["cut", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_cut_at_any_byte_of_its_head_is_a_502(stage: tuple[Rogue, Soaked], way: str, method: str) -> None:
    """Nothing of it reaches the client, and what is not idempotent is not sent again."""
    rogue, door = stage
    length = len(f"HTTP/1.1 200 OK\r\nX-Nonce: {way}-{method}-at-00\r\nContent-Length: 99\r\n\r\n")
    asks = [Ask(f"{way}@{place}", f"{way}-{method}-at-{place:02}", 0, 10, 0) for place in range(length)]
    found = {ask.nonce: outcome(door, method, ask) for ask in asks}
    assert set(found.values()) == {"502"}
    begun = Counter(line.nonce for line in rogue.lines() if line.nonce in found and line.event == "begun")
    assert set(begun) == set(found)
    # All three servers, and one of them again for a link that had died.
    assert set(begun.values()) <= ({1} if method == "POST" else {3, 4})


def test_an_early_answer_reaches_every_client_that_is_still_uploading(stage: tuple[Rogue, Soaked]) -> None:
    rogue, door = stage
    with Load(port=door.port, requests=100, connections=4, only="early", short=0.0, seed=50) as load:
        report = load.done()
    assert report.outcomes == {"early POST 413": 100} and report.violations == []
    assert repeated(rogue.lines()) == []


def test_the_next_one_on_a_reused_link_is_never_answered_with_what_is_left_of_the_last(
    stage: tuple[Rogue, Soaked],
) -> None:
    """One client, one backend's link after the other: each lying answer is followed by an honest one."""
    rogue, door = stage
    with door.client() as wire:
        for number, fault in enumerate(("extra", "hints", "chunks", "idle") * 25):
            for ask in (Ask(fault, f"pair-{number}", number, 40, 0), Ask("ok", f"pair-{number}-next", 0, 40, 0)):
                found = wire.get(ask.target)
                assert (found.status, found.body) == (200, mischief.down(ask.nonce, ask.down))
                assert found.all("x-nonce") == [ask.nonce.encode()]
    assert [line for line in rogue.lines() if line.event == "wrong"] == []


def test_a_race_with_backends_that_close_idle_connections_loses_no_get(stage: tuple[Rogue, Soaked]) -> None:
    """Each connection is closed within 50 ms of its last answer; pauses of the same length make the race."""
    rogue, door = stage
    with Load(port=door.port, requests=1500, connections=16, only="idle", think=0.02, seed=51) as load:
        report = load.done()
    count = sum(report.outcomes.values())
    errors = {words: number for words, number in report.outcomes.items() if not words.endswith(" 200")}
    print(f"{errors} of {count}")
    assert report.violations == []
    assert {words.split()[1] for words in errors} <= {"POST", "PUT"}
    assert sum(errors.values()) <= count * 0.001 + 1  # the first one, before it is seen what these backends do
    assert repeated(rogue.lines()) == []


def test_work_for_clients_that_leave_ends_with_them(stage: tuple[Rogue, Soaked]) -> None:
    """The backend never answers; the client leaves at once or in a moment, with a reset or without."""
    rogue, door = stage
    with Load(port=door.port, requests=200, connections=16, only="mute", leave=1.0, seed=52) as load:
        report = load.done()
    until(lambda: door.in_flight() == 0, 2.0, "nothing in flight")
    assert set(report.ends.values()) == {LEFT}

    def over() -> bool:
        lines = [line for line in rogue.lines() if line.nonce in report.left]
        whole, gone = ({line.nonce for line in lines if line.event == event} for event in ("whole", "over"))
        return len(whole) >= 50 and whole == gone

    until(over, 3.0, "the end of all that was begun")
    assert orphans(report, rogue.lines()) == []
