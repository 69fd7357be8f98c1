"""The shapes of the host: what it consists of, how it stands, what can be asked of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from proxy.admin.shapes.base import Shape

STATES = Literal["up", "backup", "draining", "disabled", "down", "probing"]


class Trouble(Shape):
    """What went wrong, in a sentence for people."""

    status: int
    reason: str


class Refusal(Shape):
    """The body of every answer of 400 and above."""

    error: Trouble


# --- asked with -----------------------------------------------------------------------------------------------------


class Nothing(Shape):
    """There is nothing to say."""


class Weight(Shape):
    """A weight from now on; None: the configured one again."""

    weight: int | None = Field(ge=1, le=1000)


class Login(Shape):
    """The token that the browser's session is bought with."""

    token: str


class Session(Shape):
    """Whether a token is required here, and what whoever asks may do."""

    required: bool
    rights: Literal["none", "read", "write"]
    version: str


# --- the host -------------------------------------------------------------------------------------------------------


class Reloaded(Shape):
    """How the last reload ended, and when."""

    good: bool
    at: float


class Listener(Shape):
    """An address that is accepted on."""

    name: str
    address: str
    tls: bool
    http2: bool
    redirect: str | None


class Explaining(Shape):
    """How many exchanges each worker explains (0: none), and how many failed ones it keeps."""

    keep: int
    failed: int


class State(Shape):
    """The host in a few numbers."""

    version: str
    at: float
    started: float
    uptime: float
    pid: int
    reload: Reloaded
    restarts: int
    workers: int
    connections: int
    listeners: list[Listener]
    explain: Explaining
    configuration: str | None


class Worker(Shape):
    """A process that serves."""

    slot: int
    pid: int
    started: float
    uptime: float
    connections: int
    accepted: int


class Workers(Shape):
    """All workers."""

    workers: list[Worker]


class Latency(Shape):
    """How long requests took, in seconds, estimated from a histogram; None when there were none."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    mean: float | None = None


class Sample(Shape):
    """One second of traffic; rates are per second."""

    at: float
    requests: float
    classes: dict[str, float]
    bytes_in: float
    bytes_out: float
    latency: Latency
    connections: int
    in_flight: int
    waiting: int
    rejected: float
    faults: float


class History(Shape):
    """Samples, the oldest first."""

    samples: list[Sample]


class Route(Shape):
    """What a path means: `to` says in words who answers."""

    path: str
    match: str
    to: str
    limits: list[str]


class Site(Shape):
    """What a host name means, and its traffic; rate and latency are of the last ten seconds."""

    name: str
    names: list[str]
    listen: list[str]
    requests: dict[str, int]
    bytes_in: int
    bytes_out: int
    rate: float
    latency: Latency
    routes: list[Route] = Field(default=[])


class Sites(Shape):
    """All sites."""

    sites: list[Site]


class Backend(Shape):
    """One backend, over all workers. `share` is its part of its upstream's attempts in the last ten seconds."""

    address: str
    state: STATES
    why: str
    weight: int
    configured_weight: int
    drained: bool
    disabled: bool
    backup: bool
    in_flight: int
    max_conns: int
    load: float | None
    requests: int
    failures: int
    rate: float
    share: float | None
    latency: Latency
    breaker: Literal["closed", "open", "probing"]
    breaker_opened: int


class Upstream(Shape):
    """A group of backends."""

    name: str
    balance: str
    waiting: int
    queued: int
    retries: int
    backends: list[Backend]


class Upstreams(Shape):
    """All upstreams."""

    upstreams: list[Upstream]


class LimitedKey(Shape):
    """Somebody who is limited. The count lies between `at_least` and `at_most` (space-saving)."""

    key: str
    rejected: int
    at_least: int
    at_most: int
    last: float


class Limit(Shape):
    """A limit, what it decided, and whom it rejects most."""

    name: str
    key: str
    rate: float | None
    in_flight: int | None
    burst: int
    passed: int
    delayed: int
    rejected: int
    keys: list[LimitedKey]


class Limits(Shape):
    """All limits."""

    limits: list[Limit]


class Certificate(Shape):
    """A certificate that is shown; `ends` and `days` are None while it is still to come."""

    site: str
    certificate: str
    ends: float | None
    days: float | None
    ordered: bool


class Certificates(Shape):
    """All certificates."""

    certificates: list[Certificate]


class Value(Shape):
    """A key of the configuration: its value, and where it was written; not `said`: a default."""

    key: str
    value: Any
    file: str | None
    line: int | None
    said: bool
    secret: bool


class Configuration(Shape):
    """The configuration in force."""

    file: str | None
    values: list[Value]


class AppWorker(Shape):
    """A process of an application, in its seat, which has a socket. Times are seconds since 1970, `age` is in seconds,
    `memory` in bytes; `restarts` counts deaths in that seat, `recycled` replacements for requests, age or memory."""

    name: str
    seat: int
    address: str
    pid: int
    generation: int
    state: str
    since: float
    started: float
    age: float
    requests: int
    in_flight: int
    memory: int
    restarts: int
    recycled: int


class App(Shape):
    """An application that is supervised: what is imported, by which server, how many workers it is to have, and how
    often they were all started anew, or not because the new code did not come up."""

    name: str
    app: str
    server: str
    wanted: int
    rolls: int
    rollbacks: int
    rolled: float | None
    workers: list[AppWorker]


class Apps(Shape):
    """All applications that are supervised."""

    apps: list[App]


class Changed(Shape):
    """What was changed, how long that holds, and how the backend stands now."""

    upstream: str
    backend: str
    sentence: str
    holds: str
    now: Backend


class Asked(Shape):
    """Somebody else does it: what was asked for."""

    asked: bool
    sentence: str
