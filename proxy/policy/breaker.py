"""The circuit breaker of one backend: closed, open, probing, over all workers of the host.

    closed --failures in a row, or too large a share of them--> open --recovery is over, a claim--> probing
       ^--------------------------- as many successes as `probes` ----------------------------------+  |
                                     open <-------------------------- a failure, for twice as long ----+

Rules: pure. All that workers must agree on stands in the cells of a Record and changes under its lock, in such an order
that a worker killed between any two writes leaves a record that goes on: PHASE is written last. An attempt gets a
ticket when it begins and is settled with it, so what began before the breaker opened can neither close it nor count
as a probe. Only a failure opens. Successes are counted here and added to the record at `flush`, or before a failure of
this worker: the share of failures knows what other workers have had up to their last tick. A success takes the lock
only when it ends a row of failures. Cells hold integers, times in microseconds of the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from proxy.policy.chance import Chance

CLOSED: Final = 0
OPEN: Final = 1
PROBING: Final = 2
WORDS: Final = ("closed", "open", "probing")

NO_TICKET: Final = 0
MOST_PROBES: Final = 16
MOST_EVENTS: Final = 64
SLICES: Final = 10  # of the window; what is counted leaves it a slice at a time
JITTER: Final = 0.1  # share of the recovery around its length, so that hosts do not probe all at once
MOST_DOUBLINGS: Final = 32
LEASE: Final = 60.0  # seconds
SECOND: Final = 1_000_000.0

# The cells of a record
PHASE: Final = 0  # four times the number of times it closed, the first included, plus the state; the ticket when closed
UNTIL: Final = 1  # no probe before
CONSECUTIVE: Final = 2  # failures in a row
OPENED: Final = 3  # how often it opened, ever
STREAK: Final = 4  # how often it opened since it was last closed
SINCE: Final = 5  # when it came into its state
PROBED: Final = 6  # probes that went well
SERIAL: Final = 7  # of the last probe
PLACES: Final = 8  # for each probe under way: when its place is free in any case, and its serial number
RING: Final = PLACES + 2 * MOST_PROBES  # for each slice of the window: when it began; successes; failures
PASSED: Final = SLICES
FAILED: Final = 2 * SLICES
CELLS: Final = RING + 3 * SLICES
NEXT: Final = 4
STATE: Final = 3


class Cells(Protocol):
    """CELLS integers of 64 bits, all 0 at first; each is read and written whole."""

    def __getitem__(self, cell: int, /) -> int: ...
    def __setitem__(self, cell: int, value: int, /) -> None: ...


class Record(Protocol):
    """What the workers of a host know together about one backend, and its lock: `with` keeps the other workers out.
    Whoever dies with the lock gives it back, so it must not stay locked, and nobody needs to know."""

    @property
    def cells(self) -> Cells: ...

    def __enter__(self) -> object: ...
    def __exit__(self, *raised: object) -> None: ...


class LocalRecord:
    """A record of one process, for tests and the laboratory: there is nobody to keep out."""

    __slots__ = ("cells",)

    def __init__(self) -> None:
        self.cells = [0] * CELLS

    def __enter__(self) -> None: ...
    def __exit__(self, *raised: object) -> None: ...


class Settings:
    """When a breaker opens, and how it closes again; times in seconds.

    It opens after `failures` in a row (0: never), or when of `least` requests or more within the last `window` the
    share `ratio` or more failed (0: never). It stays open for `recovery`, and twice as long each time that a probe
    fails, up to `longest`, each give or take a tenth. Then up to `probes` attempts at a time may try, and as many must
    go well. `on` are the causes that are failures: kinds of faults, statuses of answers.

    A probe whose answer has not begun within `lease` loses its place to another and is not heard any more: its worker
    was killed. The default is a minute, or `recovery` when that is longer: more than most requests take, so that a slow
    backend does not collect probes, and no more of an outage than a worker's death may cost. ValueError if there is no
    room for that many probes.
    """

    __slots__ = ("failures", "lease", "least", "longest", "on", "probes", "ratio", "recovery", "window")

    def __init__(
        self,
        *,
        failures: int = 5,
        ratio: float = 0.0,
        window: float = 10.0,
        least: int = 20,
        recovery: float = 30.0,
        longest: float = 300.0,
        probes: int = 1,
        on: Iterable[str | int] = ("connect", "closed", "timeout", "invalid", 502, 503, 504),
        lease: float = 0.0,
    ) -> None:
        if not 1 <= probes <= MOST_PROBES:
            raise ValueError(f"probes must be 1 to {MOST_PROBES} (got {probes})")
        self.failures = failures
        self.ratio = ratio
        self.window = window
        self.least = least
        self.recovery = recovery
        self.longest = max(longest, recovery)
        self.probes = probes
        self.on = frozenset(on)
        self.lease = lease or max(recovery, LEASE)


class Event(NamedTuple):
    """A breaker went from one state to another at a time of the clock, for a reason in words."""

    at: float
    before: int
    after: int
    reason: str


class Snapshot(NamedTuple):
    """How a breaker stands: `state` since `since`, `failures` in a row, the share `ratio` of failures among the
    `requests` of the window, `open_until` (0.0: it is not open), `opened` times ever."""

    state: str
    since: float
    failures: int
    ratio: float
    requests: int
    open_until: float
    opened: int


class Breaker:
    """One worker's hand on the breaker of a backend. `events` are the transitions that this worker made, oldest first;
    whoever logs them takes them out, and only the last MOST_EVENTS are kept."""

    __slots__ = ("_cells", "_on", "_passed", "_record", "_slice", "_ticket", "events", "rng", "settings")

    def __init__(self, settings: Settings, record: Record, rng: Chance | None = None) -> None:
        """`rng` spreads the recovery times; without it they are exact."""
        self._cells = record.cells
        self._record = record
        self.rng = rng
        self.events: list[Event] = []
        self._ticket = NO_TICKET  # whose successes are those of `_passed`
        self._passed = 0
        self.configure(settings)
        if not self._cells[PHASE]:
            with record:
                self._cells[PHASE] = self._cells[PHASE] or NEXT

    def configure(self, settings: Settings) -> None:
        """Go by other settings from now on; the state stays, and a recovery time that has begun."""
        self.settings = settings
        self._on = settings.on
        self._slice = max(1, int(settings.window * SECOND) // SLICES)

    @property
    def state(self) -> int:
        """CLOSED, OPEN or PROBING. It stays open when its time is over until somebody claims a probe."""
        return self._cells[PHASE] & STATE

    # --- attempts ---------------------------------------------------------------------------------------------------

    def blocks(self, now: float) -> bool:
        """Whether no attempt may begin now. Another worker may be faster, so `claim` has the last word."""
        state = self._cells[PHASE] & STATE
        if not state:
            return False
        if now * SECOND < self._cells[UNTIL]:
            return True
        return state == PROBING and self._free(int(now * SECOND)) < 0

    def claim(self, now: float) -> int:
        """An attempt wants to begin: its ticket, or NO_TICKET when it may not. That of a probe is negative."""
        phase = self._cells[PHASE]
        if not phase & STATE:
            return phase
        return NO_TICKET if self.blocks(now) else self._claim_probe(now)

    def settle(self, now: float, ticket: int, cause: str | int, counts: bool) -> None:
        """The attempt with this ticket has ended with a kind of fault or a status. When that says nothing about the
        backend (not `counts`) a probe gives its place back. Settled without a ticket, it is not heard."""
        if not counts:
            self.release(ticket)
        elif cause in self._on:
            self.failure(now, ticket)
        else:
            self.success(now, ticket)

    def answered(self, now: float, ticket: int, status: int) -> int:
        """An answer has begun: a probe is judged by that, for the rest may last for hours, and gets this ticket."""
        if ticket >= 0:
            return ticket
        self.settle(now, ticket, status, True)
        return NO_TICKET if self.state else self._cells[PHASE]

    def success(self, now: float, ticket: int) -> None:
        """The attempt went well."""
        if ticket == self._ticket:
            self._passed += 1  # what proves to be late is thrown away by `flush`
        elif ticket < 0:
            self._settle_probe(now, ticket, True)
            return
        elif ticket == self._cells[PHASE]:
            self._ticket = ticket
            self._passed = 1
        else:
            return
        if self._cells[CONSECUTIVE]:
            self._end_row(ticket)

    def failure(self, now: float, ticket: int) -> None:
        """The attempt failed."""
        cells = self._cells
        if ticket < 0:
            self._settle_probe(now, ticket, False)
        elif ticket == cells[PHASE]:
            with self._record:
                if ticket == cells[PHASE]:
                    self._count(now, ticket, 1)
                    cells[CONSECUTIVE] += 1
                    reason = self._reason(now)
                    if reason:
                        self._open(now, reason)

    def release(self, ticket: int) -> None:
        """The attempt ended without a verdict."""
        if ticket < 0:
            with self._record:
                self._leave(ticket)

    def pardon(self, now: float) -> None:
        """The operator closes it."""
        with self._record:
            self._cells[CONSECUTIVE] = 0
            if self.state:
                self._close(now, "the operator has closed it")

    def flush(self, now: float) -> None:
        """Add this worker's successes to the record; at each tick."""
        if not self._passed:
            return
        with self._record:
            self._count(now, self._ticket, 0)

    def snapshot(self, now: float) -> Snapshot:
        """How it stands."""
        cells = self._cells
        passed, failed = self._totals(now)
        requests = passed + failed
        return Snapshot(
            WORDS[self.state],
            cells[SINCE] / SECOND,
            cells[CONSECUTIVE],
            failed / requests if requests else 0.0,
            requests,
            cells[UNTIL] / SECOND if self.state == OPEN else 0.0,
            cells[OPENED],
        )

    # --- under the lock ---------------------------------------------------------------------------------------------

    def _end_row(self, ticket: int) -> None:
        """Failures are no longer in a row, unless the success is late."""
        with self._record:
            if ticket == self._cells[PHASE]:
                self._cells[CONSECUTIVE] = 0
            else:
                self._ticket, self._passed = NO_TICKET, 0

    def _count(self, now: float, ticket: int, failed: int) -> None:
        """Add to the window: `failed`, and the successes of this worker unless the breaker has been open since."""
        cells = self._cells
        passed = self._passed if self._ticket == cells[PHASE] else 0
        self._passed, self._ticket = 0, ticket
        if not passed and not failed:
            return
        number = int(now * SECOND) // self._slice
        cell = RING + number % SLICES
        if cells[cell] != number * self._slice:
            cells[cell + PASSED] = cells[cell + FAILED] = 0
            cells[cell] = number * self._slice
        cells[cell + PASSED] += passed
        cells[cell + FAILED] += failed

    def _totals(self, now: float) -> tuple[int, int]:
        """Successes and failures within the window. A slice is one only while its time is, so none is ever swept."""
        cells = self._cells
        last, passed, failed = int(now * SECOND), 0, 0
        first = last - SLICES * self._slice
        for cell in range(RING, RING + SLICES):
            if first < cells[cell] <= last:
                passed += cells[cell + PASSED]
                failed += cells[cell + FAILED]
        return passed, failed

    def _reason(self, now: float) -> str:
        """Why the breaker must open, or nothing."""
        settings, row = self.settings, self._cells[CONSECUTIVE]
        if 0 < settings.failures <= row:
            return f"{row} failure{'s' * (row > 1)} in a row"
        if settings.ratio > 0:
            passed, failed = self._totals(now)
            if passed + failed >= settings.least and failed >= settings.ratio * (passed + failed):
                return f"{failed} of {passed + failed} requests failed within {settings.window:g} s"
        return ""

    def _open(self, now: float, reason: str) -> None:
        cells, settings = self._cells, self.settings
        streak = cells[STREAK]
        wait = min(settings.longest, settings.recovery * 2.0 ** min(streak, MOST_DOUBLINGS))
        if self.rng is not None:
            wait *= 1.0 + JITTER * (2.0 * self.rng.random() - 1.0)
        cells[UNTIL] = int((now + wait) * SECOND)
        cells[STREAK] = streak + 1
        cells[OPENED] += 1
        self._become(now, OPEN, f"{reason}; left alone for {wait:.3g} s")

    def _claim_probe(self, now: float) -> int:
        with self._record:
            phase = self._cells[PHASE]
            if not phase & STATE:
                return phase
            return NO_TICKET if self.blocks(now) else self._lend_place(now)

    def _lend_place(self, now: float) -> int:
        """Take a place that is free, the first one when this is the first probe."""
        cells = self._cells
        opened = cells[PHASE] & STATE == OPEN
        if opened:
            cells[PROBED] = 0
            for cell in range(PLACES, RING):
                cells[cell] = 0
        place = self._free(int(now * SECOND))
        cells[SERIAL] = serial = cells[SERIAL] + 1
        cells[place] = int((now + self.settings.lease) * SECOND)
        cells[place + 1] = serial
        if opened:
            self._become(now, PROBING, "time to try again")
        return -serial

    def _settle_probe(self, now: float, ticket: int, well: bool) -> None:
        """A probe has come back; it is heard if it still has its place and the breaker waits for it."""
        cells = self._cells
        with self._record:
            if not self._leave(ticket) or cells[PHASE] & STATE != PROBING:
                return
            if not well:
                cells[CONSECUTIVE] += 1
                self._open(now, "a probe failed")
                return
            cells[PROBED] = probed = cells[PROBED] + 1
            if probed >= self.settings.probes:
                self._close(now, f"{probed} probe{'s' * (probed > 1)} went well")

    def _close(self, now: float, reason: str) -> None:
        cells = self._cells
        for cell in range(RING, CELLS):
            cells[cell] = 0
        cells[CONSECUTIVE] = cells[STREAK] = 0
        self._become(now, CLOSED, reason)

    def _become(self, now: float, state: int, reason: str) -> None:
        cells, phase = self._cells, self._cells[PHASE]
        cells[SINCE] = int(now * SECOND)
        cells[PHASE] = (phase & ~STATE) + (NEXT if state == CLOSED else state)
        self.events.append(Event(now, phase & STATE, state, reason))
        del self.events[:-MOST_EVENTS]

    def _free(self, now: int) -> int:
        """The first place that a probe can have, or -1."""
        for place in range(PLACES, PLACES + 2 * self.settings.probes, 2):
            if self._cells[place] <= now:
                return place
        return -1

    def _leave(self, ticket: int) -> bool:
        """Free the place of the probe with this ticket. False when it has lost it before."""
        for place in range(PLACES, RING, 2):
            if self._cells[place + 1] == -ticket:
                self._cells[place] = self._cells[place + 1] = 0
                return True
        return False
