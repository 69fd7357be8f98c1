"""Measuring: servers in turn, round by round, each round's CPU time of the process tree per request.

Rules: the servers of a scenario all run at once and are driven one after the other, so that drift of the machine hits
all alike; the first drive of each is not counted. Figures are medians over the rounds; a ratio is the median of the
rounds' ratios to the reference in the same round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.loads import Load, LoadFailed, drive, open_idle
from bench.peers import REFERENCE, Peer
from bench.peers.setup import Missing
from bench.processes import Cores, cpu_seconds, memory, settle
from bench.scenarios import Scenario
from bench.servers import Certificates, Running, Stage

DIRECT = "(backend alone)"
Say = Callable[[str], None]


@dataclass
class Row:
    """One server in one scenario: a load and its cost per request (us) for each round, or why there is none."""

    server: str
    reason: str = ""
    loads: list[Load] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    idle: tuple[float, float] | None = None
    """Growth per connection in bytes: resident, proportional."""
    idle_errors: int = 0

    def cost(self) -> float:
        """Median microseconds of CPU per request."""
        return statistics.median(self.costs)

    def median(self, figure: Callable[[Load], float]) -> float:
        """The median over the rounds of one figure."""
        return statistics.median(figure(load) for load in self.loads)

    @property
    def errors(self) -> int:
        """All that went wrong in all counted rounds."""
        return self.idle_errors + sum(load.errors for load in self.loads)


@dataclass
class Outcome:
    """One scenario's rows; `reason` when nothing of it could be measured."""

    scenario: Scenario
    rows: list[Row]
    reason: str = ""

    def reference(self) -> Row | None:
        """nginx's row, when it was measured."""
        return next((row for row in self.rows if row.server == REFERENCE and not row.reason), None)

    def ratio(self, row: Row) -> float | None:
        """Its cost (or memory) in units of the reference's: below 1 is cheaper."""
        reference = self.reference()
        if reference is None or row.reason:
            return None
        if row.idle is not None and reference.idle is not None:
            return row.idle[1] / reference.idle[1] if reference.idle[1] > 0 else None
        # Rounds pair up: both lists are complete, because a server that failed in a round has a reason.
        ratios = [own / its for own, its in zip(row.costs, reference.costs, strict=False) if its]
        return statistics.median(ratios) if ratios else None


class Bench:
    """What all scenarios of a run share."""

    def __init__(self, folder: Path, certificates: Certificates, cores: Cores, seconds: int, rounds: int, say: Say):
        self.folder = folder
        self.certificates = certificates
        self.cores = cores
        self.seconds = seconds
        self.rounds = rounds
        self.say = say

    def measure(self, scenario: Scenario, peers: Sequence[Peer]) -> Outcome:
        """One scenario from start to stop."""
        folder = self.folder / scenario.name
        folder.mkdir()
        with ExitStack() as stack:
            stage = Stage(scenario, folder, self.certificates, self.cores, stack)
            try:
                stage.start_backends()
            except Missing as missing:
                return Outcome(scenario, [], f"the backends could not be started: {missing}")
            running = [stage.start(peer) for peer in peers if peer.only in ("", scenario.load)]
            stack.callback(stage.ask_to_stop)
            rows = [Row(one.name, one.reason) for one in running]
            for row in rows:
                if row.reason:
                    self.say(f"  {row.server}: not measured: {row.reason}")
            if scenario.load == "idle":
                self.measure_idle(scenario, running, rows)
            else:
                self.measure_rounds(scenario, running, rows, folder)
                if scenario.load == "wrk" and stage.backends:
                    rows.append(self.measure_direct(stage, folder))
            return Outcome(scenario, rows)

    def measure_rounds(self, scenario: Scenario, running: list[Running], rows: list[Row], folder: Path) -> None:
        """Every server in turn, once uncounted and short, then the rounds."""
        for turn in range(-1, self.rounds):
            for one, row in zip(running, rows, strict=True):
                if one.process is None or row.reason:
                    continue
                before = cpu_seconds(one.process.pid)
                try:
                    seconds = 1 if turn < 0 else self.seconds
                    load = drive(scenario, one.url, seconds, self.cores, folder, self.certificates)
                except LoadFailed as failed:
                    row.reason = str(failed)
                    continue
                spent = cpu_seconds(one.process.pid) - before
                if not one.process.alive():
                    row.reason = f"it {one.process.last_words()}"
                elif not load.done:
                    row.reason = f"no request succeeded, {load.errors} errors"
                elif turn >= 0:
                    row.loads.append(load)
                    row.costs.append(spent / load.done * 1e6)
                    self.say(
                        f"  round {turn + 1}: {row.server:10} {row.costs[-1]:10.1f} us/{scenario.unit} "
                        f"{load.rate:9.0f}/s  p99 {load.p99_ms:.2f} ms  errors {load.errors}"
                    )

    def measure_direct(self, stage: Stage, folder: Path) -> Row:
        """The load straight on one backend, once: how far load and backends are from being the limit."""
        row = Row(DIRECT)
        url = f"http://{stage.backends[0]}{stage.scenario.path}"
        try:
            row.loads.append(drive(stage.scenario, url, self.seconds, self.cores, folder, self.certificates))
        except LoadFailed as failed:
            row.reason = str(failed)
        return row

    def measure_idle(self, scenario: Scenario, running: list[Running], rows: list[Row]) -> None:
        """Growth of a warmed-up server by so many connections, each served once."""
        tls = self.certificates.client() if scenario.tls else None
        for one, row in zip(running, rows, strict=True):
            if one.process is None:
                continue
            with ExitStack() as warming:
                open_idle(one.url, scenario.connections // 100, tls, warming)
            settle(one.process.pid)
            before = memory(one.process.pid)
            with ExitStack() as opened:
                row.idle_errors = open_idle(one.url, scenario.connections, tls, opened)
                settle(one.process.pid)
                after = memory(one.process.pid)
            if not one.process.alive():
                row.reason = f"it {one.process.last_words()}"
                continue
            if row.idle_errors:
                row.reason = f"{row.idle_errors} of {scenario.connections} connections failed"
                continue
            resident, proportional = (after[0] - before[0], after[1] - before[1])
            row.idle = (resident / scenario.connections, proportional / scenario.connections)
            self.say(f"  {row.server:10} {row.idle[1]:9.0f} bytes (PSS) a connection  errors {row.idle_errors}")
