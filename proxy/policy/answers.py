"""What a route does with answers before its client gets them: error pages in their place, and filters over them.

Rules: a route without any has no Answers, and its answers go straight across. Error pages have the semantics of nginx's
`error_page`; filters run in the order in which they stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from proxy.exchange import Exchange, Filter, Route
from proxy.http.headers import unbroken
from proxy.http.message import ResponseHead
from proxy.policy.accel import Accel
from proxy.policy.script import course_of, sent_to
from proxy.policy.template import Template
from proxy.verdict import Reply

KEEP: Final = -1  # the answer says the status of the error
OWN: Final = 0  # the answer says its own status (nginx: "=" alone)


class ErrorPage:
    """Where an error's answer comes from: a URI of the site, a named route, or another site altogether.

    `status` is what the client reads: KEEP, OWN or a number.
    """

    __slots__ = ("_named", "_status", "_target")

    def __init__(self, target: Template, status: int = KEEP, named: Callable[[], Route | Reply] | None = None) -> None:
        self._target = target
        self._status = status
        self._named = named  # asked late: routes know each other

    def leads(self, exchange: Exchange, status: int, find: Callable[[Exchange], Route]) -> Route | Reply:
        """The route that makes the answer, or a redirect."""
        place = self._target(exchange)
        said = status if self._status == KEEP else self._status
        if self._named is None and not place.startswith(b"/"):
            code = said if said in (301, 302, 303, 307, 308) else 302
            return Reply(code, fields=b"Location: %b\r\n" % unbroken(place))
        course = course_of(exchange)
        course.status = said
        course.failed = True
        if self._named is not None:
            course.internal = True
            return self._named()
        path, _, args = place.partition(b"?")  # as it is: ngx_http_split_args decodes nothing
        sent_to(course, path, args)
        if exchange.line.method != b"HEAD":
            course.method = b"GET"
        return find(exchange)


class Answers:
    """`pages` by status, whether those of backends are replaced too (`intercept`), `recursive`, whether an error on the
    way to a page may have a page of its own; `html` says what an error without a page looks like; behind `ends` the
    connection ends."""

    __slots__ = ("_accel", "_find", "_pages", "_recursive", "ends", "filters", "html", "intercept", "own")

    def __init__(
        self,
        filters: Sequence[Filter] = (),
        pages: Mapping[int, ErrorPage] | None = None,
        find: Callable[[Exchange], Route] | None = None,
        *,
        intercept: bool = False,
        recursive: bool = False,
        html: bool = False,
        accel: Accel | None = None,
        own: Sequence[Filter] = (),
        ends: frozenset[int] = frozenset(),
    ) -> None:
        self.ends = ends
        self.own = tuple(own)  # over heads of answers of ours alone
        self.filters = tuple(filters)
        self._pages = dict(pages or {})
        self._find = find
        self.intercept = intercept
        self._recursive = recursive
        self.html = html
        self._accel = accel  # follows backends that lead elsewhere

    def has(self, status: int) -> bool:
        """Whether there is a page for a status."""
        return status in self._pages

    def instead(self, exchange: Exchange, status: int) -> Route | Reply | None:
        """Who answers in place of an answer of ours with this status; None: it stands."""
        page = self._pages.get(status)
        course = exchange.course
        if page is None or self._find is None or (course is not None and course.failed and not self._recursive):
            return None
        if course is not None:
            course.left -= 1
            if course.left < 0:
                return None
        return page.leads(exchange, status, self._find)

    def replaced(self, exchange: Exchange, head: ResponseHead) -> Route | Reply | None:
        """What takes the place of a backend's answer: where it leads, an error without its page; None: it stands."""
        course = exchange.course
        other = self._accel(exchange, head) if self._accel is not None else None
        if other is not None:
            return other
        if not self.intercept or head.status < 300 or head.status not in self._pages:
            return None
        if course is not None and course.failed and not self._recursive:
            return None
        asked = [b"WWW-Authenticate: %b\r\n" % value for name, value in head.fields if name == b"www-authenticate"]
        return Reply(head.status, fields=b"".join(asked))  # which stay, whatever page takes its place
