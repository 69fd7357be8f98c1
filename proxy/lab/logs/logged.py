"""Requests as access logs tell of them, in columns, in the order in which they came; and what the log itself shows.

Rules: columns of plain numbers, 51 bytes a request, and each client, address and method once. Times of whole seconds
are spread at random over their second, in the order of the lines (as so many arrivals at random would lie), by a fixed
seed. A request that no backend answered has the time of the one before it. Requests that no backend was asked for
(files, redirects, rejections) are counted and left out.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from math import inf
from random import Random
from typing import Any, Final, NamedTuple

from proxy.lab.logs import waiting
from proxy.lab.logs.entry import NO_ONE, UNKNOWN, Entry
from proxy.lab.logs.file import AccessLog, Seen
from proxy.lab.outcome import Latency, quantile

NOBODY: Final = -1
LEFT: Final = 499  # the client did not wait
UNFAIR: Final = 0.05  # share of answers before their turn with which a backend is no line, first come first served
FAILED: Final = 500  # the least status that is a failure


class Outage(NamedTuple):
    """That a backend took no requests from one time to another, which may be inf."""

    address: str
    begin: float
    end: float


class Logged:
    """The requests of some access logs that a backend was asked for.

    Columns: `starts` (seconds since the first), `times` (of service, or what the log has for it), `taken` (at backends
    in all, as logged), `whole` (until the client had it, UNKNOWN if not told), `before` (a failed attempt's seconds),
    `places` (numbers of `addresses`, NOBODY), `clients`, `methods` (numbers of `names` and `verbs`) and `statuses`.
    `lost` are attempts that failed, by address; `skipped` the requests that no backend was asked for.
    """

    def __init__(self, log: AccessLog, seed: int = 1) -> None:
        """ValueError with a sentence when there is nothing to be replayed."""
        self.log = log
        self.starts, self.times, self.taken, self.whole, self.before = (array("d") for _ in range(5))
        self.places, self.clients = array("i"), array("I")
        self.statuses, self.methods = array("H"), array("B")
        self.addresses: list[str] = []
        self.names: list[str] = []
        self.verbs: list[str] = []
        self.lost: dict[str, list[float]] = {}
        self.skipped = self.unknown = self.left = self.without = self.retries = 0
        self.service_places = 0
        self.early = 0  # answers that came before their turn
        self._known: tuple[dict[str, int], ...] = ({}, {}, {})
        self._second, self._first, self._rng = 0.0, 0, Random(f"{seed} seconds")
        self._lost: list[tuple[int, str]] = []
        for one, _ in log.entries():
            if one.asked:
                self._add(one)
            else:
                self.skipped += 1
        self._spread()
        if not self.starts:
            raise ValueError(self._nothing())
        self._in_order()

    def __len__(self) -> int:
        return len(self.starts)

    def _nothing(self) -> str:
        lines = f"{' '.join(self.log.paths)}: {self.log.lines} lines, {self.log.bad} of them could not be read"
        remedy = "log $upstream_addr and $upstream_response_time, or format = json"
        return f"{lines}, and no line tells of a backend: {remedy}"

    # --- reading ----------------------------------------------------------------------------------------------------

    def _add(self, one: Entry) -> None:
        if self.log.coarse and one.end != self._second:
            self._spread()
            self._second = one.end
        number, service = len(self.starts), one.service
        if service < 0.0 and one.address:
            service = one.took
        if not one.address:
            self.unknown += 1
        elif service < 0.0:
            self.without += 1
        if service < 0.0:
            service = self.times[-1] if number else 0.0
        took = one.took if one.took >= 0.0 else one.before + service
        self.starts.append(one.end - took)
        self.times.append(service)
        self.taken.append(one.before + service if one.address else max(0.0, took))
        self.whole.append(one.took)
        self.before.append(one.before)
        self.places.append(self._number(0, self.addresses, one.address) if one.address else NOBODY)
        self.clients.append(self._number(1, self.names, one.client))
        self.methods.append(min(255, self._number(2, self.verbs, one.method)))
        self.statuses.append(one.status)
        self.left += one.status == LEFT
        self.retries += len(one.lost) - (not one.address)
        for address in one.lost:
            if address != NO_ONE:
                self._lost.append((number, address))

    def _number(self, which: int, names: list[str], name: str) -> int:
        known = self._known[which]
        number = known.get(name)
        if number is None:
            number = known[name] = len(names)
            names.append(name)
        return number

    def _spread(self) -> None:
        """Have the lines of one second end at times within it."""
        number = len(self.starts) - self._first
        if self.log.coarse and number and self._second.is_integer():
            for place, share in enumerate(sorted(self._rng.random() for _ in range(number)), self._first):
                self.starts[place] += share
        self._first = len(self.starts)

    def _in_order(self) -> None:
        """Sort all columns by arrival, and count from the first."""
        for number, address in self._lost:
            self.lost.setdefault(address, []).append(self.starts[number])
        order = sorted(range(len(self.starts)), key=self.starts.__getitem__)
        for name in ("starts", "times", "taken", "whole", "before", "places", "clients", "methods", "statuses"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, map(column.__getitem__, order)))
        self.began = self.starts[0]
        self.starts = array("d", [start - self.began for start in self.starts])
        self.lost = {address: sorted(time - self.began for time in times) for address, times in self.lost.items()}

    # --- what it shows ----------------------------------------------------------------------------------------------

    def at(self, place: int) -> list[int]:
        """The requests that a backend answered, in the order in which it got them."""
        begun, before = self.starts, self.before
        numbers = [number for number, found in enumerate(self.places) if found == place]
        return sorted(numbers, key=lambda number: begun[number] + before[number])

    @cached_property
    def most(self) -> int:
        """How many requests one backend had at a time, at most, by the times as they were logged."""
        return max((waiting.most(self._stays(place)) for place in range(len(self.addresses))), default=1)

    def unqueue(self, places: int) -> None:
        """Take the waiting at backends out of the times, given that each is a line, first come first served, with
        `places` that work (see `waiting`). ValueError when times are not known well enough, or the log contradicts
        it."""
        if places < 1:
            raise ValueError(f"--service-places must be 1 or more (got {places})")
        if self.log.coarse:
            raise ValueError(
                "--service-places needs times of milliseconds: log $msec, or format = json; this log has whole seconds"
            )
        self.early = 0
        for place in range(len(self.addresses)):
            times, early = waiting.served(self._stays(place), places)
            self.early += early
            for number, time in zip(self.at(place), times, strict=True):
                self.times[number] = time
        self.service_places = places
        if self.early > UNFAIR * len(self):
            raise ValueError(
                f"the log contradicts --service-places {places}: {self.early} of {len(self)} answers came before their"
                f" turn; a line, first come first served, needs {self.least_places()} places at least"
            )

    def _stays(self, place: int) -> list[tuple[float, float]]:
        """From when to when each request was at a backend, in the order in which it got them."""
        begun, before, taken = self.starts, self.before, self.taken
        return [(begun[number] + before[number], begun[number] + taken[number]) for number in self.at(place)]

    def least_places(self) -> int:
        """The fewest places with which hardly any answer (1 in 1000) came before its turn; the truth may be more."""
        at = [self._stays(place) for place in range(len(self.addresses))]
        least, most = 1, max(map(len, at), default=1)
        while least < most:
            middle = (least + most) // 2
            early = sum(waiting.served(stays, middle)[1] for stays in at)
            least, most = (middle + 1, most) if early > len(self) / 1000 else (least, middle)
        return least

    def outages(self) -> list[Outage]:
        """When backends took no requests: from an attempt that failed, or from the beginning if none was answered
        before it, to the next attempt that was."""
        found: list[Outage] = []
        for address, times in self.lost.items():
            numbers = self.at(self.addresses.index(address)) if address in self.addresses else []
            well, until = [self.starts[number] + self.before[number] for number in numbers], -1.0
            for time in times:
                if time >= until:
                    place = bisect_right(well, time)
                    until = well[place] if place < len(well) else inf
                    found.append(Outage(address, time if place else 0.0, until))
        return sorted(found, key=lambda outage: outage.begin)

    def told(self) -> dict[str, Any]:
        """The log's own numbers, as JSON has them; latencies are those of backends and, as `request_ms`, of clients."""
        well = [number for number, status in enumerate(self.statuses) if status < FAILED]
        worked, answers = [0.0] * len(self.addresses), [0] * len(self.addresses)
        for place, time in zip(self.places, self.times, strict=True):
            if place != NOBODY:
                worked[place] += time
                answers[place] += 1
        shares = [number / (sum(answers) or 1) for number in answers]
        whole = [self.whole[number] for number in well if self.whole[number] != UNKNOWN]
        return {
            "latency_ms": _latency([self.taken[number] for number in well]),
            "request_ms": _latency(whole) if whole else None,
            "backends": [
                {"address": address, "share": round(share, 6), "worked": round(seconds, 6)}
                for address, share, seconds in zip(self.addresses, shares, worked, strict=True)
            ],
            "imbalance": round(max(worked) * len(worked) / sum(worked), 4) if any(worked) else 1.0,
            "max_ms": round(1e3 * max((self.taken[number] for number in well), default=0.0), 4),
            "answered": len(well),
            "failed": {str(status): n for status, n in sorted(Counter(self.statuses).items()) if status >= FAILED},
            "retries": self.retries,
            "seconds": round(self.starts[-1], 6),
        }

    def notes(self) -> list[str]:
        """What is to be said of how the log was read, in sentences."""
        notes = self.log.told()
        for number, what in (
            (self.skipped, "requests that no backend was asked for were left out"),
            (self.unknown, "requests that no backend answered have the time of the request before them"),
            (self.without, "requests whose time is not told have that of the request before them"),
            (self.left, "clients did not wait (499): their requests' times are shorter than the work"),
        ):
            if number:
                notes.append(f"{number} {what}")
        if self.log.coarse:
            notes.append("the log has times of whole seconds: requests are spread over their second at random")
        if self.addresses == ["?"]:
            notes.append("the log does not tell which backend answered: as if there was one; say --backends")
        if self.early:
            notes.append(f"{self.early} answers came before their turn in a line of {self.service_places} places")
        return notes


def read(
    paths: str | Sequence[str],
    *,
    format: str | None = None,
    known: Sequence[str] = (),
    seed: int = 1,
    seen: Seen | None = None,
) -> Logged:
    """The requests of access logs. ValueError with a sentence."""
    return Logged(AccessLog([paths] if isinstance(paths, str) else paths, format, seen, known), seed)


def _latency(times: list[float]) -> dict[str, float]:
    times.sort()
    mean = sum(times) / len(times) if times else 0.0
    found = Latency(*(1e3 * value for value in (mean, *(quantile(times, share) for share in (0.5, 0.9, 0.99)))))
    return {name: round(value, 4) for name, value in found._asdict().items()}
