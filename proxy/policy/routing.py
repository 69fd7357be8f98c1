"""Which site a host name means, and which route of it a path means.

Rules: names as nginx's `server_name` chooses them (exact, the longest leading wildcard, the longest trailing one, then
expressions in order, then the default site); paths as `locations` has it. What was found is remembered for as many
names and paths as MEMO holds; the memo is emptied when it is full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from proxy.exchange import Answers, Composer, Destination, Exchange, Observer, Step
from proxy.exchange import Route as AnyRoute
from proxy.http.response import NO_EDITS, HeaderEdits
from proxy.http.target import host_name
from proxy.policy.folder import Folder
from proxy.policy.locations import Location, Locations
from proxy.policy.names import Names
from proxy.policy.pattern import Endless, Pattern, pattern, remember
from proxy.policy.retry import Retry
from proxy.policy.script import course_of, turned
from proxy.timeouts import Timeouts
from proxy.verdict import Reply, Verdict

MEMO: Final = 4096
LONGEST: Final = 256  # bytes of a name or path that is remembered
NO_LIMIT: Final = 1 << 62  # bytes
RETRY: Final = Retry()


class Route(AnyRoute):
    """What a path means: steps, one destination, observers, and what was settled for it at load."""

    __slots__ = ("path",)

    def __init__(
        self,
        site: str,
        path: bytes,
        destination: Destination,
        *,
        steps: tuple[Step, ...] = (),
        observers: tuple[Observer, ...] = (),
        timeouts: Timeouts | None = None,
        max_body: int = 10 * 1024 * 1024,
        edits: HeaderEdits = NO_EDITS,
        request_edits: HeaderEdits = NO_EDITS,
        trailers: bool = False,
        retry: Retry = RETRY,
        response_buffering: bool = True,
        answers: Answers | None = None,
        composer: Composer | None = None,
        error_logs: Sequence[Any] | None = None,
        folder: Folder | None = None,
    ) -> None:
        self.site = site
        self.site_name = b""
        self.path = path
        self.destination = destination
        self.steps = steps
        self.observers = observers
        self.timeouts = timeouts or Timeouts()
        self.max_body = max_body
        self.edits = edits
        self.request_edits = request_edits
        self.trailers = trailers
        self.retry = retry
        self.response_buffering = response_buffering
        self.answers = answers
        self.folder = folder
        self.composer = composer
        self.error_logs = error_logs

    def twin(self) -> Route:
        """Another that is the same in all, until somebody changes it."""
        made = Route(self.site, self.path, self.destination)
        made.site_name = self.site_name
        made.steps = self.steps
        made.observers = self.observers
        made.timeouts = self.timeouts
        made.max_body = self.max_body
        made.edits = self.edits
        made.request_edits = self.request_edits
        made.trailers = self.trailers
        made.retry = self.retry
        made.response_buffering = self.response_buffering
        made.answers = self.answers
        made.folder = self.folder
        made.composer = self.composer
        made.error_logs = self.error_logs
        return made


class Site:
    """What a host name means: locations of routes, named routes (without their "@"), and a route for what none takes.

    `entry` is the route that every request enters first, where something is to be done before a path can be looked up;
    `patterns` are the names that are regular expressions.
    """

    __slots__ = ("_locations", "_memo", "entry", "name", "named", "names", "otherwise", "patterns")

    def __init__(
        self, name: str, names: Sequence[bytes], locations: Sequence[Location[Route]], otherwise: Route
    ) -> None:
        self.name = name
        self.names = tuple([one for one in names if not one.startswith(b"~")])
        self.patterns = tuple([pattern(one[1:].decode(), True) for one in names if one.startswith(b"~")])
        self.otherwise = otherwise
        self.entry: Route | None = None
        self.named: dict[str, Route] = {}
        self._memo: dict[bytes, Route] = {}
        self.place(locations)

    def place(self, locations: Sequence[Location[Route]]) -> None:
        """Have these locations, in place of any."""
        self._locations = Locations(locations)
        self._memo.clear()

    def routes(self) -> Iterator[Route]:
        """All routes of the site."""
        yield from self._locations.targets()
        yield from self.named.values()
        yield self.otherwise
        if self.entry is not None:
            yield self.entry

    def route(self, path: bytes) -> Route:
        """The route of a request for a canonical path."""
        return self.entry or self.located(path)

    def located(self, path: bytes) -> Route:
        """The route of a canonical path."""
        found = self._memo.get(path)
        if found is None:
            found = self._locations.find(path) or self.otherwise
            if len(self._memo) >= MEMO:
                self._memo.clear()
            if len(path) <= LONGEST:
                self._memo[path] = found
        return found

    def again(self, exchange: Exchange) -> Route:
        """The route of an internal redirect: what is done before a path is looked up is done once more."""
        return self.entry or self.find(exchange)

    def find(self, exchange: Exchange) -> Route:
        """The route of the URI that an exchange has now."""
        course = exchange.course
        return self.located(exchange.line.path if course is None else course.uri)


class Located:
    """The last step of a site's entry: on to the route of the URI."""

    __slots__ = ("_site",)

    def __init__(self, site: Site) -> None:
        self._site = site

    def __call__(self, exchange: Exchange) -> Verdict:
        """Find it."""
        return turned(exchange, self._site.find(exchange))


class Captures:
    """A step: keep what the expression that led here captures, of the path or of the host name."""

    __slots__ = ("_names", "_patterns")

    def __init__(self, patterns: Sequence[Pattern], names: bool = False) -> None:
        self._patterns = tuple(patterns)
        self._names = names

    def __call__(self, exchange: Exchange) -> Verdict:
        """Match once more; what was found is remembered by path, and does not know what was captured."""
        course = course_of(exchange)
        subject = course.uri
        if self._names:
            subject = host_name(exchange.fields.host or b"")
        for one in self._patterns:
            match = one.search(subject)
            if match is not None:
                remember(course, match)
                break
        return None


def only_internal(exchange: Exchange) -> Verdict:
    """A step of routes that no client may ask for itself (nginx: `internal`)."""
    course = exchange.course
    return None if course is not None and course.internal else Reply(404)


class Sites:
    """The sites of one listener."""

    __slots__ = ("_default", "_memo", "_names", "_patterns")

    def __init__(self, sites: Sequence[Site], default: Site) -> None:
        self._default = default
        self._names: Names[Site] = Names()
        self._patterns: list[tuple[Pattern, Site]] = []
        for site in sites:
            for name in site.names:
                self._names.add(name, site)
            self._patterns += [(one, site) for one in site.patterns]
        self._memo: dict[bytes | None, Site] = {}

    @property
    def default(self) -> Site:
        """The site that answers unknown names."""
        return self._default

    def site(self, host: bytes | None) -> Site:
        """The site of a Host value as it came, or of None."""
        found = self._memo.get(host)
        if found is None:
            found = self.named(b"" if host is None else host_name(host))
            if len(self._memo) >= MEMO:
                self._memo.clear()
            if host is None or len(host) <= LONGEST:
                self._memo[host] = found
        return found

    def unknown(self, problem: Endless) -> Route:
        """The route of a request whose own cannot be known: it ends there, as it would in a step."""

        def given_up(exchange: Exchange) -> Verdict:
            raise Endless(problem.pattern)

        route = self._default.otherwise.twin()
        route.steps = (given_up,)
        return route

    def named(self, name: bytes) -> Site:
        """The site of a lower-case host name: exact, longest leading wildcard, longest trailing one, expressions."""
        found = self._names.find(name)
        if found is None:
            found = next((site for one, site in self._patterns if one.search(name) is not None), self._default)
        return found
