"""Many doors that share one limit by batches: what they ask of Redis, and what the limit's error is.

    python -m bench.scale                 the table of docs/scale.md
    python -m bench.scale --doors 100 --offered 100000 --rate 80000

Rules: a simulation in one thread, of the very objects that doors run (`policy.limit.lease`) over a bucket with the very
arithmetic of the script; time goes in milliseconds, an answer of Redis comes at once. Chance has a seed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from random import Random

from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.limit.lease import HELD, Lease


class Bucket:
    """The shared bucket, as the script keeps it."""

    def __init__(self, leaky: Leaky) -> None:
        self.leaky = leaky
        self.excess, self.last = -REQUEST, 0

    def charge(self, wanted: int, now: int) -> int:
        """The excess of the first of so many requests, or -1 minus that of one that there is no room for."""
        allowed, first, last = self.leaky.charge(self.excess, self.last, now)
        if not allowed:
            return -1 - first
        granted = min(wanted, (self.leaky.burst - first) // REQUEST + 1)
        self.excess, self.last = first + REQUEST * (granted - 1), last
        return first

    def give_back(self, number: int) -> None:
        """Requests that were charged are not used."""
        self.excess = max(-REQUEST, self.excess - REQUEST * number)


@dataclass
class Found:
    """`passed` requests of `offered`, where one bucket without batches would let `exact` pass; `asked` times was Redis
    asked. `most` is by how many, in any time, more have passed than burst and rate allow for it."""

    offered: int
    passed: int
    exact: int
    asked: int
    most: int


def simulate(doors: int, offered: int, rate: int, burst: int, lease: int, seconds: float = 3.0, seed: int = 1) -> Found:
    """Doors that are offered so many requests a second in all, of one key, in equal parts by chance."""
    rng, leaky = Random(seed), Leaky(rate * REQUEST, burst * REQUEST, None)
    bucket, single = Bucket(leaky), Bucket(leaky)
    leases = [Lease() for _ in range(doors)]
    found = Found(0, 0, 0, 0, 0)
    above = 0.0  # requests that have passed beyond what burst and rate allow, in the time for which that is most
    for now in range(1, int(seconds * 1000) + 1):
        before = found.passed
        for _ in range(offered * now // 1000 - offered * (now - 1) // 1000):
            found.offered += 1
            found.exact += single.charge(1, now) >= 0
            mine = leases[rng.randrange(doors)]
            excess = mine.spend(leaky, now) if lease > 1 else None
            if excess is None:
                back = mine.rest(leaky, now)
                if back:
                    bucket.give_back(back)
                size = mine.next_size(lease, now) if lease > 1 else 1
                excess = bucket.charge(size, now)
                found.asked += 1
                if lease > 1:
                    mine.granted(leaky, excess, size, now)
                    excess = mine.spend(leaky, now)
            found.passed += excess is not None and excess >= 0
        above = max(0.0, above - rate / 1000) + found.passed - before
        found.most = max(found.most, round(above) - burst - 1)
    return found


def bound(doors: int, rate: int, lease: int) -> int:
    """By how many requests more than burst and rate allow may pass in any time: what doors may hold when it begins."""
    return 0 if lease == 1 else min(doors * lease, rate * HELD // 1000)


def line(doors: int, offered: int, rate: int, burst: int, lease: int, seconds: float) -> str:
    """A row of the table."""
    found = simulate(doors, offered, rate, burst, lease, seconds)
    missing = (found.exact - found.passed) / found.exact
    return (
        f"| {doors:,} | {offered:,} | {rate:,} | {lease:,} | {found.asked / seconds:,.0f} "
        f"| {-100 * missing:+.2f} % | {max(0, found.most):,} | {bound(doors, rate, lease):,} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--doors", type=int, action="append")
    parser.add_argument("--offered", type=int, help="requests a second at all doors together")
    parser.add_argument("--rate", type=int, help="requests a second that the limit lets pass")
    parser.add_argument("--burst", type=int, help="default: what the rate lets pass in a tenth of a second")
    parser.add_argument("--lease", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    print("| doors | offered/s | limit/s | lease | Redis/s | passed, of exact | above, most | bound |")
    print("| --: | --: | --: | --: | --: | --: | --: | --: |")
    for doors in asked.doors or (10, 100, 1000):
        offered = asked.offered or 1000 * doors
        for rate in (asked.rate,) if asked.rate else (offered * 8 // 10, offered * 2):
            for lease in asked.lease or (1, 10, 100, 1000):
                print(line(doors, offered, rate, asked.burst or rate // 10, lease, asked.seconds), flush=True)


if __name__ == "__main__":
    main()
