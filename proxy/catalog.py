"""Every name that a configuration may use, and what it stands for.

Rules: extending frontgate by a strategy is writing its function or class and adding its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from proxy.clock import Clock
from proxy.policy.backend import Backend
from proxy.policy.balance.ip_hash import IpHash
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.strategy import Strategy

Make = Callable[[Sequence[Backend], Clock, Random], Strategy]

LOAD_AWARE: Final = frozenset(("least_conn",))  # strategies that look at what is in flight

BALANCE: Final[dict[str, Make]] = {
    "round_robin": RoundRobin,
    "least_conn": LeastConn,
    "ip_hash": IpHash,
}
