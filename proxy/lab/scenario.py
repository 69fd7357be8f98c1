"""What is simulated, as tables: requests, backends, doors, and the [upstream] table whose policies decide.

Rules: pure and frozen, and told in the words of the configuration; a file and the options of the command make the same
Scenario. The `upstream` table is the configuration's own and is read by the same Model, so what a scenario shows is
what a door with that table does. Times are seconds once they are read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from proxy.config import words
from proxy.config.limit import Limit
from proxy.config.redis import OnFailure
from proxy.config.table import ShortTable, Table
from proxy.config.upstream import Upstream
from proxy.lab.arrivals import Arrivals
from proxy.lab.draws import Draw, draw

MOST_BACKENDS: Final = 100_000
MOST_PLACES: Final = 20_000_000  # doors x workers x backends that each knows: 0.7 KB each
RATES: Final = (1e-9, 1e9)  # requests a second that the clock can tell apart, and the run can come to
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Machine(ShortTable):
    """What stands behind one address: how long it takes, and how many requests it works on at a time.

    Requests above `concurrency` wait in its own line, first come first served; of those above `backlog` no connection
    is taken.
    """

    service: str | None = Field(default=None, description="its service times; none: the scenario's")
    concurrency: words.Positive = Field(default=1, le=1_000_000, description="requests that it works on at a time")
    speed: Number = Field(default=1.0, description="how fast it is, over the others")
    errors: Share = Field(default=0.0, description="share of its answers that are errors")
    error_status: Annotated[int, Field(ge=400, le=599)] = Field(default=503, description="their status")
    backlog: words.Count = Field(default=0, description="requests that wait in its line at most; 0: any number")
    weight: words.Positive | None = Field(default=None, description="its weight; none: the upstream table's")
    cold: words.Duration = Field(
        default=0.0, description="seconds after a start in which it comes to its speed, from a tenth of it"
    )

    @field_validator("service", mode="after")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            draw(text)
        return text


class Event(Table):
    """What happens at a time: a backend goes away or comes back, is slow, hangs, or answers with errors.

    "down": it takes no connections and breaks those that it has; "hang": it takes requests and does not answer;
    "up": it works again; "restart": down for `value` seconds; "speed", "errors": they become `value`.
    """

    at: words.Duration = Field(description="seconds from the beginning")
    do: Literal["down", "up", "hang", "restart", "speed", "errors"] = Field(description="what happens")
    backends: tuple[words.Count, ...] = Field(default=(), description="their numbers, from 0; none: all of them")
    value: words.Duration = Field(default=0.0, description="seconds of a restart, a speed, a share of errors")

    @model_validator(mode="after")
    def _shared(self) -> Event:
        if self.do == "errors" and self.value > 1.0:
            raise ValueError(f"value: errors are a share, 0 to 1 (got {self.value:g})")
        return self


class Distant(ShortTable):
    """The Redis that doors share a limit through, and how far it is."""

    round_trip: words.Duration = Field(default=0.0005, description="seconds to it and back")
    decision: words.Duration = Field(
        default=0.0000064, description="seconds that it takes for one decision: it makes one at a time"
    )
    deadline: words.Period = Field(default=0.025, description="seconds that a request waits for its decision at most")
    on_failure: OnFailure = Field(default="local", description="what holds for requests that it does not decide")
    failures: words.Positive = Field(default=3, description="decisions too late in a row after which it is left alone")
    recovery: words.Period = Field(default=1.0, description="seconds between tries to reach it again, at most")
    pending: words.Positive = Field(default=10_000, description="requests of a worker that may wait at a time")


class Scenario(Table):
    """All that a simulation needs to be repeated; frozen.

    Python may be brief, as a file is: `Scenario(strategies="least_conn,random_two", backends=10, stale="50ms")`. Type
    checkers want what the fields say: `strategies=("least_conn",), backends=(Machine(),) * 10, stale=0.05`. ValueError
    with what is wrong, in all of it.
    """

    strategies: tuple[str, ...] = Field(
        default=("round_robin",),
        min_length=1,
        description='what is compared: names as in `balance`, or "package.module:factory"',
    )
    backends: tuple[Machine, ...] = Field(default=(Machine(),) * 4, min_length=1, description="how many, or each")
    arrivals: str = Field(default="poisson", description="when requests come")
    service: str = Field(default="exp:20ms", description="how long a backend works on one")
    load: Number | None = Field(default=None, description="work that comes over what all backends can do")
    rate: Number | None = Field(default=None, description="requests a second, instead of a load")
    requests: words.Positive = Field(default=100_000, le=10**12, description="how many come")
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.05, description="share of them, the first, that is not counted"
    )
    seed: int = Field(default=1, description="the same seed, the same result")
    doors: words.Positive = Field(default=1, description="front doors, which know nothing of each other")
    workers: words.Positive = Field(default=1, description="workers of each door")
    subset: words.Count = Field(
        default=0, description="backends that each door knows, in an order of its own; 0: all, in the same order"
    )
    subset_by: Literal["deterministic", "rendezvous"] = Field(
        default="deterministic",
        description="which: doors deal out all backends in turns, or each draws its own by a hash",
    )
    shared: Literal["door", "worker", "all"] = Field(
        default="door",
        description='who counts together what is in flight, and breakers and limits: the workers of a "door", as in'
        ' production; no "worker" with another; "all" doors',
    )
    stale: words.Duration = Field(
        default=0.0, description="seconds between two looks at what is in flight; 0: it is always known"
    )
    keys: words.Positive = Field(default=1000, le=10_000_000, description="clients, for hashes and limits")
    popularity: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="exponent of Zipf's law for the share of each client; 0: all alike"
    )
    network: words.Duration = Field(
        default=0.0, description="seconds of a round trip between doors and backends; a new connection takes one more"
    )
    timeout: words.Period | None = Field(
        default=None, description="seconds that a door waits for an answer at most; none: 120, as a door"
    )
    cancels: bool = Field(default=False, description="a backend drops the work whose door waits no longer")
    method: Literal["GET", "POST"] = Field(default="GET", description="POST is not sent twice unless that is safe")
    upstream: dict[str, Any] = Field(default={}, description="the [upstream] table, but for what stands above")
    limit: Limit | None = Field(default=None, description="a [limit] table; its key is always the client")
    redis: Distant = Field(default=Distant(), description='where the bucket of a limit is with shared = "redis"')
    event: tuple[Event, ...] = Field(default=(), description="what happens in between")

    @field_validator("strategies", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return tuple(word.strip() for word in value.split(",")) if isinstance(value, str) else value

    @field_validator("backends", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if not 1 <= value <= MOST_BACKENDS:
            raise ValueError(f"must be 1 to {MOST_BACKENDS} backends")
        return (Machine(),) * value

    @field_validator("arrivals", "service", mode="after")
    @classmethod
    def _readable(cls, text: str, found: ValidationInfo) -> str:
        if found.field_name == "arrivals":
            Arrivals(text)
        else:
            draw(text)
        return text

    @model_validator(mode="before")
    @classmethod
    def _by_servers(cls, value: Any) -> Any:
        """As many backends as the upstream table has servers, if nothing else is said."""
        upstream = value.get("upstream") if isinstance(value, Mapping) else None
        servers = upstream.get("servers") if isinstance(upstream, Mapping) else None
        if not servers:
            return value
        if not isinstance(servers, list | tuple) or not all(isinstance(one, str | Mapping) for one in servers):
            raise ValueError('upstream.servers must be a list such as ["127.0.0.1:8000", "127.0.0.1:8001"]')
        return value if "backends" in value else {**value, "backends": len(servers)}

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        """`strategy` is a word for `strategies`, and so is the `balance` of the upstream table, if that is all."""
        if not isinstance(value, Mapping) or "strategies" in value:
            return value
        if "strategy" in value:
            return {("strategies" if key == "strategy" else key): said for key, said in value.items()}
        upstream = value.get("upstream")
        if isinstance(upstream, Mapping) and "balance" in upstream:
            return {**value, "strategies": (upstream["balance"],)}
        return value

    @model_validator(mode="after")
    def _whole(self) -> Scenario:
        if self.load is not None and self.rate is not None:
            raise ValueError("load and rate cannot both be given: one follows from the other")
        number = len(self.upstream.get("servers") or self.backends)
        if number != len(self.backends):
            raise ValueError(f"the upstream table has {number} servers, and there are {len(self.backends)} backends")
        places = self.doors * self.workers * (min(self.subset, number) or number)
        if places > MOST_PLACES:
            raise ValueError(
                f"doors x workers x backends are {places}, and {MOST_PLACES} at most: let each door know a subset"
            )
        if not RATES[0] <= self.arriving <= RATES[1]:
            raise ValueError(f"{self.arriving:.3g} requests a second cannot be simulated: change load, rate or service")
        if self.limit is not None and self.limit.rate is None and self.limit.in_flight is None:
            raise ValueError("limit needs a rate, or how many may be in flight")
        for event in self.event:
            if any(place >= number for place in event.backends):
                raise ValueError(f"an event at {event.at:g} s is for a backend that is not there (0 to {number - 1})")
        for strategy in self.strategies:
            fallback = self.table(strategy).fallback
            if fallback is not None and fallback.upstream is not None:
                raise ValueError("upstream.fallback.upstream cannot be simulated: there is one upstream; leave it out")
        return self

    def but(self, **said: Any) -> Scenario:
        """The same with other values for some keys; a load takes the place of a rate, and a rate that of a load.
        ValueError with sentences."""
        gone = {"load", "rate"} if said.keys() & {"load", "rate"} else set()
        return of({**{key: getattr(self, key) for key in self.model_fields_set - gone}, **said})

    def table(self, strategy: str) -> Upstream:
        """The [upstream] table with this strategy. ValueError when it is not right."""
        said = dict(self.upstream)
        servers = said.pop("servers", None) or [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}:8000" for i in self.places]
        said["balance"] = strategy
        if said.get("balance") == "hash":
            said.setdefault("hash", "$remote_addr")
        said["servers"] = [weighed(one, own) for one, own in zip(servers, self.backends, strict=True)]
        return Upstream.model_validate(said)

    @property
    def places(self) -> range:
        """The numbers of the backends."""
        return range(len(self.backends))

    def draw(self, place: int) -> Draw:
        """The service times of a backend at its usual speed of 1."""
        return draw(self.backends[place].service or self.service)

    @property
    def capacity(self) -> float:
        """Requests a second that all backends together can answer when nothing is wrong with them."""
        return sum(one.concurrency * one.speed / self.draw(place).mean for place, one in enumerate(self.backends))

    @property
    def arriving(self) -> float:
        """Requests a second that come on average."""
        arrivals = Arrivals(self.arrivals)
        return arrivals.rate(self.rate if self.rate is not None else (self.load or 0.6) * self.capacity)


def weighed(server: Any, machine: Machine) -> Any:
    """A server of an upstream table with the weight of its machine, if that has one."""
    if machine.weight is None:
        return server
    said = {"address": server} if isinstance(server, str) else dict(server)
    return {**said, "weight": machine.weight}


def read(path: str, **said: Any) -> Scenario:
    """The scenario of a TOML file, with what is said besides. ValueError with sentences."""
    try:
        found = tables(path)
    except (OSError, ValueError) as problem:  # no such file, no TOML, no text
        raise ValueError(f"{path}: cannot be read as a scenario: {problem}") from None
    return of({**found, **said}, f"{path}: ")


def tables(path: str) -> dict[str, Any]:
    """What a file says; strategies of one's own are imported from its folder, if it names any and no other folder."""
    found = tomllib.loads(Path(path).read_text())
    upstream = found.get("upstream", {})
    if not isinstance(upstream, dict):
        return found
    if ":" in str(found.get("strategies", found.get("strategy", upstream.get("balance")))):
        folder = Path(path).absolute().parent
        found["upstream"] = {**upstream, "balance_from": str(folder / str(upstream.get("balance_from", ".")))}
    return found


def of(said: Mapping[str, Any], place: str = "") -> Scenario:
    """A scenario of its keys. ValueError with a sentence for each mistake."""
    try:
        return Scenario.model_validate(said)
    except ValidationError as error:
        found = error.errors()
        inner = {one["loc"][0] for one in found if len(one["loc"]) > 1}  # what is wrong in a list makes it too short
        told = [one for one in found if one["type"] != "too_short" or one["loc"][0] not in inner]
        raise ValueError("\n".join(place + _sentence(one) for one in told)) from None


def _sentence(found: Any) -> str:
    where = ".".join(map(str, found["loc"])) or "the scenario"
    return f"{where}: {found['msg'].removeprefix('Value error, ')}"
