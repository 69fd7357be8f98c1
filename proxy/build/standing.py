"""How many connections and requests there are and have been, over all workers: what nginx's stub_status tells.

Rules: of this worker it is counted when it is asked for; of the others it is what they wrote into the arena, which they
do at each tick where somebody may ask, and else once a second, for the metrics.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.build.place import Place
from proxy.content.stub_status import Numbers
from proxy.downstream.h2.connection import Http2
from proxy.downstream.listener import Listener
from proxy.ledger import Ledger
from proxy.observe.metrics import CLASSES

READING, WRITING = ("worker", "reading"), ("worker", "writing")


class Standing:
    """Counts; `used` says that somebody may ask."""

    def __init__(self, place: Place, ledger: Ledger) -> None:
        self._arena = place.arena
        self._row = place.row
        self._ledger = ledger
        self.listeners: Mapping[str, Listener] = {}
        self.used = False

    def numbers(self) -> Numbers:
        """All of them, as they are now."""
        self.publish()
        arena, columns = self._arena, self._arena.layout.columns
        active = arena.total(("worker", "connections"))
        accepted = arena.total(("worker", "accepted"))
        reading, writing = arena.total(READING), arena.total(WRITING)
        sites = {name[1] for name in columns if name[0] == "site"}
        requests = sum(arena.total(("site", site, "requests", one)) for site in sites for one in CLASSES)
        requests += sum(sum(counts.requests) for counts in self._ledger.routes.values()) + writing
        return Numbers(active, accepted, requests, reading, writing, max(0, active - reading - writing))

    def publish(self) -> None:
        """Write what this worker's connections do into its row."""
        cells, columns = self._arena.cells(self._row), self._arena.layout.columns
        reading = writing = 0
        for listener in self.listeners.values():
            for connection in listener.connections:
                if isinstance(connection, Http2):
                    writing += connection.busy
                elif getattr(connection, "exchange", None) is not None:
                    writing += 1
                elif getattr(connection, "reading", False):
                    reading += 1
        cells[columns[READING]] = reading
        cells[columns[WRITING]] = writing
