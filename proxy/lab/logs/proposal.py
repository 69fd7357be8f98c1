"""A rate and a burst for the clients of an access log: such that a given share of them would never have been limited.

Rules: what is let in is decided by production's own leaky bucket (`policy.limit.leaky`), by milliseconds of arrival. At
a rate, the burst that a key needs is the most that its bucket would have held; with a burst as large it is never
limited. Of all pairs of a rate and a burst that keep the promise, the one is proposed that lets a client have the least
in a minute (the burst and a minute of the rate), for that is what a limit is for; of those pairs whose bucket is empty
after a minute without requests, if any is: whoever came with many requests at once may do so again then. Times of whole
seconds stand for their beginnings: requests of one second come at once, which asks for a larger burst rather than a
smaller one. Memory: 8 bytes a request and some 200 a key.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappush, heapreplace
from typing import Any, Final, NamedTuple

from proxy.config.units import rate as thousandths
from proxy.lab.logs.keys import Shown
from proxy.policy.limit.leaky import REQUEST, Leaky

RATES: Final = (
    *(f"{number}r/m" for number in (1, 2, 3, 4, 6, 10, 12, 20, 30, 40)),
    *(f"{number}r/s" for number in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80)),
    *(f"{number}r/s" for number in (100, 150, 200, 300, 500, 800, 1000, 2000, 5000, 10_000)),
)
WINDOW: Final = 60  # seconds in which what a client may have is compared
ENDLESS: Final = 1 << 60  # a burst that nobody exceeds
ROOM: Final = 32  # bytes of a limit's memory for each key, with room to spare


class Option(NamedTuple):
    """A rate, as a configuration has it, and the least burst that keeps the promise with it."""

    rate: str
    burst: int

    @property
    def most(self) -> float:
        """Requests that one key may have in WINDOW seconds."""
        return 1 + self.burst + thousandths(self.rate) * WINDOW / 1000

    @property
    def drains(self) -> bool:
        """Whether a full bucket is empty after WINDOW seconds."""
        return self.burst * REQUEST <= thousandths(self.rate) * WINDOW


class Limited(NamedTuple):
    """A key that would have been limited: its requests, how many were rejected, and when the first (ms since 1970)."""

    key: bytes
    requests: int
    rejected: int
    first: int


class Times:
    """When the requests of each key came, in milliseconds since 1970."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, array[int]] = {}
        self.requests = 0
        self._sorted: list[tuple[bytes, array[int]]] | None = None

    def add(self, key: bytes, ms: int) -> None:
        """A request came."""
        times = self.by_key.get(key)
        if times is None:
            times = self.by_key[key] = array("q")
        times.append(ms)
        self.requests += 1
        self._sorted = None

    def busiest(self) -> list[tuple[bytes, array[int]]]:
        """All keys with their times in order, those with the most requests first."""
        if self._sorted is None:
            for key, times in self.by_key.items():
                self.by_key[key] = array("q", sorted(times))
            self._sorted = sorted(self.by_key.items(), key=lambda item: (-len(item[1]), item[0]))
        return self._sorted


class Proposal:
    """What is proposed: `option`; the other `options`, by rate; whom it would have `limited`, the hardest first."""

    def __init__(self, name: str, times: Times, options: Sequence[Option], share: float, of: str) -> None:
        self.name = name
        self.share, self.of = share, of
        self.options = list(options)
        good = [option for option in self.options if option.drains] or self.options
        self.option = min(good, key=lambda option: (option.most, thousandths(option.rate)))
        self.keys, self.requests = len(times.by_key), times.requests
        self.limited = limited(times, self.option)

    @property
    def rejected(self) -> int:
        """Requests that would have been rejected."""
        return sum(one.rejected for one in self.limited)

    def toml(self, key: str, ipv6_prefix: int = 64) -> str:
        """The table of a configuration."""
        name = json.dumps(self.name) if "." in self.name else self.name
        lines = [f"[limit.{name}]", f"key = {json.dumps(key)}"]
        if ipv6_prefix != 64:
            lines.append(f"ipv6_prefix = {ipv6_prefix}")
        lines += [f'rate = "{self.option.rate}"', f"burst = {self.option.burst}", "nodelay = true"]
        if self.keys * ROOM > 10 << 20:
            lines.append(f'memory = "{-(-self.keys * ROOM >> 20)}m"')
        return "\n".join(lines) + "\n"

    def told(self, shown: Shown, top: int) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "rate": self.option.rate,
            "burst": self.option.burst,
            "keys": self.keys,
            "requests": self.requests,
            "limited": {"keys": len(self.limited), "requests": self.rejected},
            "top": [
                {"key": shown(one.key), "requests": one.requests, "rejected": one.rejected, "first": one.first / 1000}
                for one in self.limited[:top]
            ],
            "options": [{**option._asdict(), "most_in_a_minute": round(option.most, 3)} for option in self.options],
        }


