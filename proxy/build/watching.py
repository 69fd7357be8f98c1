"""What goes on in a worker now, written down for whoever looks.

Rules: the keeper says in its row of the arena until when somebody looks. Until then the worker walks its connections at
each tick and writes a line for each exchange on them, bounded in number; nobody else pays for it, and an exchange that
is on its way knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.build.place import Place
from proxy.downstream.h2.connection import Http2
from proxy.downstream.listener import Listener
from proxy.exchange import Exchange
from proxy.shared.journal import Sheet
from proxy.shared.records import LONGEST, Going

MOST: Final = 500  # exchanges of a worker that are told
MOST_CONNECTIONS: Final = 20_000  # that are looked at
WATCHED: Final = ("worker", "watched_until_ms")
UPGRADED: Final = 101


class Watching:
    """Writes onto a sheet while somebody looks. `listeners` are those of the Runtime."""

    def __init__(self, place: Place, sheet: Sheet, listeners: Mapping[str, Listener]) -> None:
        self._cells = place.arena.cells(place.arena.keeper)
        self._column = place.arena.column(WATCHED)
        self._clock = place.clock
        self._sheet = sheet
        self._listeners = listeners

    def look(self, now: float) -> None:
        """A tick."""
        if self._cells[self._column] <= now * 1000:
            return
        found: list[tuple[Any, ...]] = []
        complete = True
        for exchange in self._exchanges():
            if len(found) >= MOST:
                complete = False
                break
            found.append(tuple(going(exchange, self._clock.epoch)))
        while not self._sheet.write((self._clock.wall, complete, tuple(found))):
            complete = False
            del found[len(found) // 2 :]

    def _exchanges(self) -> Iterator[Exchange]:
        """Those that go on, connection by connection."""
        looked = 0
        for listener in self._listeners.values():
            for connection in listener.connections:
                looked += 1
                if looked > MOST_CONNECTIONS:
                    return
                exchange = getattr(connection, "exchange", None)
                if exchange is not None:
                    yield exchange
                for stream in connection.streams if isinstance(connection, Http2) else ():
                    if stream.exchange is not None:
                        yield stream.exchange


def going(exchange: Exchange, epoch: float) -> Going:
    """An exchange that goes on; `epoch` is what makes times of the clock those of the wall."""
    last = exchange.tried[-1] if exchange.tried else None
    group: Any = getattr(last, "upstream", None) or exchange.route.destination
    return Going(
        exchange.request_id,
        epoch + exchange.started,
        exchange.line.method[:32],
        exchange.line.target[:LONGEST],
        (exchange.fields.host or b"")[:LONGEST],
        exchange.client.address,
        exchange.route.site,
        state(exchange),
        getattr(group, "name", "") or "",
        last.address if last is not None else "",
        len(exchange.tried),
        exchange.body_out,
        exchange.line.version.decode("latin-1"),
    )


def state(exchange: Exchange) -> str:
    """How far it has come, in a word."""
    if exchange.status == UPGRADED:
        return "open"
    if exchange.replied or exchange.answered:
        return "answering"
    if exchange.queue is not None:
        return "queued"
    if exchange.backend is not None:
        return "at backend"
    return "waiting" if exchange.upload_done else "reading"
