"""What a worker remembers of exchanges until its tick writes it into its journal: the last, the failed, the slowest.

Rules: an observer only puts an exchange into a line of bounded length, 30 ns; the record is made at the tick, and only
of those that are still in line then, and a long line that is full is written once a second only: so the cost of `keep`
is bounded whatever the load. Picks come before the end:
they wait here, by exchange, for it. Failed is what ended with 500 or above, and every fault but those of clients who
asked for nothing that could be asked of a backend: scanners would push out what matters. Tunnels are never slow.
"""

from __future__ import annotations

from collections import deque
from heapq import nlargest
from typing import Final

from proxy import faults
from proxy.clock import Clock
from proxy.exchange import Exchange
from proxy.policy.attempts import Attempt, all_of
from proxy.policy.balance.explained import Pick
from proxy.shared import records
from proxy.shared.journal import FAILED, KEYS, LIVE, RECENT, RINGS, SLOW, Journals, Ring, Sheet
from proxy.shared.offenders import LIMITED_BY, Offenders
from proxy.shared.records import FEW, LONGEST, PICKS, Record

LATELY: Final = 300.0  # seconds that a slow exchange is remembered
RARELY: Final = 10  # ticks between two looks at what need not be told at once
LONG: Final = 100  # exchanges in line that a tick can write without a thought
UPGRADED: Final = 101
NEVER: Final = float("inf")


class Diary:
    """The diary of one worker, for its row of the journals."""

    __slots__ = (
        "_changed",
        "_clock",
        "_failed",
        "_journals",
        "_keys",
        "_least",
        "_picks",
        "_recent",
        "_rested",
        "_rings",
        "_row",
        "_slow",
        "_slow_sheet",
        "_slowing",
        "_slowest",
        "_ticks",
        "live",
        "offenders",
    )

    def __init__(self, journals: Journals, row: int, clock: Clock) -> None:
        self._journals = journals
        self._row = row
        self._clock = clock
        self._picks: dict[Exchange, list[Pick]] = {}
        self._recent: deque[Exchange] = deque()
        self._failed: deque[Exchange] = deque()
        self._slow: list[Record] = []  # the slowest of late
        self._slowing: deque[Exchange] = deque()  # those that may be among them
        self._slowest = 0  # how many of them
        self._least = NEVER  # seconds above which one is slow
        self._changed = False
        self._rings: dict[str, Ring] = {}
        self._slow_sheet: Sheet = journals.sheet(row, SLOW)
        self._keys: Sheet = journals.sheet(row, KEYS)
        self._ticks = 0
        self._rested = 0  # the tick from which on a line that is long and full is written again
        self.live: Sheet = journals.sheet(row, LIVE)
        self.offenders = Offenders()

    def configure(self, keep: int, failed: int, slowest: int) -> None:
        """How many to keep from now on."""
        self._rings = {
            name: self._journals.ring(self._row, name, min(number, RINGS[name]))
            for name, number in ((RECENT, keep), (FAILED, failed))
        }
        self._recent = deque(self._recent, maxlen=keep)
        self._failed = deque(self._failed, maxlen=failed)
        self._slowing = deque(self._slowing, maxlen=2 * slowest)
        self._slowest = slowest
        self._rank()
        if not keep:
            self._picks.clear()

    # --- on the way -------------------------------------------------------------------------------------------------

    def picked(self, exchange: Exchange, pick: Pick) -> None:
        """A backend was chosen. Of many choices (who waits may be tried often) the first and the last are kept."""
        known = self._picks.setdefault(exchange, [])
        known.append(pick)
        if len(known) > PICKS:
            del known[1]

    def every(self, exchange: Exchange) -> None:
        """An observer: an exchange has finished, and all are kept. The one that falls out of line takes its picks with
        it, so that no more of them live than will be written down."""
        line = self._recent
        if line and len(line) == line.maxlen and not line[0].fault and line[0].status < 500:
            self._picks.pop(line[0], None)
        line.append(exchange)
        self.notable(exchange)

    def notable(self, exchange: Exchange) -> None:
        """An observer: an exchange has finished, and is kept if it failed or took long."""
        seconds = exchange.finished - exchange.started
        if exchange.status >= 500 or exchange.fault is not None or seconds > self._least:
            self._note(exchange, seconds)

    def _note(self, exchange: Exchange, seconds: float) -> None:
        if failed(exchange):
            self._failed.append(exchange)
        if seconds > self._least and exchange.status != UPGRADED:
            self._slowing.append(exchange)

    # --- at the tick ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write down what has come to an end."""
        self._ticks += 1
        if self._slowing:
            self._slow += [self._record(exchange) for exchange in self._slowing]
            self._slowing.clear()
            self._changed = True
            self._rank()
        self._write(FAILED, self._failed)
        line = self._recent
        if len(line) <= LONG or len(line) != line.maxlen:
            self._write(RECENT, line)
        elif self._ticks >= self._rested:
            self._rested = self._ticks + RARELY
            self._write(RECENT, line)
        if self._picks:
            kept = set(line)
            self._picks = {
                exchange: picks for exchange, picks in self._picks.items() if not exchange.finished or exchange in kept
            }
        if self._ticks % RARELY == 0:
            self.offenders.write(self._keys)
            self._rank()
            if self._changed:
                self._changed = False
                self._write_slow()

    def hurry(self) -> None:
        """The next flush writes whatever there is: it may be the last."""
        self._rested = 0

    def _write(self, name: str, line: deque[Exchange]) -> None:
        """Write down a line, and empty it."""
        if line:
            ring = self._rings[name]
            for exchange in line:
                write(ring, self._record(exchange))
            line.clear()

    def _rank(self) -> None:
        """Forget what is slow no longer, or was long ago."""
        since = self._clock.wall - LATELY
        lately = [one for one in self._slow if one.finished > since]
        ranked = nlargest(self._slowest, lately, key=lambda one: one.seconds)
        self._changed = self._changed or len(ranked) < len(self._slow)
        self._slow = ranked
        full = len(ranked) >= self._slowest
        self._least = NEVER if not self._slowest else ranked[-1].seconds if full else -1.0

    def _write_slow(self) -> None:
        """The slowest, as many as have room."""
        number = len(self._slow)
        while not self._slow_sheet.write(tuple(tuple(one) for one in self._slow[:number])) and number:
            number //= 2

    # --- records ----------------------------------------------------------------------------------------------------

    def _record(self, exchange: Exchange) -> Record:
        """All that is to be known of an exchange that has finished."""
        started = exchange.started
        tried = [one for one in all_of(exchange) if one is not None] if exchange.tried else []
        picks = self._picks.get(exchange, ())
        fault = exchange.fault
        last = exchange.tried[-1] if exchange.tried else None
        group = getattr(last, "upstream", None) or exchange.route.destination
        course = exchange.course
        limit = course.values.get(LIMITED_BY) if course is not None else None
        return Record(
            exchange.request_id,
            self._clock.epoch + exchange.finished,
            exchange.finished - started,
            exchange.line.method[:32],
            exchange.line.target[:LONGEST],
            (exchange.fields.host or b"")[:LONGEST],
            exchange.client.address,
            exchange.route.site,
            getattr(exchange.route, "path", b"")[:LONGEST],
            exchange.line.version.decode("latin-1"),
            exchange.status,
            fault.name if fault is not None else "",
            fault.reason if fault is not None else "",
            exchange.body_in,
            exchange.body_out,
            exchange.queued,
            exchange.limit_status,
            limit.decode() if limit else "",
            getattr(group, "name", "") or "",
            tuple(tuple(told(exchange, one, one is tried[-1])) for one in tried[-PICKS:]),
            tuple(shortened(pick, started) for pick in picks),
            0,
        )


