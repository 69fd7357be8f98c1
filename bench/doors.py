"""Many doors in front of many backends, each door with a subset of them: the tables of docs/scale.md.

    python -m bench.doors scale           the same share of doors and backends, from 10 x 100 to 1,000 x 10,000
    python -m bench.doors size            100 x 1,000 with subsets from 5 to all
    python -m bench.doors lease           100 x 1,000 and 1,000 x 10,000 with a limit in Redis, by batches

Rules: the scenario is docs/study/scenarios/many-doors.toml, with the changes of a row. Each row is a process of its
own, so that memory is its own; small ones are the mean over several seeds, of as many requests in all.
"""

from __future__ import annotations

import argparse
import gc
import resource
import tomllib
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any, Final, NamedTuple

from proxy.lab import simulate
from proxy.lab.outcome import Outcome
from proxy.lab.scenario import of

FILE: Final = Path(__file__).parent.parent / "docs" / "study" / "scenarios" / "many-doors.toml"
EACH: Final = 200  # requests for each backend
SIZES: Final = ((10, 100), (30, 300), (100, 1000), (300, 3000), (1000, 10_000))
KINDS: Final = ("deterministic", "rendezvous")


class Seen(NamedTuple):
    """What came of one seed: of the doors that know a backend, the least and the most; milliseconds; what is told of a
    limit."""

    least: int
    most: int
    imbalance: float
    p50: float
    p99: float
    limit: dict[str, Any]


def run(**changes: Any) -> tuple[list[Seen], float]:
    """The scenario with these changes, over as many seeds as make up a large one, and the seconds of the processor that
    each took."""
    said = {**tomllib.loads(FILE.read_text()), **changes}
    said["requests"] = changes.get("requests", EACH * said["backends"])
    seeds = max(1, min(20, 3000 // said["backends"]))
    before = process_time()
    found = []
    for seed in range(1, seeds + 1):
        found.append(seen(simulate(of({**said, "seed": seed}))))
        gc.collect()  # a world is a circle
    return found, (process_time() - before) / seeds


def seen(outcome: Outcome) -> Seen:
    """What there is to say of an outcome."""
    doors = Counter(place for door in outcome.world.doors.each for place in door.places)
    known = [doors[place] for place in outcome.world.scenario.places]
    latency = outcome.latency
    return Seen(min(known), max(known), outcome.imbalance, latency.p50, latency.p99, outcome.limit or {})


def columns(found: list[Seen], seconds: float) -> str:
    """Those that two tables have."""
    most, imbalance, p50, p99 = (
        fmean(getattr(one, name) for one in found) for name in ("most", "imbalance", "p50", "p99")
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    least = min(one.least for one in found)
    return f"{least} to {most:.3g} | {imbalance:.2f} | {p50:.1f} | {p99:.0f} | {memory:.0f} MB | {seconds:.1f} s |"


def scale(doors: int, backends: int, kind: str, strategy: str) -> str:
    """A row: both grow, and the subset stays."""
    found = run(doors=doors, backends=backends, subset_by=kind, strategies=strategy)
    return f"| {doors:,} x {backends:,} | {kind} | {strategy} | {columns(*found)}"


def size(subset: int, kind: str) -> str:
    """A row: the subset grows."""
    found = run(subset=subset, subset_by=kind or KINDS[0])
    return f"| {subset or 'all'} | {kind} | {columns(*found)}"


def lease(doors: int, number: int, share: float) -> str:
    """A row: batches of a limit grow, which lets pass this share of what comes, for a second or so."""
    backends = 10 * doors
    rate = round(of({**tomllib.loads(FILE.read_text()), "backends": backends}).arriving * share)
    limit = {"rate": f"{rate}r/s", "burst": rate // 10, "nodelay": True, "shared": "redis", "lease": number}
    found, _ = run(
        limit=limit, keys=1, doors=doors, backends=backends, requests=(60 if doors == 100 else 40) * backends
    )
    told = [one.limit for one in found]
    passed, exact, offered = (sum(one[name] for one in told) for name in ("passed", "exact", "offered"))
    above, bound = (fmean(one[name] for one in told) for name in ("above", "bound"))
    asked = sum(one["redis_asked"] for one in told) / offered
    alone = sum(one["redis_local"] for one in told) / offered
    return (
        f"| {doors:,} | {rate:,} | {number:,} | {asked:.3f} | {100 * (passed / exact - 1):+.2f} % "
        f"| {above:,.0f} | {bound:,.0f} | {100 * alone:.1f} % |"
    )


TABLES: Final[dict[str, tuple[str, Any, list[tuple[Any, ...]]]]] = {
    "scale": (
        "| doors x backends | subset | strategy | doors per backend | imbalance | p50 ms | p99 ms | memory | time |",
        scale,
        [(*one, kind, strategy) for strategy in ("least_conn", "round_robin") for kind in KINDS for one in SIZES],
    ),
    "size": (
        "| subset | by | doors per backend | imbalance | p50 ms | p99 ms | memory | time |",
        size,
        [*((number, kind) for kind in KINDS for number in (5, 10, 20, 50, 100, 200)), (1000, KINDS[0]), (0, "")],
    ),
    "lease": (
        "| doors | limit/s | lease | asked, per request | passed, of exact | above, most | bound | without Redis |",
        lease,
        [(doors, number, share) for doors, share in ((100, 0.8), (1000, 0.8)) for number in (1, 10, 100, 1000)],
    ),
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.doors", description=__doc__)
    parser.add_argument("table", choices=TABLES)
    head, row, rows = TABLES[parser.parse_args().table]
    print(f"{head}\n|{' --: |' * (head.count('|') - 1)}", flush=True)
    for one in rows:
        with get_context("spawn").Pool(1) as pool:
            print(pool.apply(row, one), flush=True)


if __name__ == "__main__":
    main()
