"""The records of journals: what a worker writes down of an exchange, field by field.

Rules: a record is marshalled as a plain tuple of plain values and taken apart by these names again; both ends are one
program, so the order of the fields is all the format there is. Times of the wall are seconds since 1970; those of parts
of an exchange are seconds behind its start, -1.0 for what did not happen.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from proxy.policy.balance.explained import Candidate as Candidate

LONGEST: Final = 512  # bytes of a target, host or key that are kept
FEW: Final = 4  # candidates of a pick, when a record would be too large with all
PICKS: Final = 6  # of an exchange


class Pick(NamedTuple):
    """A choice: when, by which strategy, who was chosen ("": nobody), why, and those who were there (`Candidate`)."""

    after: float
    strategy: str
    chosen: str
    why: str
    candidates: tuple[Any, ...]
    left_out: int


class Attempt(NamedTuple):
    """An attempt at a backend: when it began, seconds to connect, to the head, to its end; the status it answered."""

    backend: str
    after: float
    connect: float
    header: float
    response: float
    status: int
    fault: str


class Record(NamedTuple):
    """An exchange that is over."""

    request_id: bytes
    finished: float
    seconds: float
    method: bytes
    target: bytes
    host: bytes
    client: bytes
    site: str
    route: bytes
    protocol: str
    status: int
    fault: str
    reason: str
    bytes_in: int
    bytes_out: int
    queued: float
    limits: str
    limit: str
    upstream: str
    attempts: tuple[Any, ...]
    picks: tuple[Any, ...]
    left_out: int  # picks that are not here


class Going(NamedTuple):
    """An exchange that goes on."""

    request_id: bytes
    started: float
    method: bytes
    target: bytes
    host: bytes
    client: bytes
    site: str
    state: str
    upstream: str
    backend: str
    attempts: int
    bytes_out: int
    protocol: str


class Offence(NamedTuple):
    """A key that a limit rejects: how often at most, by how much that may be too high, and when last."""

    key: bytes
    times: int
    excess: int
    last: float
