"""The real door with real backends under open-loop load, beside what the simulation foresees of the same scenario.

Rules: the door is the program itself and its [upstream] table the scenario's; see `stage`, `backends`, `load` and
`foreseen` for how each part is made to tell the truth. What cannot be done for real is refused with a sentence. All
processes are gone when it ends, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from pydantic import BaseModel

from proxy.lab.outcome import Latency, quantile
from proxy.lab.reality import stage
from proxy.lab.reality.foreseen import Foreseen, times
from proxy.lab.reality.load import Answered, Load, exact
from proxy.lab.scenario import Machine, Scenario

REQUESTS: Final = 2000  # when a scenario does not say how many
SERVICE: Final = "exp:40ms"  # when it does not say how long they take
MOST_RATE: Final = 1000.0  # requests a second
MOST_CROWD: Final = 400  # requests at a time; select() knows 1024 descriptors
MOST_BACKENDS: Final = 200  # which have them of one process
IDLE_REQUESTS: Final = 60
STARTS_IN: Final = 40.0  # seconds that the door may take
TRIES: Final = 3  # ports that may be taken meanwhile by somebody else
EXACT: Final = 1e-9  # seconds, less than between two requests
LATE: Final = 5.0  # milliseconds that the last in a hundred may be sent too late

KEYS: Final = frozenset((
    "strategies", "backends", "arrivals", "service", "load", "rate", "requests", "warmup", "seed", "workers", "keys",
    "popularity", "timeout", "method", "upstream",
))  # fmt: skip
"""What of a scenario can be had live."""
MACHINE: Final = frozenset(("service", "concurrency", "speed", "errors", "error_status", "weight"))
NOT_LIVE: Final[Mapping[str, str]] = {
    "doors": "live starts one door",
    "shared": "the workers of the real door share what they share",
    "stale": "the real door sees at once what is in flight",
    "event": "nothing happens to live backends",
    "limit": "live clients are not limited",
    "cancels": "live backends finish what they have begun",
    "backlog": "live backends take every connection",
    "cold": "live backends are never cold",
}

Progress = Callable[[str, int], object]  # told the strategy and how many requests have been sent


class Side:
    """What was measured, or foreseen: milliseconds of what went well, the backends' shares of it, and what failed."""

    def __init__(self, latencies: Sequence[float], backends: Sequence[int], number: int, failed: Mapping[str, int]):
        ordered = sorted(latencies)
        mean = sum(ordered) / len(ordered) if ordered else 0.0
        quantiles = (quantile(ordered, share) for share in (0.5, 0.9, 0.99))
        self.latency = Latency(*(1e3 * value for value in (mean, *quantiles)))
        counts = Counter(backends)
        self.shares = [counts[place] / len(backends) if backends else 0.0 for place in range(number)]
        self.answered = len(ordered)
        self.failed = dict(failed)

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "latency_ms": {name: round(value, 4) for name, value in self.latency._asdict().items()},
            "backends": [{"share": round(share, 6)} for share in self.shares],
            "answered": self.answered,
            "failed": self.failed,
        }


class Lived:
    """What came of one strategy: `measured` and `predicted`, of the same requests.

    `overhead` is the constant that was measured while nothing else went on and is part of the prediction, `late` by how
    much the last in a hundred requests was sent too late (it counts as latency), both in milliseconds. `complete` is
    false when it was stopped.
    """

    def __init__(self, strategy: str, measured: Side, predicted: Side, overhead: float, late: float, complete: bool):
        self.strategy = strategy
        self.measured = measured
        self.predicted = predicted
        self.overhead = overhead
        self.late = late
        self.complete = complete

    @property
    def difference(self) -> Latency:
        """Percent by which the prediction is above what was measured, or below."""
        pairs = zip(self.predicted.latency, self.measured.latency, strict=True)
        return Latency(*(100.0 * (foreseen / found - 1.0) if found else 0.0 for foreseen, found in pairs))

    @property
    def busy(self) -> bool:
        """Whether this machine had too much to do for the figures to mean something."""
        return self.late > LATE

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "measured": self.measured.told(),
            "predicted": self.predicted.told(),
            "difference_percent": {name: round(value, 2) for name, value in self.difference._asdict().items()},
            "overhead_ms": round(self.overhead, 4),
            "late_ms": round(self.late, 4),
            "complete": self.complete,
        }


def live(scenario: Scenario, strategy: str | None = None, *, progress: Progress | None = None) -> Lived:
    """One run of the real door under a strategy, a name or "package.module:factory"; else the scenario's first.

    ValueError with a sentence when it cannot be done. Stopped by Ctrl-C it gives what there is. It takes as long as the
    requests do; where a loop runs already, as in a notebook, that waits.
    """
    scenario, name = sized(scenario), strategy or scenario.strategies[0]
    refuse(scenario, name)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _live(scenario, name, progress)
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(_live, scenario, name, progress).result()


def _live(scenario: Scenario, name: str, progress: Progress | None) -> Lived:
    tell = None if progress is None else lambda number: progress(name, number)
    with stage.hurried(), stage.backends(scenario) as ports:
        table = stage.upstream(scenario, name, ports)
        with _open(scenario, table, tell) as (runner, load, overhead):
            world = Foreseen(scenario.model_copy(update={"upstream": table}), name, overhead)
            _foresee(world)
            complete = _run(runner, load, times(scenario), world.clients)
    return _compared(scenario, name, world, load.found, overhead, complete)


