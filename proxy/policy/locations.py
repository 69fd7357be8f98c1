"""Which route a path means, by nginx's rules: exact, longest prefix, regular expressions, and routes inside routes.

Rules: those of `ngx_http_core_find_location`. An exact path wins at once; else the longest prefix is found, and a route
inside it is preferred; then the expressions are tried in order, unless the prefix says FIRST; else the prefix stands.
Prefixes are found by their lengths, so it costs as much with a thousand of them as with ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from proxy.policy.pattern import Pattern

Target = TypeVar("Target")

PREFIX: Final = "prefix"
FIRST: Final = "first"  # a prefix that no expression is tried behind (nginx: ^~)
EXACT: Final = "exact"
REGEX: Final = "regex"


class Location(Generic[Target]):
    """A path as it is written, of one of the kinds above, what it means, and the locations inside it."""

    __slots__ = ("inside", "kind", "path", "pattern", "target")

    def __init__(
        self,
        kind: str,
        path: bytes,
        target: Target,
        pattern: Pattern | None = None,
        inside: Sequence[Location[Target]] = (),
    ) -> None:
        self.kind = kind
        self.path = path
        self.target = target
        self.pattern = pattern
        self.inside = Locations(inside) if inside else None


class Locations(Generic[Target]):
    """The locations of one level. Of two that are written alike the last one holds."""

    __slots__ = ("_by_length", "_exact", "_regexes", "all")

    def __init__(self, locations: Sequence[Location[Target]]) -> None:
        self.all = tuple(locations)
        self._exact = {one.path: one for one in locations if one.kind == EXACT}
        self._regexes = tuple([one for one in locations if one.kind == REGEX])
        by_length: dict[int, dict[bytes, Location[Target]]] = {}
        for one in locations:
            if one.kind in (PREFIX, FIRST):
                by_length.setdefault(len(one.path), {})[one.path] = one
        self._by_length = sorted(by_length.items(), reverse=True)

    def targets(self) -> Iterator[Target]:
        """Everything that is meant here and inside."""
        for one in self.all:
            yield one.target
            if one.inside is not None:
                yield from one.inside.targets()

    def find(self, path: bytes) -> Target | None:
        """What a canonical path means; None when nothing here does."""
        return self._find(path)[0]

    def _find(self, path: bytes) -> tuple[Target | None, bool]:
        """The target, and whether nothing around may take its place any more."""
        exact = self._exact.get(path)
        if exact is not None:
            return exact.target, True
        found: Target | None = None
        best = self._longest(path)
        if best is not None:
            found = best.target
            if best.inside is not None:
                inner, final = best.inside._find(path)
                found = found if inner is None else inner
                if final:
                    return found, True
        if best is None or best.kind != FIRST:
            for one in self._regexes:
                if one.pattern is not None and one.pattern.search(path) is not None:
                    inner = one.inside.find(path) if one.inside is not None else None
                    return one.target if inner is None else inner, True
        return found, False

    def _longest(self, path: bytes) -> Location[Target] | None:
        for length, locations in self._by_length:
            best = locations.get(path[:length])
            if best is not None:
                return best
        return None
