"""Requests that we make ourselves for another one: what an auth_request asks, and the copies that a mirror gets.

Rules: an inner exchange goes the way of every exchange, from its route's first step to `engine.finish`; its Downstream
keeps the answer's head and drops the body. It has the client, the fields and the line of the outer one, so that
$request_uri is the client's, and makes no requests itself. Who silences its route decides which observers hear of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from proxy import engine
from proxy.course import Course
from proxy.exchange import Exchange, Route
from proxy.http.escape import escaped_path
from proxy.http.memo import Memo
from proxy.http.message import RequestFields, RequestLine, ResponseHead
from proxy.http.render import answer_of
from proxy.http.request import judge_request
from proxy.parties import Connection
from proxy.verdict import Reply, Verdict

_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection", b"te"))

Then = Callable[[Exchange], None]


class Ways:
    """How a site's inner requests find their way: `find` a route by path, and `silenced` gives that route with the
    observers that are to hear of them."""

    __slots__ = ("find", "silenced")

    def __init__(self, find: Callable[[bytes], Route], silenced: Callable[[Route], Route]) -> None:
        self.find = find
        self.silenced = silenced


class Sink:
    """The Downstream of an inner exchange: keeps the head, and tells `then` when the exchange has finished."""

    __slots__ = ("_exchange", "_outer", "_then", "_ways")

    def __init__(self, outer: Exchange, ways: Ways, then: Then) -> None:
        self._outer = outer
        self._ways = ways
        self._then = then
        self._exchange: Exchange | None = None

    def begin(self, exchange: Exchange) -> None:
        """This is the exchange; it may be over after this."""
        self._exchange = exchange
        engine.advance(exchange)

    @property
    def connection(self) -> Connection:
        """That of the client."""
        return self._outer.downstream.connection

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """Keep the head, for those who ask what was answered."""
        exchange.replied = True
        exchange.source = exchange.source or head
        exchange.answer = exchange.answer or head
        exchange.body_out += len(body)
        self._silence()

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """Dropped."""
        if self._exchange is not None:
            self._exchange.body_out += len(data)

    def send_file(self, descriptor: int, begin: int, size: int) -> int:
        """Dropped, unread."""
        if self._exchange is not None:
            self._exchange.body_out += size
        return size

    def reply(self, exchange: Exchange, reply: Reply) -> None:
        """An answer of our own: its head is kept."""
        exchange.replied = True
        exchange.answer = answer_of(reply, False)[0].sealed()
        self._silence()

    def interim(self, exchange: Exchange, head: ResponseHead) -> None:
        """Dropped."""

    def upgrade(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
        """Nobody has asked for it."""
        self.abort()

    def abort(self) -> None:
        """Nothing to break off."""
        self._silence()

    def last(self) -> None:
        """It has no connection of its own."""
        self._silence()

    def part(self) -> None:
        """It has none."""

    def hold(self) -> None:
        """Its body is whole."""

    def release(self) -> None:
        """Its body is whole."""

    def accept(self, whole: bool = False) -> None:
        """Its body is whole."""

    def behind(self) -> bool:
        """It takes all at once."""
        self._silence()
        return False

    def done(self) -> None:
        """Finished."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._then(exchange)

    def _silence(self) -> None:
        """The end is near, and observers come then: only those of inner requests are to be there."""
        if self._exchange is not None:
            self._exchange.route = self._ways.silenced(self._exchange.route)


def inner(outer: Exchange, ways: Ways, path: bytes, args: bytes, method: bytes, body: bool, then: Then) -> None:
    """Make a request for another one, with its body or without; `then` gets it when it has finished, or at once."""
    line, fields = outer.line, outer.fields
    if not body or fields.upgrade:  # nobody could take part in another protocol here
        fields = bodiless(fields)
    own = RequestLine(method, line.target, line.minor, line.origin, path, args)
    target = escaped_path(path)
    own.head = b"%b %b HTTP/1.1\r\n" % (method, b"%b?%b" % (target, args) if args else target)
    own.size = line.size
    course = Course(path, args)
    course.changed = course.internal = course.inner = True
    course.method = method
    sink = Sink(outer, ways, then)
    exchange = Exchange(sink, outer.client, own, fields, outer.clock, ways.find(path))
    exchange.course = course
    exchange.request_id = outer.request_id
    exchange.limit_status = outer.limit_status  # limits are charged once, for the outer one
    if outer.holds:
        course.values["limit_conn_status"] = b"PASSED"
    if outer.course is not None:
        course.values.update(outer.course.values)
        course.trace = outer.course.trace
    if body:
        exchange.body, exchange.body_in, exchange.trailers = outer.body, outer.body_in, outer.trailers
        exchange.store = outer.store.twin() if outer.store is not None else None
    sink.begin(exchange)


def bodiless(fields: RequestFields) -> RequestFields:
    """The same fields for a request without a body; remembered, as heads are."""
    found = _bodiless.get(fields)
    if found is None:
        raw = [field for field in fields.fields if field[0] not in _FRAMING]
        found = judge_request(raw)
        _bodiless.remember(fields, found, fields.size)
    return found


_bodiless: Memo[RequestFields, RequestFields] = Memo()


class Mirror:
    """A step: copies of the request go to other paths, and nobody waits for what is answered there."""

    __slots__ = ("_body", "_paths", "_ways")

    def __init__(self, paths: Sequence[bytes], body: bool, ways: Ways) -> None:
        self._paths = tuple(paths)
        self._body = body
        self._ways = ways

    def __call__(self, exchange: Exchange) -> Verdict:
        """Send them."""
        course = exchange.course
        if course is not None and course.inner:
            return None
        body = self._body and exchange.upload_done
        args = exchange.line.query if course is None else course.args
        for path in self._paths:
            inner(exchange, self._ways, path, args, exchange.line.method, body, _forgotten)
        return None


def _forgotten(exchange: Exchange) -> None:
    """What became of a copy is nobody's affair."""
