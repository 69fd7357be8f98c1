"""What a site or route does with a request before it is let in: set, rewrite, return, if (nginx's rewrite module).

Rules: the semantics are those of ngx_http_rewrite_module. A script is a step; it is flat tuples of operations, made at
load. What it changes is the exchange's Course, never the request line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from proxy.course import Course
from proxy.exchange import Exchange, Route
from proxy.http.escape import escaped_args, unescaped_place
from proxy.http.headers import unbroken
from proxy.http.message import quoted
from proxy.policy.pattern import Pattern, remember
from proxy.policy.rates import rate
from proxy.policy.template import Template
from proxy.verdict import AGAIN, Reply, Verdict


class Signal:
    """How an operation ends its script."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


STOP: Final = Signal("stop")  # `break`: no more operations of this script
LAST: Final = Signal("last")  # the same, and a route is found for the new URI
Outcome = Signal | Reply | None
Condition = Callable[[Exchange, Course], bool]


class Operation(Protocol):
    """One of a script: None goes on with the next."""

    def __call__(self, exchange: Exchange, course: Course) -> Outcome: ...


def course_of(exchange: Exchange) -> Course:
    """The exchange's course, made now if it has none."""
    course = exchange.course
    if course is None:
        exchange.course = course = Course(exchange.line.path, exchange.line.query)
    return course


def run(operations: Sequence[Operation], exchange: Exchange, course: Course) -> Outcome:
    """Do one operation after another until one ends the script."""
    for operation in operations:
        outcome = operation(exchange, course)
        if outcome is not None:
            return outcome
    return None


class Script:
    """A step. `find` gives the route of the exchange's URI as it is then; None for a site's own script, behind which
    a route is found anyway."""

    __slots__ = ("_find", "_operations")

    def __init__(self, operations: Sequence[Operation], find: Callable[[Exchange], Route] | None) -> None:
        self._operations = tuple(operations)
        self._find = find

    def __call__(self, exchange: Exchange) -> Verdict:
        """Do what it says; AGAIN when that leads to another route."""
        course = course_of(exchange)
        course.moved, course.route = False, None
        outcome = run(self._operations, exchange, course)
        route = cast("Route | None", course.route)  # a course lies below, and knows no routes
        if isinstance(outcome, Reply):
            if route is not None:  # what an `if` says of answers holds for this one
                exchange.route = route
            return outcome
        if self._find is None:
            return None
        if course.moved and course.changed:
            course.moved = False
            course.left -= 1
            if course.left < 0:
                return Reply(500)  # a rewrite that leads back to itself
            return turned(exchange, self._find(exchange))
        return None if route is None else turned(exchange, route)


def turned(exchange: Exchange, route: Route) -> Verdict:
    """Have the exchange begin with the steps of another route."""
    exchange.route = route
    exchange.pending = iter(route.steps)
    return AGAIN


class Set:
    """`set`: a variable gets a value."""

    __slots__ = ("_name", "_value")

    def __init__(self, name: str, value: Template) -> None:
        self._name = name
        self._value = value

    def __call__(self, exchange: Exchange, course: Course) -> Outcome:
        value = self._value(exchange)
        if self._name == "args":
            course.args, course.changed = value, True
        elif self._name == "limit_rate" and rate(value) is None:  # what was said before it holds, as in nginx
            course.note("error", f'invalid size "{quoted(value).decode("ascii")}"')
        else:
            course.values[self._name] = value
        return None


class Stop:
    """`break`."""

    __slots__ = ()

    def __call__(self, exchange: Exchange, course: Course) -> Outcome:
        course.moved = False
        course.stayed = course.changed
        return STOP


class If:
    """`if`: operations under a condition, and the route with the settings that hold under it."""

    __slots__ = ("_condition", "_operations", "_route")

    def __init__(
        self, condition: Condition, operations: Sequence[Operation], route: Callable[[], Route] | None
    ) -> None:
        self._condition = condition
        self._operations = tuple(operations)
        self._route = route  # asked late: routes know each other

    def __call__(self, exchange: Exchange, course: Course) -> Outcome:
        if not self._condition(exchange, course):
            return None
        if self._route is not None:
            course.route = self._route()
        return run(self._operations, exchange, course)


class Return:
    """`return`: an answer with a status, and a text or, for a redirect, an address."""

    __slots__ = ("_content_type", "_status", "_text")

    def __init__(self, status: int, text: Template | None, content_type: Callable[[Exchange], bytes]) -> None:
        self._status = status
        self._text = text
        self._content_type = content_type

    def __call__(self, exchange: Exchange, course: Course) -> Outcome:
        if self._text is None:
            return Reply(self._status, b"" if self._status < 300 else None, content_type=self._content_type(exchange))
        exchange.status = self._status  # which the text may speak of
        text = self._text(exchange)
        if self._status in (301, 302, 303, 307, 308):
            return Reply(self._status, fields=b"Location: %b\r\n" % unbroken(text))
        return Reply(self._status, text, content_type=self._content_type(exchange))


class Rewrite:
    """`rewrite`: a path that matches is replaced; `then` is last, break, redirect, permanent or "" (go on).

    The query of before is added to the new one unless the replacement ends in "?".
    """

    __slots__ = ("_add", "_args", "_pattern", "_path", "_then")

    def __init__(self, pattern: Pattern, path: Template, args: Template | None, add: bool, then: str) -> None:
        self._pattern = pattern
        self._path = path
        self._args = args
        self._add = add
        self._then = then

    def __call__(self, exchange: Exchange, course: Course) -> Outcome:
        match = self._pattern.search(course.uri)
        if match is None:
            return None
        remember(course, match)
        redirect = self._then in ("redirect", "permanent")
        path = self._escaped(course, self._path, exchange) if redirect else self._path(exchange)
        args = b"" if self._args is None else self._escaped(course, self._args, exchange)
        if self._add and course.args:
            args = b"%b&%b" % (args, course.args) if args else course.args
        if redirect:
            place = b"%b%b%b" % (unescaped_place(path), b"?" if args else b"", args)
            return Reply(301 if self._then == "permanent" else 302, fields=b"Location: %b\r\n" % unbroken(place))
        return self._rewritten(course, path, args)

    def _rewritten(self, course: Course, path: bytes, args: bytes) -> Outcome:
        if not path:
            return Reply(500)  # as nginx: the rewritten URI has a zero length
        course.uri = path
        course.args = args
        course.changed = course.internal = True  # no longer what the client asked for itself, as in nginx
        course.stayed = self._then == "break"
        course.moved = not course.stayed
        if self._then == "last":
            return LAST
        return STOP if self._then == "break" else None

    @staticmethod
    def _escaped(course: Course, template: Template, exchange: Exchange) -> bytes:
        """The value with captures encoded, if they were taken from a path that was (nginx: quoted or with a plus)."""
        asked = exchange.line.origin.partition(b"?")[0]
        if b"%" not in asked and b"+" not in asked:
            return template(exchange)
        plain = course.captures
        course.captures = tuple([None if one is None else escaped_args(one) for one in plain])
        value = template(exchange)
        course.captures = plain
        return value


def sent_to(course: Course, path: bytes, args: bytes) -> None:
    """Lead the course to another URI of the same site (ngx_http_internal_redirect). The path is taken as it is: whoever
    has it encoded decodes it, once, and looks then whether it leads upwards."""
    course.uri = path
    course.args = args
    course.changed = course.internal = True
    course.stayed = False
