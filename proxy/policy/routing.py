"""Which site a host name means, and which route of it a path means.

Rules: names as nginx's `server_name` chooses them (exact, then the longest leading wildcard, then the default site);
paths by the longest prefix. A prefix that ends in "/" also answers to itself without it, by redirect of the backend's
own. What was found is remembered for as many names and paths as MEMO holds; the memo is emptied when it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.exchange import Destination, Observer, Step
from proxy.http.response import NO_EDITS, HeaderEdits
from proxy.http.target import host_name
from proxy.policy.retry import Retry
from proxy.timeouts import Timeouts

MEMO: Final = 4096
LONGEST: Final = 256  # bytes of a name or path that is remembered
RETRY: Final = Retry()


class Route:
    """What a path means: steps, one destination, observers, and what was settled for it at load."""

    __slots__ = (
        "destination",
        "edits",
        "max_body",
        "observers",
        "path",
        "request_edits",
        "response_buffering",
        "retry",
        "site",
        "steps",
        "timeouts",
        "trailers",
    )

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
    ) -> None:
        self.site = site
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


class Site:
    """What a host name means: routes by path, and one for what none of them takes."""

    __slots__ = ("_by_length", "_memo", "name", "names", "otherwise")

    def __init__(self, name: str, names: Sequence[bytes], routes: Sequence[Route], otherwise: Route) -> None:
        self.name = name
        self.names = tuple(names)
        self.otherwise = otherwise
        by_length: dict[int, dict[bytes, Route]] = {}
        for route in routes:
            by_length.setdefault(len(route.path), {})[route.path] = route
        self._by_length = sorted(by_length.items(), reverse=True)
        self._memo: dict[bytes, Route] = {}

    def route(self, path: bytes) -> Route:
        """The route of a canonical path."""
        found = self._memo.get(path)
        if found is None:
            found = self._longest(path)
            if len(self._memo) >= MEMO:
                self._memo.clear()
            if len(path) <= LONGEST:
                self._memo[path] = found
        return found

    def _longest(self, path: bytes) -> Route:
        for length, routes in self._by_length:
            found = routes.get(path[:length])
            if found is not None:
                return found
        return self.otherwise


class Sites:
    """The sites of one listener."""

    __slots__ = ("_default", "_exact", "_memo", "_wildcards")

    def __init__(self, sites: Sequence[Site], default: Site) -> None:
        self._default = default
        self._exact: dict[bytes, Site] = {}
        self._wildcards: dict[bytes, Site] = {}
        for site in sites:
            for name in site.names:
                if name.startswith(b"*."):
                    self._wildcards[name[1:]] = site
                else:
                    self._exact[name] = site
        self._memo: dict[bytes | None, Site] = {}

    def site(self, host: bytes | None) -> Site:
        """The site of a Host value as it came, or of None."""
        found = self._memo.get(host)
        if found is None:
            found = self._default if host is None else self.named(host_name(host))
            if len(self._memo) >= MEMO:
                self._memo.clear()
            if host is None or len(host) <= LONGEST:
                self._memo[host] = found
        return found

    def named(self, name: bytes) -> Site:
        """The site of a lower-case host name."""
        found = self._exact.get(name)
        dot = name.find(b".")
        while found is None and dot >= 0:
            found = self._wildcards.get(name[dot:])
            dot = name.find(b".", dot + 1)
        return found or self._default
