"""How far a simulation is, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from proxy.lab.scenario import Scenario
from proxy.lab.simulate import Progress


@contextmanager
def shown(scenario: Scenario) -> Iterator[Progress | None]:
    """What shows how far a run is, where somebody looks and rich (the extra "lab") is there."""
    rich: Any = None
    if sys.stderr.isatty():
        try:
            rich, console = import_module("rich.progress"), import_module("rich.console")
        except ImportError:
            rich = None
    if rich is None:
        yield None
        return
    with rich.Progress(console=console.Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(strategy: str, number: int) -> None:
            if strategy not in tasks:
                tasks[strategy] = bars.add_task(strategy, total=scenario.requests)
            bars.update(tasks[strategy], completed=number)

        yield progress