def propose(
    name: str, times: Times, *, share: float = 0.999, of: str = "clients", rates: Sequence[str] = RATES
) -> Proposal:
    """A rate of these and a burst, such that a share of the "clients" is never limited, or of the "requests", or of
    "both". ValueError when there are no requests."""
    if not times.requests:
        raise ValueError("there are no requests of any client in the log")
    options = []
    for rate in rates:
        burst = 0
        if of != "requests":
            burst = burst_of_clients(times, thousandths(rate), excepted(len(times.by_key), share))
        if of != "clients":
            burst = max(burst, burst_of_requests(times, thousandths(rate), excepted(times.requests, share)))
        options.append(Option(rate, burst))
        if burst == 0:
            break  # a higher rate needs no less
    return Proposal(name, times, options, share, of)


def excepted(number: int, share: float) -> int:
    """How many of a number may be limited while a share of them is not."""
    return int(number * (1.0 - share) + 1e-9)


def peak(leaky: Leaky, times: Sequence[int]) -> int:
    """The most that a key's bucket holds when nothing is rejected, in thousandths of a request."""
    charge, highest, last = leaky.charge, 0, times[0]
    excess = 0
    for ms in times[1:]:  # the first costs nothing
        _, excess, last = charge(excess, last, ms)
        if excess > highest:
            highest = excess
    return highest


def burst_of_clients(times: Times, rate: int, exceptions: int) -> int:
    """The least burst that all keys but `exceptions` never exceed at a rate."""
    leaky = Leaky(rate, ENDLESS)
    highest: list[int] = []  # the most that exceptions + 1 keys need
    for _, own in times.busiest():
        if len(highest) > exceptions:
            if (len(own) - 1) * REQUEST <= highest[0]:
                break  # it cannot need more, nor can those behind it
            heapreplace(highest, max(highest[0], peak(leaky, own)))
        else:
            heappush(highest, peak(leaky, own))
    return -(-highest[0] // REQUEST) if len(highest) > exceptions else 0


def burst_of_requests(times: Times, rate: int, exceptions: int) -> int:
    """The least burst with which no more than `exceptions` requests are rejected at a rate, by bisection."""
    most = burst_of_clients(times, rate, 0)
    fits = _Fits(times, rate, exceptions)
    return bisect_left(range(most), True, key=fits)


class _Fits:
    """Whether so few are rejected at a burst."""

    def __init__(self, times: Times, rate: int, exceptions: int) -> None:
        self.times, self.rate, self.exceptions = times, rate, exceptions

    def __call__(self, burst: int) -> bool:
        leaky, rejected = Leaky(self.rate, burst * REQUEST), 0
        for _, own in self.times.busiest():
            if len(own) - 1 <= burst:
                break
            rejected += len(rejections(leaky, own))
            if rejected > self.exceptions:
                return False
        return True


def rejections(leaky: Leaky, times: Sequence[int]) -> list[int]:
    """When requests of a key are rejected."""
    charge, excess, last, found = leaky.charge, 0, times[0], list[int]()
    for ms in times[1:]:
        admitted, after, now = charge(excess, last, ms)
        if admitted:
            excess, last = after, now
        else:
            found.append(ms)
    return found


def limited(times: Times, option: Option) -> list[Limited]:
    """Whom a rate and a burst would have limited, those with the most rejections first."""
    leaky = Leaky(thousandths(option.rate), option.burst * REQUEST)
    found = []
    for key, own in times.busiest():
        if len(own) - 1 <= option.burst:
            break
        if rejected := rejections(leaky, own):
            found.append(Limited(key, len(own), len(rejected), rejected[0]))
    return sorted(found, key=lambda one: (-one.rejected, one.first, one.key))
