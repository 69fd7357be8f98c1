"""One request and its response: every fact known about them, and the interfaces of those who handle them.

Rules: the Exchange is the only thing that travels through the house. It is made by a Downstream, carried by the engine,
and ends in `engine.finish` exactly once. Times are the clock's monotonic seconds; 0.0 means "not yet".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.faults import Fault
    from proxy.http.message import RequestFields, RequestLine, ResponseHead
    from proxy.http.response import HeaderEdits
    from proxy.timeouts import Timeouts
    from proxy.verdict import Reply, Verdict


class Client:
    """Who asks: the peer of a connection, or the client that a trusted proxy named.

    `address` is text ("unix:" for a unix socket), `packed` its 4 or 16 bytes (empty for unix), `identity` the rendered
    X-Real-IP, X-Forwarded-For and X-Forwarded-Proto lines that every request of this client carries to a backend, and
    behind them the beginning of the X-Request-ID line; `host_line` is X-Forwarded-Host if a trusted proxy sent one.
    """

    __slots__ = ("address", "host_line", "identity", "packed", "scheme", "trusted")

    def __init__(
        self,
        address: bytes,
        packed: bytes,
        scheme: bytes,
        identity: bytes,
        trusted: bool = False,
        host_line: bytes = b"",
    ) -> None:
        self.address = address
        self.packed = packed
        self.scheme = scheme
        self.identity = identity
        self.trusted = trusted
        self.host_line = host_line


class Downstream(Protocol):
    """The client's side of an exchange: an HTTP/1 connection, or one stream of HTTP/2 or 3."""

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """Send a final response head and the first part of the body, which may be all of it."""

    def interim(self, exchange: Exchange, head: ResponseHead) -> None:
        """Send a 1xx response."""

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """Send more of the body; `end` completes the response."""

    def reply(self, exchange: Exchange, reply: Reply) -> None:
        """Send an answer of our own, whole."""

    def abort(self) -> None:
        """Break the response off so that the client sees it is not whole."""

    def hold(self) -> None:
        """Stop reading the request body: the backend does not keep up."""

    def release(self) -> None:
        """Read on."""

    def behind(self) -> bool:
        """Whether the client has not taken all of an answer that is whole: then `finish` is called when it has."""

    def accept(self, whole: bool = False) -> None:
        """A backend takes the request now: answer 100 (Continue) if the client waits for it, and read the body; with
        `whole`, take all of the body before a backend gets any, and resume the exchange then."""

    def upgrade(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
        """Send the 101 and become a tunnel to the exchange's link; `rest` are bytes the backend sent behind it."""

    def done(self) -> None:
        """The exchange has finished; the next request may begin."""


class Link(Protocol):
    """The backend's side of an exchange: one pooled connection."""

    def body(self, data: bytes, end: bool) -> None:
        """Send more of the request body; `end` completes the request."""

    def hold(self) -> None:
        """Stop reading the response: the client does not keep up."""

    def release(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """The exchange is over for this link: close the connection."""


class Store(Protocol):
    """A request body that is whole, in memory or a file; it can be read again for another attempt."""

    size: int

    def rewind(self) -> None:
        """Read from the beginning again."""

    def take(self, most: int) -> bytes:
        """The next bytes, at most so many; b"" at the end."""

    def close(self) -> None:
        """Give all back."""


class Upstream(Protocol):
    """A group of backends, as the engine sees it."""

    def has_another(self, exchange: Exchange) -> bool:
        """Whether another attempt would find a backend."""

    def affords(self, exchange: Exchange) -> bool:
        """Take one retry from the budget, if there is one left."""

    def send_again(self, exchange: Exchange, pause: float) -> None:
        """Begin another attempt, now or after a pause in seconds."""


class Queue(Protocol):
    """Where exchanges wait for a backend that is free."""

    def leave(self, exchange: Exchange) -> None:
        """The client has gone."""


class Backend(Protocol):
    """One address that can answer, as the engine sees it: taken and settled exactly once per attempt."""

    address: str
    label: bytes
    trouble: str

    @property
    def upstream(self) -> Upstream: ...

    def settle(self, now: float, failed: bool, counts: bool, ticket: int = 0, cause: str | int = "") -> None:
        """An attempt has ended; `counts` tells whether passive health hears of it, `ticket` is what the breaker gave
        for it, and `cause` what went wrong, a kind of fault, or the status of the answer."""


class Destination(Protocol):
    """Who answers a route."""

    def send(self, exchange: Exchange) -> None:
        """Have the exchange answered, now or later; `engine` hears of the outcome."""


class Step(Protocol):
    """What a route does with an exchange before its destination gets it."""

    def __call__(self, exchange: Exchange) -> Verdict: ...


class Observer(Protocol):
    """What is told of every finished exchange."""

    def __call__(self, exchange: Exchange) -> None: ...


class Retry(Protocol):
    """What is tried once more on a route (`policy.retry`)."""

    @property
    def attempts(self) -> int: ...

    @property
    def causes(self) -> frozenset[str]: ...

    @property
    def statuses(self) -> frozenset[int]: ...

    def repeatable(self, exchange: Exchange, unsent: bool = False) -> bool:
        """Whether another attempt can neither repeat an effect nor lack a byte."""

    def pause(self, exchange: Exchange) -> float:
        """Seconds to wait before it, or -1.0 when there is to be none."""

    def asked(self, exchange: Exchange, head: ResponseHead) -> float:
        """The same behind an answer that may say Retry-After."""


class Route(Protocol):
    """What a path means, as the engine sees it: settled at load, shared by all its exchanges."""

    @property
    def steps(self) -> tuple[Step, ...]: ...

    @property
    def destination(self) -> Destination: ...

    @property
    def observers(self) -> tuple[Observer, ...]: ...

    @property
    def site(self) -> str: ...

    @property
    def timeouts(self) -> Timeouts: ...

    @property
    def max_body(self) -> int: ...

    @property
    def edits(self) -> HeaderEdits: ...

    @property
    def request_edits(self) -> HeaderEdits: ...

    @property
    def trailers(self) -> bool: ...

    @property
    def retry(self) -> Retry: ...

    @property
    def response_buffering(self) -> bool: ...


class Exchange:
    """One request and its response.

    Times: `started` (first byte of the request read), `attempted` (the last attempt began), `connected` (it has its
    link), `answered` (response head read), `ended` (the backend is done), `finished`. Sizes in bytes of bodies as
    forwarded. `tried` are the backends of all attempts, in order.
    """

    __slots__ = (
        "answered",
        "attempted",
        "backend",
        "body",
        "body_in",
        "body_out",
        "client",
        "clock",
        "connected",
        "downstream",
        "ended",
        "extra_fields",
        "fault",
        "fields",
        "finished",
        "fresh",
        "holds",
        "limit_status",
        "line",
        "link",
        "pending",
        "queue",
        "queued",
        "replied",
        "request_id",
        "route",
        "started",
        "status",
        "store",
        "streamed",
        "ticket",
        "trailers",
        "tried",
        "upload_done",
    )

    def __init__(
        self,
        downstream: Downstream,
        client: Client,
        line: RequestLine,
        fields: RequestFields,
        clock: Clock,
        route: Route,
    ) -> None:
        self.downstream = downstream
        self.client = client
        self.line = line
        self.fields = fields
        self.clock = clock
        self.route = route
        self.started: float = clock.now
        self.attempted: float = 0.0
        self.connected: float = 0.0
        self.answered: float = 0.0
        self.ended: float = 0.0
        self.finished: float = 0.0
        self.status: int = 0
        self.fault: Fault | None = None
        self.link: Link | None = None
        self.backend: Backend | None = None
        self.tried: tuple[Backend, ...] = ()
        self.body: bytes = b""  # read, not sent, or kept so that it can be sent once more
        self.store: Store | None = None  # what of the body is not in `body`: all of it, when it was too large for that
        self.body_in: int = 0
        self.body_out: int = 0
        self.trailers: bytes = b""
        self.upload_done: bool = True
        self.streamed: bool = False  # parts of the body went to a backend and are not kept: no second attempt
        self.fresh: bool = False  # the next attempt must not use a connection that has been idle
        self.ticket: int = 0  # what the backend's breaker gave for the attempt
        self.queue: Queue | None = None  # where it waits for a backend
        self.queued: float = 0.0  # seconds it has waited there
        self.replied: bool = False  # the client has the head of an answer
        self.extra_fields: bytes = b""  # rendered lines that a step adds to the response
        self.pending: Iterator[Step] = iter(route.steps)
        self.request_id: bytes = b""
        self.holds: tuple[bytes, ...] = ()  # keys that it is counted under while it is in flight
        self.limit_status: str = ""  # passed, delayed or rejected (and dry runs), for the log
