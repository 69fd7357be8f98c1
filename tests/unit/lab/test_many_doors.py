"""Many doors that know a part of the backends each: the law of docs/scale.md at a small size."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from proxy.lab import Scenario, simulate
from proxy.lab.scenario import of, read

FILE = Path(__file__).parents[3] / "docs" / "study" / "scenarios" / "many-doors.toml"


def seen(doors, backends, subset=20, kind="deterministic", seeds=(1,), **said):
    """The mean of the means and medians of some seeds, in milliseconds."""
    said = {"strategies": "least_conn", "load": 0.6, "warmup": 0.25, "requests": 150 * backends, **said}
    scenario = Scenario(doors=doors, backends=backends, subset=subset, subset_by=kind, **said)
    found = [simulate(scenario.model_copy(update={"seed": seed})) for seed in seeds]
    return fmean(one.latency.mean for one in found), fmean(one.latency.p50 for one in found)


def test_latency_is_a_matter_of_the_subset_and_not_of_the_size():
    """19.5 ms in the middle from 10 x 100 to 1,000 x 10,000."""
    small, large = seen(10, 100, seeds=(1, 2, 3)), seen(40, 400, requests=40_000)
    assert large == pytest.approx(small, rel=0.06)


def test_by_lot_is_worse():
    even, lot = seen(10, 100)[0], seen(10, 100, kind="rendezvous")[0]
    assert lot > even * 1.25


def test_doors_that_share_no_backend_are_as_many_single_doors():
    """10 doors with 20 of 200 backends each, dealt out once: each is a system of its own."""
    alone, together = seen(1, 20, subset=0, seeds=(1, 2, 3, 4, 5)), seen(10, 200)
    assert together == pytest.approx(alone, rel=0.04)


def test_the_more_backends_a_door_knows_the_less_it_knows_of_each():
    """What is in flight is seen by the door alone that sent it: with all backends known few are ever seen busy, and
    least_conn sends to them by turns, blindly in the limit (M/M/1: 50 ms)."""
    few, some, all_ = (seen(10, 100, subset=subset, requests=9000)[0] for subset in (10, 25, 100))
    assert few < some < all_ < 50.0


def test_doors_that_begin_at_the_same_backend_go_on_together():
    """All with the same list in the same order: turns are taken in step, and a wave goes over the backends."""
    assert seen(40, 100, subset=0, requests=4000)[0] > seen(40, 100, subset=100, requests=4000)[0] * 1.3


def test_doors_keep_to_their_subsets_whatever_happens():
    said = {"backends": 40, "doors": 8, "subset": 10, "workers": 2, "load": 0.5, "requests": 4000}
    upstream = {"health": {"interval": "1s"}, "breaker": {}, "slow_start": "1s"}
    event = [{"at": "200ms", "do": "restart", "backends": [3], "value": 1}]
    world = simulate(of({**said, "upstream": upstream, "event": event, "stale": "50ms"})).world
    for door in world.doors.each:
        for worker in door.workers:
            assert [one.pool for one in worker.backends] == [world.servers[place] for place in door.places]
            assert all(one.taken == one.settled for one in worker.backends)
    assert all(server.served for place, server in enumerate(world.servers) if place != 3)


@pytest.mark.parametrize("shared", ["door", "worker", "all"])
def test_who_counts_together_does_so_within_subsets(shared):
    said = {"backends": 20, "doors": 4, "subset": 10, "workers": 2, "shared": shared, "requests": 500}
    world = simulate(of({**said, "strategies": "least_conn"})).world
    gauges = {id(one.inflight) for worker in world.doors.workers for one in worker.backends}
    assert len(gauges) == {"door": 40, "worker": 80, "all": 20}[shared]


def test_the_scenario_file_at_a_tenth():
    outcome = simulate(read(str(FILE), doors=10, backends=100, requests=10_000))
    assert outcome.answered == 7500 and outcome.latency.p50 == pytest.approx(19.5, rel=0.1)


# --- a limit of all doors, in Redis -----------------------------------------------------------------------------------


def limited(lease, rate="800r/s", requests=8000, doors=20, redis=None, **limit):
    said = {"backends": 20, "doors": doors, "rate": 1000.0, "service": "exp:5ms", "keys": 1, "requests": requests}
    table = {"rate": rate, "burst": 80, "nodelay": True, "shared": "redis", "lease": lease, **limit}
    return simulate(of({**said, "limit": table, "redis": redis or {}})).limit


def test_one_bucket_is_exact_and_asked_by_every_request():
    told = limited(1)
    assert told["passed"] == pytest.approx(told["exact"], abs=3) and told["above"] <= 1
    assert told["redis_per_second"] == pytest.approx(1000, rel=0.05)
    assert told["redis_utilisation"] == pytest.approx(told["redis_per_second"] * 6.4e-6, rel=0.01)


def test_batches_spare_redis_and_never_let_more_pass_than_their_bound():
    one, ten, forty = limited(1), limited(10), limited(40)
    assert one["redis_per_second"] > 4 * ten["redis_per_second"] > 4 * forty["redis_per_second"]
    for told, lease in ((ten, 10), (forty, 40)):
        assert told["bound"] == min(20 * lease, 800)
        assert told["above"] <= told["bound"]
        assert told["passed"] <= told["exact"] + told["bound"]
    assert ten["passed"] > 0.98 * ten["exact"]
    assert forty["passed"] < ten["passed"]  # what doors hold of batches nobody else has


def test_doors_that_count_for_themselves_let_pass_as_many_times_the_limit():
    alone = limited(1, doors=4, rate="100r/s", shared="host", burst=10)
    assert alone["passed"] == pytest.approx(4 * alone["exact"], rel=0.1)
    assert "redis_per_second" not in alone


@pytest.mark.parametrize(("on_failure", "outcome"), [("open", 0), ("shut", 1), ("local", 2)])
def test_a_redis_that_is_too_slow_is_left_alone(on_failure, outcome):
    """It takes 5 ms for each of 1,000 decisions a second: the circuits open, and what on_failure says holds."""
    told = limited(1, requests=4000, redis={"decision": "5ms", "on_failure": on_failure, "recovery": "2s"})
    unasked = [told["redis_open"], told["redis_shut"], told["redis_local"]]
    assert unasked[outcome] > 0.5 * told["offered"] and sum(unasked) == unasked[outcome]
    assert told["late"] > 0
    assert told["redis_per_second"] < 400
