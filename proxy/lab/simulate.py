"""Simulate a scenario: in a notebook, a test, or for the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from proxy.catalog import Factory
from proxy.lab.outcome import Comparison, Outcome
from proxy.lab.recording import Recorder
from proxy.lab.scenario import Scenario, of
from proxy.lab.world import World

Progress = Callable[[str, int], object]  # told the strategy and how many requests have come


def simulate(
    scenario: Scenario,
    strategy: str | Factory | None = None,
    *,
    progress: Progress | None = None,
    recorder: Recorder | None = None,
) -> Outcome:
    """One run under one strategy: a name, a factory of one's own, or the scenario's first. ValueError when it is none.

    Stopped by Ctrl-C it gives what there is, and says that it is not `complete`. A `recorder` says what of the run is
    to be remembered, in `outcome.world.recording`.
    """
    factory = None if strategy is None or isinstance(strategy, str) else strategy
    name = strategy if isinstance(strategy, str) else scenario.strategies[0]
    if factory is not None:
        name = getattr(factory, "__name__", "own")
    world = World(scenario, scenario.strategies[0] if factory is not None else name, factory, recorder)
    complete = world.run(None if progress is None else lambda number: progress(name, number))
    return Outcome(name, world, complete)


def compare(
    scenario: Scenario,
    *,
    own: Mapping[str, Factory] | None = None,
    progress: Progress | None = None,
    recorder: Recorder | None = None,
) -> Comparison:
    """All strategies of a scenario, and strategies of one's own by name, on the same requests: their Outcomes by name.

    ValueError when a strategy is none. Stops where one was stopped; KeyboardInterrupt when there is nothing yet.
    """
    found = Comparison(scenario)
    wanted: dict[str, Any] = {**{name: name for name in scenario.strategies}, **(own or {})}
    for name, strategy in wanted.items():
        try:
            found[name] = simulate(scenario, strategy, progress=progress, recorder=recorder)
            found.complete = found[name].complete
        except KeyboardInterrupt:  # while it was set up
            if not found:
                raise
            found.complete = False
        if not found.complete:
            break
    return found


def scenario(**said: Any) -> Scenario:
    """A scenario of its keys, as a file has them. ValueError with sentences."""
    return of(said)
