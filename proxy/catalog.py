"""Every name that a configuration may use, and what it stands for.

Rules: extending frontgate by a strategy is writing its class and adding its line here; or naming its factory in the
configuration, "package.module:factory", which is the same class without the line (`Factory`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from proxy.clock import Clock
from proxy.config.imported import imported
from proxy.config.upstream import Upstream
from proxy.exchange import Exchange
from proxy.policy.backend import Backend
from proxy.policy.balance import random_two
from proxy.policy.balance.hash import Hash
from proxy.policy.balance.ip_hash import IpHash
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.least_time import LeastTime, LeastTimeOfTwo
from proxy.policy.balance.own import Own
from proxy.policy.balance.peak_ewma import PeakEwma
from proxy.policy.balance.ring import Ring
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.strategy import Strategy

# (backends, clock, chance) -> Strategy: what a strategy of one's own is made by, in the door and in the laboratory.
Factory = Callable[[Sequence[Backend], Clock, Random], Strategy]


def loud(error: BaseException) -> None:
    """Raise what a strategy of one's own did wrong."""
    raise error


class Wanted(NamedTuple):
    """What a strategy is made of: the backends, the table that asks for it, and what makes a text with $variables.

    `wrong` is told what a strategy of one's own does wrong.
    """

    backends: Sequence[Backend]
    clock: Clock
    rng: Random
    table: Upstream
    text: Callable[[str], Callable[[Exchange], bytes]]
    wrong: Callable[[BaseException], None] = loud


Make = Callable[[Wanted], Strategy]

# Strategies that look at what is in flight.
LOAD_AWARE: Final = frozenset(("least_conn", "least_time", "random_two", "peak_ewma"))

BALANCE: Final[dict[str, Make]] = {
    "round_robin": lambda wanted: RoundRobin(*wanted[:3]),
    "least_conn": lambda wanted: LeastConn(*wanted[:3]),
    "ip_hash": lambda wanted: IpHash(*wanted[:3]),
    "hash": lambda wanted: _hash(wanted),
    "random": lambda wanted: random_two.Random(*wanted[:3]),
    "random_two": lambda wanted: _of_two(wanted),
    "least_time": lambda wanted: LeastTime(*wanted[:3], wanted.table.least_time == "last_byte", wanted.table.inflight),
    "peak_ewma": lambda wanted: PeakEwma(*wanted[:3]),
}


def made(wanted: Wanted, factory: Factory | None = None) -> Strategy:
    """The strategy of a table, or what this factory makes. ValueError with a sentence."""
    name = wanted.table.balance
    if factory is None and name in BALANCE:
        return BALANCE[name](wanted)
    name = name if factory is None else getattr(factory, "__name__", "own")
    make: Factory = factory or imported(name, wanted.table.balance_from)
    try:
        base = make(list(wanted.backends), *wanted[1:3])  # a list of its own: it may sort it
    except Exception as error:
        problem = f"{type(error).__name__}: {error}; it is given (backends, clock, rng)"
        raise ValueError(f'the strategy "{name}" cannot be made: {problem}') from error
    if not callable(getattr(base, "pick", None)):
        raise ValueError(f'"{name}" makes no strategy: {type(base).__name__} has no pick(exchange, tried)')
    return Own(name, base, wanted.backends, wanted.clock, wanted.wrong)


def counts_in_flight(table: Upstream) -> bool:
    """Whether what picks for an upstream looks, or may look, at what is in flight."""
    return table.balance in LOAD_AWARE or table.balance not in BALANCE


def _hash(wanted: Wanted) -> Strategy:
    return (Ring if wanted.table.consistent else Hash)(*wanted[:3], wanted.text(wanted.table.hash or ""))


def _of_two(wanted: Wanted) -> Strategy:
    if wanted.table.random_by == "least_time":
        return LeastTimeOfTwo(*wanted[:3], wanted.table.least_time == "last_byte")
    return random_two.RandomTwo(*wanted[:3])


def hears(table: Upstream) -> bool:
    """Whether what binds and picks for an upstream has to be told of answers and of ends."""
    learns = table.sticky is not None and table.sticky.learn is not None
    by_time = table.balance == "random_two" and table.random_by == "least_time"
    return learns or by_time or table.balance in ("least_time", "peak_ewma") or table.balance not in BALANCE
