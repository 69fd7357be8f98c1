"""Replay: what the requests of an access log would have met under each strategy.

Rules: all that decides is the production's, as in a simulation; how requests are played is `rerun`. What the log shows
itself stands beside the outcomes, and what it cannot tell is said in `notes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from proxy.catalog import Factory
from proxy.lab.logs.logged import Logged, read
from proxy.lab.logs.rerun import Rerun
from proxy.lab.outcome import Outcome
from proxy.lab.recording import Recorder
from proxy.lab.scenario import Machine, Scenario
from proxy.lab.simulate import Progress

STRATEGIES: Final = ("round_robin", "least_conn", "random", "random_two", "least_time", "peak_ewma", "ip_hash", "hash")
KNOWN: Final = {"requests", "rate", "service", "arrivals"}  # keys of a scenario that the log says


class Replayed(dict[str, Outcome]):
    """Outcomes by strategy, the log that they are of, and the scenario."""

    def __init__(self, scenario: Scenario, logged: Logged) -> None:
        super().__init__()
        self.scenario = scenario
        self.logged = logged

    def notes(self) -> list[str]:
        """What is to be known of these numbers, in sentences."""
        found = self.logged.notes()
        if self.logged.service_places:
            found.append(
                f"the waiting at backends was taken out of the logged times: each as a line with"
                f" {self.logged.service_places} places, first come first served"
            )
        else:
            found.append(
                "logged times of backends hold the time that requests waited there: with --service-places N (requests"
                " that each backend works on at a time) that is taken out"
            )
            if all(one.concurrency >= self.logged.most for one in self.scenario.backends):
                found.append(
                    f"backends have places for all that the log shows at one at a time ({self.logged.most}), so"
                    " strategies hardly differ in latency; --concurrency says how many they have"
                )
        if outages := self.logged.outages():
            known = {server.address for server in self.scenario.table(self.scenario.strategies[0]).servers}
            number = sum(outage.address in known for outage in outages)
            found.append(f"{number} of {len(outages)} outages that the log shows are played as well")
        return found

    def told(self) -> dict[str, Any]:
        """As JSON has it: for one strategy its numbers, too, stand where one looks first."""
        outcomes = {name: outcome.told() for name, outcome in self.items()}
        first = next(iter(outcomes.values())) if len(outcomes) == 1 else {}
        log = self.logged.log
        scenario = {
            **self.scenario.model_dump(mode="json", exclude_defaults=True, exclude=KNOWN),
            "strategies": list(self.scenario.strategies),
            "seed": self.scenario.seed,
            "backends": [
                {"concurrency": one.concurrency, **one.model_dump(exclude_defaults=True)}
                for one in self.scenario.backends
            ],
        }
        return {
            "log": {
                "paths": log.paths, "lines": log.lines, "bad": log.bad, "first_bad": log.first_bad or None,
                "formats": log.formats, "requests": len(self.logged), "skipped": self.logged.skipped,
                "service_places": self.logged.service_places or None,
            },
            "scenario": scenario, "as_logged": self.logged.told(), **first, "strategies": outcomes,
            "notes": self.notes(),
        }  # fmt: skip


def as_logged(logged: Logged, **said: Any) -> Scenario:
    """A scenario with the backends that the log names, each with as many places as `concurrency` says, or as were
    seen in use at a time. ValueError with sentences."""
    places = said.pop("concurrency", None) or logged.service_places or logged.most
    servers = servers_of(logged)
    said.setdefault("strategies", STRATEGIES)
    upstream = {"servers": servers, **said.pop("upstream", {})} if servers else said.pop("upstream", {})
    backends = said.pop("backends", None) or (Machine(concurrency=places),) * max(1, len(servers))
    return Scenario(backends=backends, upstream=upstream, **{"warmup": 0.0, **pace(logged), **said})


def pace(logged: Logged) -> dict[str, Any]:
    """How many requests a log has, and at what rate they came: keys of a scenario."""
    return {"requests": len(logged), "rate": len(logged) / max(logged.starts[-1], 1e-3)}


def servers_of(logged: Logged) -> list[str]:
    """The addresses of a log, for an [upstream] table; none when the log tells none."""
    return sorted({*logged.addresses, *logged.lost} - {"?"})


def replay(
    log: Logged | str | Sequence[str],
    scenario: Scenario | None = None,
    *,
    strategies: str | Sequence[str] = STRATEGIES,
    service_places: int | None = None,
    format: str | None = None,
    own: Mapping[str, Factory] | None = None,
    progress: Progress | None = None,
    recorder: Recorder | None = None,
) -> Replayed:
    """What would have been under each strategy: of access logs, or of one that is read already. ValueError with a
    sentence. Without a scenario the backends are those of the log. Ends at the first that was stopped by Ctrl-C."""
    logged = log if isinstance(log, Logged) else read(log, format=format)
    if service_places is not None:
        logged.unqueue(service_places)
    if scenario is None:
        names = tuple(strategies.split(",")) if isinstance(strategies, str) else tuple(strategies)
        scenario = as_logged(logged, strategies=names)
    found = Replayed(scenario, logged)
    wanted: dict[str, Any] = {**{name: name for name in scenario.strategies}, **(own or {})}
    for name, strategy in wanted.items():
        factory = None if isinstance(strategy, str) else strategy
        balance = name if factory is None else scenario.strategies[0]
        told = None if progress is None else partial(progress, name)
        world = Rerun(scenario, logged, balance, factory, recorder)
        complete = world.run(told)
        if complete and world.overslept:
            world = Rerun(scenario, logged, balance, factory, recorder, impatient=True)
            complete = world.run(told)
        found[name] = Outcome(name, world, complete)
        if not complete:
            break
    return found