def sized(scenario: Scenario) -> Scenario:
    """A scenario with so many requests that one can wait for them, and service times that are long beside what a busy
    machine adds, where it says none."""
    given = {"requests": REQUESTS, "service": SERVICE}
    return scenario.model_copy(update={key: one for key, one in given.items() if key not in scenario.model_fields_set})


def refuse(scenario: Scenario, strategy: str) -> None:
    """ValueError with a sentence for what cannot be done for real."""
    _known(scenario, Scenario(), KEYS, "")
    if scenario.upstream.get("sticky"):
        raise ValueError("upstream.sticky: live clients keep no cookies; leave it out, or see `frontgate lab simulate`")
    for machine in scenario.backends:
        _known(machine, Machine(), MACHINE, "backends.")
    if len(scenario.backends) > MOST_BACKENDS:
        raise ValueError(f"{len(scenario.backends)} backends are too many: live has room for {MOST_BACKENDS}")
    if scenario.arriving > MOST_RATE:
        raise ValueError(
            f"{scenario.arriving:.6g} requests a second are too many: live asks at most {MOST_RATE:g}, so that the load"
            " is not what is measured; take longer service times or fewer backends"
        )
    world = Foreseen(scenario, strategy)
    _foresee(world)
    if world.crowd > MOST_CROWD:
        raise ValueError(f"up to {world.crowd} requests would be there at a time, and live has room for {MOST_CROWD}")


def _foresee(world: Foreseen) -> None:
    """Simulate all of it. KeyboardInterrupt when somebody stops that: half of it foresees nothing."""
    if not world.run():
        raise KeyboardInterrupt


def _known(table: BaseModel, default: BaseModel, known: frozenset[str], place: str) -> None:
    """ValueError when a table says something that is not known here."""
    for key in type(table).model_fields:
        if key not in known and getattr(table, key) != getattr(default, key):
            why = NOT_LIVE.get(key, "live knows nothing of it")
            raise ValueError(f"{place}{key}: {why}; leave it out, or see `frontgate lab simulate`")


Opened = tuple[asyncio.Runner, Load, float]


@contextlib.contextmanager
def _open(scenario: Scenario, table: dict[str, Any], tell: Callable[[int], object] | None) -> Iterator[Opened]:
    """The door before these backends, what sends load to it, and the overhead in seconds."""
    for left in reversed(range(TRIES)):
        port = stage.free_port()
        with stage.door(stage.configuration(scenario, table, port)) as (process, errors):
            with asyncio.Runner(loop_factory=exact) as runner:
                load = runner.run(_load(port, scenario, tell))
                overhead = runner.run(_ready(load, process.poll))
                if overhead is not None:
                    yield runner, load, overhead
                    return
            said = errors.read_text(errors="replace")
        if not left or "in use" not in said:
            raise ValueError(f"the door did not start:\n{said}")


async def _load(port: int, scenario: Scenario, tell: Callable[[int], object] | None) -> Load:
    return Load(port, scenario.method, scenario.workers > 1, tell)


async def _ready(load: Load, left: Callable[[], int | None]) -> float | None:
    """The overhead, as soon as the door serves; None when it does not."""
    loop = asyncio.get_running_loop()
    until = loop.time() + STARTS_IN
    while left() is None and loop.time() < until:
        with contextlib.suppress(OSError):
            return await load.idle_overhead(IDLE_REQUESTS)
        await asyncio.sleep(0.05)
    return None


def _run(runner: asyncio.Runner, load: Load, at: Sequence[float], clients: Sequence[bytes]) -> bool:
    """Send everything; False when it was stopped."""
    gc.collect()
    gc.disable()
    try:
        runner.run(load.run(at, clients))
    except KeyboardInterrupt:
        return False
    finally:
        gc.enable()
    return True


def _compared(
    scenario: Scenario, name: str, world: Foreseen, found: Sequence[Answered], overhead: float, complete: bool
) -> Lived:
    """Both sides, of the requests after the warm-up, and up to the last that was answered if it was stopped."""
    number, at = len(scenario.backends), times(scenario)
    warm, last = int(len(at) * scenario.warmup), max((one.number for one in found), default=-1)
    counted = [one for one in found if one.number >= warm]
    well = [one for one in counted if one.status and one.status < 400]
    failed = _by_status(one.status for one in counted if not 0 < one.status < 400)
    measured = Side([one.latency for one in well], [one.backend for one in well], number, failed)
    begin, end = (at[warm], at[last]) if last >= warm else (0.0, -1.0)
    begin, end = begin - EXACT, end + EXACT
    ended = [one for one in world.ended if begin <= one.start <= end]
    lost = _by_status(status for start, status in world.failures_at if begin <= start <= end)
    predicted = Side([one.latency for one in ended], [one.backend for one in ended], number, lost)
    late = 1e3 * quantile(sorted(one.late for one in counted), 0.99)
    return Lived(name, measured, predicted, 1e3 * overhead, late, complete)


def _by_status(statuses: Iterable[int]) -> Counter[str]:
    """What failed, by what clients saw of it."""
    return Counter(str(status or "no answer") for status in statuses)
