"""The seats of an application's workers: in what state one can be, what is counted there, and when its worker is due
to be replaced.

Rules: pure. A seat is a socket's place; who sits there is a worker with a generation, a number that grows with each
start. The states are those of a whole life, in order, and then what lies between two lives.
"""

from __future__ import annotations

from typing import Final, NamedTuple

VACANT: Final = 0  # nobody, and nobody is wanted
STARTING: Final = 1  # not ready yet
SERVING: Final = 2
DRAINING: Final = 3  # gets no new requests
STOPPING: Final = 4  # told to go
BROKEN: Final = 5  # dead, and waits for its next attempt

STATES: Final = {
    VACANT: "vacant",
    STARTING: "starting",
    SERVING: "serving",
    DRAINING: "draining",
    STOPPING: "stopping",
    BROKEN: "broken",
}

# What the supervisor writes of each seat, into columns ("app", NAME, SEAT, word): `generation` counts starts of the
# app; `since_ms` is when its state began (seconds since 1970, in thousandths), `born_ms` when its worker was started;
# `taken` what the seat had had in requests then, `wanted` after how many its worker is replaced; `memory` is in bytes;
# `restarts` are deaths that nobody asked for, `recycled` replacements for requests, age or memory, both of the seat.
WORDS: Final = (
    *("state", "pid", "generation", "since_ms", "born_ms", "taken", "wanted", "memory", "restarts", "recycled"),
)
# Of the app as a whole, in columns ("app", NAME, word).
OF_ALL: Final = ("generation", "rolls", "rollbacks", "rolled_ms")


class Bounds(NamedTuple):
    """When a worker is replaced: `requests` with as many as `jitter` more, seconds of `age`, bytes of `memory`; 0:
    never for this."""

    requests: int = 0
    jitter: int = 0
    age: float = 0.0
    memory: int = 0


def bounds(requests: int, jitter: int | None, age: float, memory: int) -> Bounds:
    """Bounds as they are configured; a jitter that is not given is a tenth of the requests."""
    return Bounds(requests, requests // 10 if jitter is None else jitter, age, memory)


def allotted(limits: Bounds, chance: float) -> int:
    """The requests that one worker gets, by a chance from 0 up to 1, so that not all go at once; 0: any number."""
    return limits.requests + int(chance * (limits.jitter + 1)) if limits.requests else 0


def due(limits: Bounds, wanted: int, requests: int, age: float, memory: int) -> str:
    """Why a worker is to be replaced, in words that follow its name; "" if it is not.

    `wanted` is what it was `allotted`; the others are what it has had, for how many seconds, and the bytes it has.
    """
    if 0 < wanted <= requests:
        return f"has had {requests} requests"
    if 0.0 < limits.age <= age:
        return f"is {age:.0f} s old"
    if 0 < limits.memory < memory:
        return f"has {memory >> 20} MB of memory"
    return ""
