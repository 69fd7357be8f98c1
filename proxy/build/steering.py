"""What the operator has said of backends while a worker runs: other weights, pardons, and that one is disabled.

Rules: the keeper writes it into its row of the arena and counts how often it has; a worker compares that count at each
tick, which costs one look, and reads the rest only when it has changed. Draining and being disabled keep a backend out
by way of its standing (`policy.standing`); here only what that does not do is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.build.place import Place
from proxy.policy.backend import Backend
from proxy.policy.breaker import Breaker
from proxy.upstream.group import Group

Remake = Callable[[list[Backend]], None]  # gives a group its strategy anew, over these backends
DEEDS = ("worker", "deeds")


class Steering:
    """Obeys for the groups of a Runtime; `remakes` are by the groups' names."""

    def __init__(self, place: Place, groups: Mapping[str, Group], remakes: Mapping[str, Remake]) -> None:
        self._cells = place.arena.cells(place.arena.keeper)
        self._columns = place.arena.layout.columns
        self._groups = groups
        self._remakes = remakes
        self._deeds = self._columns[DEEDS]
        self._seen = -1
        self._changing = [group for group in groups.values() if group.members is not None]  # whose backends come and go
        self._known: dict[str, tuple[Backend, ...]] = {}
        self._configured: dict[Backend, int] = {}  # weights of those that have another now
        self._pardons: dict[tuple[str, str], int] = {}

    def look(self, now: float) -> None:
        """Do what has been said since the last time."""
        deeds = self._cells[self._deeds]
        if deeds == self._seen and all(self._known.get(one.name) is one.backends for one in self._changing):
            return
        first, self._seen = self._seen < 0, deeds
        for name, group in self._groups.items():
            weighed = [self._weigh(name, backend) for backend in group.backends]
            if any(weighed):
                self._remakes[name](list(group.backends))
            for backend in group.backends:
                self._pardon(name, backend, now, first)
                if self._said(name, backend, "disabled"):
                    rest(backend)
        self._known = {group.name: group.backends for group in self._changing}

    def _said(self, upstream: str, backend: Backend, word: str) -> int:
        return int(self._cells[self._columns["backend", upstream, backend.key, word]])

    def _weigh(self, upstream: str, backend: Backend) -> bool:
        """Give a backend the weight that was said, or its own again; whether that is another."""
        said = self._said(upstream, backend, "weight")
        weight = said or self._configured.pop(backend, backend.nominal)
        if weight == backend.nominal:
            return False
        if said:
            self._configured.setdefault(backend, backend.nominal)
        fine = backend.whole // backend.nominal
        backend.nominal = weight
        backend.whole = backend.weight = backend.effective = weight * fine
        backend.current = 0
        return True

    def _pardon(self, upstream: str, backend: Backend, now: float, first: bool) -> None:
        """Forget failures, if that was said since the last time."""
        said = self._said(upstream, backend, "pardons")
        if said == self._pardons.get((upstream, backend.address)):
            return
        self._pardons[upstream, backend.address] = said
        if not first:
            pardon(backend, now)


def pardon(backend: Backend, now: float) -> None:
    """Forget the failures of a backend."""
    backend.fails = 0
    backend.accessed = backend.checked = 0.0
    backend.effective = backend.weight
    if isinstance(backend.breaker, Breaker):
        backend.breaker.pardon(now)


def rest(backend: Backend) -> None:
    """Close the idle connections to a backend."""
    for _ in range(backend.pool.idle):
        link = backend.pool.coldest()
        if link is not None:
            link.close()
