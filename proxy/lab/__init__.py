"""The laboratory: the policies of production under simulated load.

In a notebook:

    from proxy.lab import Machine, Scenario, compare, read, simulate

    scenario = Scenario(strategies=("round_robin", "least_conn"), backends=(Machine(),) * 4, load=0.8, requests=20_000)
    outcomes = compare(scenario)
    outcomes["least_conn"].latency.p99                       # milliseconds
    [one.share for one in outcomes["round_robin"].backends]
    {load: simulate(scenario.but(load=load), "random_two").latency.mean for load in (0.5, 0.7, 0.9)}

A Scenario is all that a run needs to be repeated, with the words of a configuration; `read` takes it from a TOML file,
`but` changes some of it. `simulate` runs it under one strategy and gives an Outcome: latencies, failures, what each
backend did. `compare` runs it under all of its strategies, and gives their Outcomes by name.

A strategy of one's own is a Factory, a class or function of (backends, clock, rng) whose result has
`pick(exchange, tried)`: `simulate(scenario, Mine)`, `compare(scenario, own={"mine": Mine})`, and "module:Mine" by name.
`live(scenario)` runs the real door under the same load and gives what was measured beside what is predicted.
"""

from proxy.catalog import Factory
from proxy.lab.logs.replay import replay
from proxy.lab.outcome import Comparison, Outcome
from proxy.lab.reality.live import Lived, live
from proxy.lab.recording import Recorder
from proxy.lab.scenario import Event, Machine, Scenario, read
from proxy.lab.simulate import compare, simulate

__all__ = [
    "Comparison",
    "Event",
    "Factory",
    "Lived",
    "Machine",
    "Outcome",
    "Recorder",
    "Scenario",
    "compare",
    "live",
    "read",
    "replay",
    "simulate",
]