def failed(exchange: Exchange) -> bool:
    """Whether an exchange is kept among the failed ones."""
    fault = exchange.fault
    if fault is None:
        return exchange.status >= 500
    return (fault.blame is not faults.CLIENT and fault is not faults.NO_ROUTE) or bool(exchange.tried)


def told(exchange: Exchange, one: Attempt, last: bool) -> records.Attempt:
    """An attempt as it is written down. What went wrong with one that was not the last, its backend remembers."""
    fault = ""
    if last and exchange.fault is not None:
        fault = exchange.fault.name
    elif not last and not one.answered:
        fault = getattr(one.backend, "trouble", "")
    after = one.began - exchange.started if one.began else -1.0
    name = one.label.decode("latin-1")
    return records.Attempt(name, after, one.connect, one.header, one.response, one.answered, fault)


def shortened(pick: Pick, started: float) -> tuple[object, ...]:
    """A pick as it is written down."""
    known = tuple(pick.candidates)
    return (max(0.0, pick.at - started), pick.strategy, pick.chosen, pick.why[:LONGEST], known, pick.left_out)


def write(ring: Ring, record: Record) -> None:
    """Write a record down; with fewer candidates, or none, where it is too large."""
    if ring.write(tuple(record)):
        return
    for most in (FEW, 0):
        picks = tuple((*pick[:4], pick[4][:most], pick[5] + max(0, len(pick[4]) - most)) for pick in record.picks)
        if ring.write(tuple(record._replace(picks=picks))):
            return
    ring.write(tuple(record._replace(picks=(), left_out=len(record.picks))))
