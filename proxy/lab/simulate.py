"""Simulate a scenario: in a notebook, a test, or for the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from proxy.lab.doors import Factory
from proxy.lab.outcome import Comparison, Outcome
from proxy.lab.scenario import Scenario, of
from proxy.lab.world import World

Progress = Callable[[str, int], object]  # told the strategy and how many requests have come


def simulate(scenario: Scenario, strategy: str | Factory | None = None, *, progress: Progress | None = None) -> Outcome:
    """One run under one strategy: a name, a factory of one's own, or the scenario's first. ValueError when it is none.

    Stopped by Ctrl-C it gives what there is, and says that it is not `complete`.
    """
    factory = None if strategy is None or isinstance(strategy, str) else strategy
    name = strategy if isinstance(strategy, str) else scenario.strategies[0]
    if factory is not None:
        name = getattr(factory, "__name__", "own")
    world = World(scenario, scenario.strategies[0] if factory is not None else name, factory)
    complete = world.run(None if progress is None else lambda number: progress(name, number))
    return Outcome(name, world, complete)


def compare(
    scenario: Scenario, *, own: Mapping[str, Factory] | None = None, progress: Progress | None = None
) -> Comparison:
    """All strategies of a scenario, and strategies of one's own, on the same requests. Stops where one was stopped."""
    found = Comparison(scenario)
    wanted: dict[str, Any] = {**{name: name for name in scenario.strategies}, **(own or {})}
    for name, strategy in wanted.items():
        outcome = simulate(scenario, strategy, progress=progress)
        found[name] = outcome
        if not outcome.complete:
            break
    return found


def scenario(**said: Any) -> Scenario:
    """A scenario of its keys, as a file has them. ValueError with sentences."""
    return of(said)
