"""How long requests waited at a backend, found in when they came there and when they were gone.

Rules: pure. Given that a backend is a line, first come first served, with c places that work, the k-th request to come
(from 0) begins when it has come and no more than c - 1 of those before it are there: at the (k - c)th departure, or at
its arrival if that is later. Arrivals and departures are known, so this is exact, but for their rounding. Whether the
backend is such a line, and how many places it has, no log can tell: one that works on any number of requests at a time,
each for the same time, looks like a line with a single place. A log can only contradict it, by answers that came before
their turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappush, heappushpop
from typing import Final

ROUNDED: Final = 0.0021  # seconds by which two times of milliseconds may be wrong together

Stays = Sequence[tuple[float, float]]  # of each request when it came and when it was gone, in the order of coming


def served(stays: Stays, places: int) -> tuple[list[float], int]:
    """How long each was worked on, and how many answers came before their turn: while as many of those that had come
    before were there as there are places. Whoever came within ROUNDED of each other may have come in any order."""
    gone = sorted(end for _, end in stays)
    times: list[float] = []
    latest: list[float] = []  # the latest departures of those that have come before, as many as places
    early = known = 0
    for place, (arrival, end) in enumerate(stays):
        begin = arrival if place < places else max(arrival, gone[place - places])
        times.append(max(0.0, end - begin))
        while stays[known][0] < arrival - ROUNDED:
            (heappush if known < places else heappushpop)(latest, stays[known][1])
            known += 1
        early += known >= places and latest[0] > end + ROUNDED
    return times, early


def most(stays: Stays) -> int:
    """How many were there at a time, at most; 1 of none."""
    ends = sorted(end for _, end in stays)
    highest, gone = 1, 0
    for here, (arrival, _) in enumerate(stays, 1):
        while gone < here - 1 and ends[gone] <= arrival:
            gone += 1
        highest = max(highest, here - gone)
    return highest
