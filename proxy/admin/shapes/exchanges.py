"""The shapes of exchanges: those that go on, those that are over, and why they went as they did."""

from __future__ import annotations

from typing import Literal

from proxy.admin.shapes.base import Shape


class Live(Shape):
    """An exchange that goes on now."""

    worker: int
    request_id: str
    method: str
    target: str
    host: str
    client: str
    site: str
    started: float
    seconds: float
    state: Literal["reading", "waiting", "queued", "at backend", "answering", "open"]
    upstream: str | None
    backend: str | None
    attempts: int
    bytes_out: int
    protocol: str


class LiveExchanges(Shape):
    """Exchanges that go on; `complete` when every worker has told all of its own."""

    exchanges: list[Live]
    complete: bool


class Brief(Shape):
    """An exchange that is over, in a line."""

    request_id: str
    at: float
    worker: int
    method: str
    target: str
    host: str
    client: str
    site: str
    route: str
    status: int
    seconds: float
    upstream: str | None
    backend: str | None
    attempts: int
    fault: str | None
    reason: str | None
    explained: bool


class Briefs(Shape):
    """Exchanges; `on` says whether such are kept at all, `kept` how many there are."""

    on: bool
    kept: int
    exchanges: list[Brief]


class Errors(Shape):
    """Exchanges that failed, the newest first."""

    errors: list[Brief]


class Candidate(Shape):
    """A backend as it was when one was picked; `load` is what the strategy compares, if it compares."""

    address: str
    state: str
    why: str
    in_flight: int
    max_conns: int
    weight: int
    fails: int
    load: float | None
    tried: bool
    chosen: bool


class Pick(Shape):
    """One choice of a backend; `after` in seconds behind the request's start; `left_out` candidates are not shown."""

    after: float
    strategy: str
    chosen: str | None
    why: str
    candidates: list[Candidate]
    left_out: int


class Attempt(Shape):
    """One attempt at a backend; times in seconds behind the request's start."""

    backend: str
    after: float | None
    connected: float | None
    answered: float | None
    seconds: float | None
    status: int | None
    fault: str | None


class Moment(Shape):
    """Something that happened, in seconds behind the request's start."""

    after: float
    what: str


class Waited(Shape):
    """How long it waited for a backend that was free."""

    seconds: float


class Explanation(Brief):
    """An exchange that is over, with all that led to its answer."""

    protocol: str
    started: float
    bytes_in: int
    bytes_out: int
    timeline: list[Moment]
    queue: Waited | None
    limits: str
    limit: str | None
    picks: list[Pick]
    tries: list[Attempt]
    sentence: str
