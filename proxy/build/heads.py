"""Makes what reads request heads at a listener: of [http], and of what the site says that answers unknown names."""

from __future__ import annotations

from typing import Any

from proxy.build.sites import timeouts
from proxy.config.model import Model, Site
from proxy.downstream.reader import HeadReader
from proxy.http.dialect import PLAIN, STRICT, UNDERSCORES, Dialect
from proxy.timeouts import Timeouts


class Readers:
    """One reader for all listeners that read alike, since it remembers."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: dict[tuple[Any, ...], HeadReader] = {}

    def of(self, site: str) -> HeadReader:
        """The reader of a listener at which this site answers unknown names."""
        http = self._model.http
        changes = self._model.site[site].http.model_dump(exclude_none=True) if site in self._model.site else {}
        said = {**http.model_dump(), **changes}
        key = tuple(said[name] for name in ("max_head", "max_fields", "max_target", "bare_lf", "dialect"))
        names = tuple(said[name] for name in ("underscores", "unusual_names", "merge_slashes"))
        found = self._made.get((*key, *names))
        if found is None:
            head, fields, target, bare_lf, dialect = key
            reads = _dialect(dialect == "nginx", *names)
            self._made[(*key, *names)] = found = HeadReader(head, fields, target, bare_lf == "accept", reads)
        return found


def waiting(model: Model, site: Site | None) -> Timeouts:
    """The timeouts of a listener's connections between requests, as the site says that answers unknown names there."""
    times = timeouts(model)
    if site is not None:
        times.client_header = site.timeouts.client_header or times.client_header
        times.client_idle = site.timeouts.client_idle or times.client_idle
    return times


def _dialect(lenient: bool, underscores: bool, unusual: str, merge: bool) -> Dialect:
    if not lenient and not underscores and unusual == "refuse" and merge:
        return STRICT
    dropped = (UNDERSCORES if underscores else PLAIN) if unusual == "drop" else None
    return Dialect(lenient, dropped, underscores, merge)
