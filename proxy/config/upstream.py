"""The tables of upstreams: servers, and what is done when they fail, are ill or are all busy.

Rules: pure. Quantities are seconds and bytes once they are read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from proxy.config import words
from proxy.config.balance import Balance, Sticky
from proxy.config.resolver import Resolver
from proxy.config.table import ShortTable, Table
from proxy.config.tls import BackendTls

Share = Annotated[float, Field(ge=0, le=1)]


class Retry(Table):
    """When an attempt that failed is made once more, at another server as long as there is one."""

    on: tuple[words.RetryCause, ...] = Field(
        default=("connect", "closed"),
        description='"connect", "closed" (before an answer), "timeout", "invalid" (answer), or statuses from 400',
    )
    attempts: words.Count | None = Field(
        default=None,
        description="attempts for one request; 0: every server once; none: the same, but no more than two that had it",
    )
    non_idempotent: words.Flag = Field(default=False, description="repeat POST, PATCH and the like too")
    idempotency_key: words.Flag = Field(default=False, description="repeat what carries an Idempotency-Key header")
    per_try: words.Period | None = Field(default=None, description="seconds for the answer to one attempt to begin")
    deadline: words.Period | None = Field(
        default=None, description="seconds after which no attempt begins, and no answer is waited for"
    )
    within: words.Period | None = Field(
        default=None, description="seconds after which no attempt begins; one that has begun takes its time"
    )
    base: words.Duration = Field(default=0.0, description="seconds of the first pause, which doubles each time")
    cap: words.Duration = Field(default=10.0, description="seconds of a pause at most")
    jitter: Literal["full"] | Share = Field(
        default="full", description='"full": a pause is anything up to its length; or a share, 0.2 for +-20 %'
    )
    budget: Share = Field(default=0.2, description="retries as a share of the requests of the last ten seconds")
    floor: words.Count = Field(default=10, description="retries per second and worker that are always allowed")


class Breaker(Table):
    """When a server is left alone, and how it is tried again."""

    failures: words.Count = Field(default=5, description="failures in a row that open it; 0: do not look at these")
    ratio: Share = Field(default=0.0, description="share of failures within the window that opens it; 0: off")
    window: words.Period = Field(default=10.0, description="seconds that the ratio looks back")
    least: words.Positive = Field(default=20, description="requests within the window before the ratio counts")
    recovery: words.Period = Field(default=30.0, description="seconds it stays open the first time")
    longest: words.Period = Field(default=300.0, description="seconds it stays open at most, after doubling")
    probes: Annotated[int, Field(strict=True, ge=1, le=16)] = Field(
        default=1, description="requests at a time that try it"
    )
    on: tuple[words.RetryCause, ...] = Field(
        default=("connect", "closed", "timeout", "invalid", 502, 503, 504), description="what counts as a failure"
    )


class Fallback(Table):
    """The answer when no server can be picked: a reply, a page, or another upstream."""

    upstream: str | None = Field(default=None, description="name of another upstream")
    status: Annotated[int, Field(strict=True, ge=200, le=599)] = Field(default=503, description="status of the answer")
    body: str = Field(default="", description="body of the answer, sent as UTF-8")
    page: words.Path | None = Field(default=None, description="path of a file that is the body")
    content_type: words.HeaderValue | None = Field(default=None, description="its Content-Type; by the file's name")


class Health(ShortTable):
    """Active checks: a GET of `path`, or a connection alone when there is none."""

    path: words.AskedPath | None = Field(default=None, description="path that is asked for; none: only connect")
    host: words.HeaderValue | None = Field(default=None, description="Host header of the check")
    status: tuple[words.StatusRange, ...] = Field(default=("200-399",), description="statuses that are healthy")
    body: words.Pattern | None = Field(default=None, description="regular expression that the body must contain")
    interval: words.Period = Field(default=5.0, description="seconds between two checks")
    timeout: words.Period = Field(default=2.0, description="seconds for a check")
    rise: words.Positive = Field(default=2, description="good checks in a row that make a server healthy")
    fall: words.Positive = Field(default=3, description="bad checks in a row that make a server ill")
    jitter: Share = Field(default=0.2, description="share of the interval by which checks are spread")
    mandatory: words.Flag = Field(default=False, description="no traffic before the first good check")

    @model_validator(mode="before")
    @classmethod
    def _from_nothing(cls, value: Any) -> Any:
        return {} if value is True else value


class Queue(Table):
    """Where requests wait, first come first served, while every server is at its max_conns."""

    size: words.Count = Field(default=100, description="requests that wait at a time, per worker; 0: none")
    timeout: words.Period = Field(default=5.0, description="seconds a request waits at most")


class Server(ShortTable):
    """One backend of an upstream; a string stands for its address."""

    address: words.ServerAddress = Field(description="host:port, [v6]:port or unix:/path", examples=["127.0.0.1:8001"])
    weight: words.Positive = Field(default=1, description="share of the requests, beside the other servers' weights")
    max_fails: words.Count = Field(default=3, description="failures within fail_timeout that take it out; 0: never")
    fail_timeout: words.Duration = Field(
        default=10.0, description="seconds in which failures count, and of the time out"
    )
    max_conns: words.Count = Field(default=0, description="requests at a time, over all workers; 0: no limit")
    backup: words.Flag = Field(default=False, description="used only when no other server can be")
    down: words.Flag = Field(default=False, description="never used")
    drain: words.Flag = Field(default=False, description="used only by those whom `sticky` binds to it")
    slow_start: words.Duration | None = Field(
        default=None, description="seconds in which its weight grows when it is healthy again; none: the upstream's"
    )
    route: Annotated[str, Field(max_length=32)] = Field(
        default="", description="what `sticky` calls it; none: a digest of its address"
    )
    resolve: words.Flag = Field(
        default=False, description="every address of the name is a server, and they are looked up anew while running"
    )
    service: str = Field(default="", description="look up SRV records of this service; needs resolve")
    name: str = Field(default="", description="what a consistent hash knows it by; none: its address")
    tag: str = Field(default="", description="tells apart servers of one address")

    @property
    def key(self) -> str:
        """What it is known by among the servers of its upstream."""
        return f"{self.address}#{self.tag}" if self.tag else self.address


class Upstream(Table):
    """A named group of backends and how to choose among them."""

    balance: Balance = Field(
        default="round_robin",
        description='how a server is picked; "package.module:factory" is a strategy of one\'s own, made by'
        " factory(backends, clock, rng)",
    )
    balance_from: words.Path | None = Field(
        default=None, description="folder that a strategy of one's own is imported from (default: that of this file)"
    )
    hash: str | None = Field(
        default=None, description='what balance = "hash" hashes; may hold $variables', examples=["$request_uri"]
    )
    consistent: words.Flag = Field(
        default=False, description="hash on a ring (ketama), so that a change of servers moves few keys"
    )
    random_by: Literal["least_conn", "least_time"] = Field(
        default="least_conn", description="which of its two servers random_two prefers"
    )
    least_time: Literal["header", "last_byte"] = Field(
        default="header", description="which time balance = least_time looks at"
    )
    inflight: words.Flag = Field(default=False, description="least_time: count requests that are not answered yet")
    sticky: Sticky | None = Field(default=None, description="what binds a client to a server")
    resolver: Resolver | None = Field(default=None, description="the name servers that `resolve` asks")
    # These two stand before `servers`, whose validation reads them.
    max_fails: words.Count = Field(default=3, description="max_fails of the servers that give none")
    fail_timeout: words.Duration = Field(
        default=10.0, description="fail_timeout, in seconds, of the servers that give none"
    )
    servers: tuple[Server, ...] = Field(description="the backends: addresses or tables", examples=[["127.0.0.1:8001"]])
    slow_start: words.Duration = Field(
        default=0.0,
        description="seconds in which the weight of a server that is healthy again grows; 0: at once. Balances by lot"
        " and by hash go by the whole weight all the time",
    )
    panic: Annotated[int, Field(strict=True, ge=0, le=100)] = Field(
        default=0, description="percent: when fewer of the servers are healthy, health is ignored"
    )
    resolve: words.Period = Field(
        default=30.0, description="seconds that the addresses of a host name are believed when DNS does not say"
    )
    retry: Retry = Field(default=Retry(), description="what is tried once more, and how")
    tls: BackendTls | None = Field(default=None, description="speak TLS with the servers, and how")
    proxy_protocol: Literal["v1", "v2"] | None = Field(
        default=None,
        description="begin connections with a PROXY header of this version, which tells of the client; each is then"
        " used for that client's connection alone",
    )
    unavailable: Literal[502, 503] = Field(
        default=503, description="status of the answer when no server can be picked, and there is no fallback"
    )
    breaker: Breaker | None = Field(default=None, description="a circuit breaker for each server")
    fallback: Fallback | None = Field(default=None, description="the answer when no server can be picked")
    health: Health | None = Field(default=None, description="active checks of the servers")
    queue: Queue = Field(default=Queue(), description="where requests wait when all servers are at max_conns")
    metrics: words.AskedPath | None = Field(
        default=None, description="path of the backends' own metrics, which the admin door shows at /metrics/app"
    )
    bind: str | None = Field(
        default=None, description='own address that connections come from, "address" or "address:port", with $variables'
    )
    bind_transparent: words.Flag = Field(default=False, description="though it may not be ours, such as $remote_addr")
    tcp_keepalive: words.Flag = Field(default=False, description="let the kernel see whether servers are still there")
    keepalive: words.Count = Field(default=512, description="idle connections kept, per server and worker")
    keepalive_timeout: words.Period = Field(default=1.5, description="seconds a connection is kept idle")
    keepalive_requests: words.Count = Field(default=0, description="requests over one connection; 0: no limit")
    keepalive_time: words.Duration = Field(
        default=0.0, description="seconds after which a connection is not kept any more; 0: no limit"
    )
    keepalive_all: words.Count = Field(
        default=0, description="idle connections kept by a worker to all servers together; 0: no limit"
    )

    @field_validator("servers", mode="after")
    @classmethod
    def _inherit(cls, servers: tuple[Server, ...], found: ValidationInfo) -> tuple[Server, ...]:
        """Give the upstream's defaults to the servers that say nothing themselves, and still say nothing where these
        are what they have already."""
        defaults = {key: found.data[key] for key in ("max_fails", "fail_timeout") if key in found.data}
        return tuple(
            server.model_copy(
                update={
                    key: value
                    for key, value in defaults.items()
                    if key not in server.model_fields_set and value != getattr(server, key)
                }
            )
            for server in servers
        )
