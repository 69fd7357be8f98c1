"""Every name that a configuration may use, and what it stands for.

Rules: extending frontgate by a strategy is writing its class and adding its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from proxy.clock import Clock
from proxy.config.upstream import Upstream
from proxy.exchange import Exchange
from proxy.policy.backend import Backend
from proxy.policy.balance import random_two
from proxy.policy.balance.hash import Hash
from proxy.policy.balance.ip_hash import IpHash
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.least_time import LeastTime, LeastTimeOfTwo
from proxy.policy.balance.peak_ewma import PeakEwma
from proxy.policy.balance.ring import Ring
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.strategy import Strategy


class Wanted(NamedTuple):
    """What a strategy is made of: the backends, the table that asks for it, and what makes a text with $variables."""

    backends: Sequence[Backend]
    clock: Clock
    rng: Random
    table: Upstream
    text: Callable[[str], Callable[[Exchange], bytes]]


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
    return learns or by_time or table.balance in ("least_time", "peak_ewma")
