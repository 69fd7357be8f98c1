"""One request and its response: every fact known about them, and the interfaces of those who handle them.

Rules: the Exchange is the only thing that travels through the house. It is made by a Downstream, carried by the engine,
and ends in `engine.finish` exactly once. Times are the clock's monotonic seconds; 0.0 means "not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from proxy.parties import Client, Connection, Link, Outbox, Store

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.course import Course
    from proxy.faults import Fault
    from proxy.http.answer import Answer
    from proxy.http.message import RequestFields, RequestLine, ResponseHead
    from proxy.http.outgoing import Outgoing, Place
    from proxy.http.response import HeaderEdits
    from proxy.timeouts import Timeouts
    from proxy.verdict import Reply, Verdict


class Downstream(Protocol):
    """The client's side of an exchange: an HTTP/1 connection, or one stream of HTTP/2 or 3."""

    @property
    def connection(self) -> Connection:
        """The connection it came on."""

    def last(self) -> None:
        """The answer that is about to be sent is the last that could be told from the next: nothing is said of streams
        beside it."""

    def part(self) -> None:
        """The connection has had enough: it ends with this exchange, and with those that are on their way beside it."""

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """Send a final response head and the first part of the body, which may be all of it."""

    def interim(self, exchange: Exchange, head: ResponseHead) -> None:
        """Send a 1xx response."""

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """Send more of the body; `end` completes the response."""

    def send_file(self, descriptor: int, begin: int, size: int) -> int:
        """Send part of an open file as the next of the body, if that costs less than `body`; how many bytes went."""

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


class Upstream(Protocol):
    """A group of backends, as the engine sees it."""

    def has_another(self, exchange: Exchange, pause: float = 0.0) -> bool:
        """Whether another attempt would find a backend."""

    def affords(self, exchange: Exchange) -> bool:
        """Take one retry from the budget, if there is one left."""

    def awaits(self, exchange: Exchange, backend: Any) -> bool:
        """Whether an attempt that did not reach a backend was none, for the backend comes again at once."""

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

    def answered(self, now: float, ticket: int, status: int) -> int:
        """The answer to an attempt has begun: its breaker hears of that. Gives the ticket for the rest."""


class Destination(Protocol):
    """Who answers a route."""

    def send(self, exchange: Exchange) -> None:
        """Have the exchange answered, now or later; `engine` hears of the outcome."""


class Step(Protocol):
    """What a route does with an exchange before its destination gets it."""

    def __call__(self, exchange: Exchange) -> Verdict: ...


class Observer(Protocol):
    """What is told of every finished exchange."""

    def __call__(self, exchange: Exchange, /) -> None: ...


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

    def pause(self, exchange: Exchange, sent: bool = False) -> float:
        """Seconds to wait before it, or -1.0 when there is to be none."""

    def asked(self, exchange: Exchange, head: ResponseHead) -> float:
        """The same behind an answer that may say Retry-After."""


class Filter(Protocol):
    """What a route does to every answer: changes the head, and may put itself between the answer's body and the
    client by giving back another Downstream than the one `below`, with an attribute `below` (`content.filter`). Bodies
    go through the filters in the order in which those see the head."""

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream: ...


class Answers(Protocol):
    """What a route does with answers (`policy.answers`)."""

    @property
    def filters(self) -> tuple[Filter, ...]: ...

    @property
    def own(self) -> tuple[Filter, ...]:
        """Those over heads of answers of ours alone."""

    @property
    def html(self) -> bool: ...

    @property
    def ends(self) -> frozenset[int]:
        """Statuses of ours behind which the connection ends."""

    def has(self, status: int) -> bool:
        """Whether there is an error page for a status."""

    def instead(self, exchange: Exchange, status: int) -> Route | Reply | None:
        """Who answers in place of an answer of ours with this status."""

    def replaced(self, exchange: Exchange, head: ResponseHead) -> Route | Reply | None:
        """What takes the place of a backend's answer; None: it stands."""


class Folder(Protocol):
    """Where a route's files are (`policy.folder`)."""

    @property
    def real(self) -> Callable[[bytes], bytes | None]: ...

    def base(self, exchange: Exchange) -> bytes | None:
        """The folder."""

    def file(self, exchange: Exchange, uri: bytes) -> bytes | None:
        """The file of a path."""


class Composer(Protocol):
    """Writes requests to backends, where they are not simply those that came (`policy.request`)."""

    def __call__(self, exchange: Exchange, host: bytes) -> Outgoing:
        """What a backend is sent, whose address is `host`."""

    @property
    def links(self) -> Callable[[Exchange], object] | None:
        """How the links are made that carry its requests (`upstream.keyed`); None: as their pool has it."""

    @property
    def least(self) -> int:
        """Bytes of a request's body that its client sends and that are no file yet."""

    def method(self, exchange: Exchange) -> bytes:
        """The method that it is asked with."""

    def upgrades(self, exchange: Exchange, protocol: bytes) -> bool:
        """Whether it may switch to a protocol, in lower case."""

    def whereto(self, exchange: Exchange) -> Place:
        """Where the request goes."""


class Route:
    """What a path means, as the engine sees it: settled at load, shared by all its exchanges (`policy.routing.Route`).

    `site_name` is the first of the host names that lead here, b"" if there is none; `error_logs` take the place of the
    door's, as the configuration has them (`config.log`). A class and no Protocol: what is looked at several times a
    request is a field then, where this is compiled.
    """

    __slots__ = (
        "answers", "composer", "destination", "edits", "error_logs", "folder", "max_body", "observers", "request_edits",
        "response_buffering", "retry", "site", "site_name", "steps", "timeouts", "trailers",
    )  # fmt: skip

    steps: tuple[Step, ...]
    destination: Destination
    observers: tuple[Observer, ...]
    site: str
    site_name: bytes
    timeouts: Timeouts
    max_body: int
    edits: HeaderEdits
    request_edits: HeaderEdits
    trailers: bool
    retry: Retry
    response_buffering: bool
    answers: Answers | None
    composer: Composer | None
    folder: Folder | None
    error_logs: Sequence[Any] | None


class Exchange:
    """One request and its response.

    Times: `started` (first byte of the request read), `attempted` (the last attempt began), `connected` (it has its
    link), `answered` (response head read), `ended` (the backend is done), `finished`. Sizes in bytes of bodies as
    forwarded. `tried` are the backends of all attempts, in order.
    """

    __slots__ = (
        "answer",
        "answered",
        "attempted",
        "backend",
        "body",
        "body_in",
        "body_out",
        "client",
        "clock",
        "connected",
        "course",
        "deadline",
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
        "outbox",
        "outgoing",
        "pending",
        "queue",
        "queued",
        "replied",
        "request_id",
        "route",
        "source",
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
        self.deadline: float = 0.0  # when its answer must have begun; 0.0: there is no bound
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
        self.course: Course | None = None  # where it is led, if its line and route are not all
        self.outbox: Outbox | None = None  # where its request may wait for others that came with it
        self.outgoing: Outgoing | None = None  # what its route composed for the latest attempt
        self.source: ResponseHead | None = None  # the backend's head, where somebody may ask for it
        self.answer: ResponseHead | None = None  # the head that was sent, likewise
        self.limit_status: str = ""  # passed, delayed or rejected (and dry runs), for the log
