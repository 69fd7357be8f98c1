"""What `frontgate top` knows of the door, and what the operator has chosen to see of it.

Rules: events of the admin door change it, as the dashboard's picture; nothing here knows of a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

ORDERS: Final = ("configured", "in flight", "requests", "p99", "failed")
MOST_SAMPLES: Final = 600  # ten minutes
MOST_ERRORS: Final = 50


class Marks(NamedTuple):
    """What bars and small charts are made of."""

    full: str
    empty: str
    steps: str


UNICODE: Final = Marks("█", "·", "▁▂▃▄▅▆▇█")
ASCII: Final = Marks("#", ".", "_.-=+*#@")


@dataclass
class View:
    """What is known of the door, and what the operator has chosen to see."""

    state: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    upstreams: list[dict[str, Any]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    workers: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    trouble: str = ""  # why nothing new comes
    message: str = ""  # a question, or how something ended
    order: int = 0  # of ORDERS
    chosen: tuple[str, str] | None = None  # upstream and backend
    marks: Marks = UNICODE

    def hear(self, name: str, body: dict[str, Any]) -> None:
        """Take in an event of the door."""
        self.trouble = ""
        if name == "hello":
            self.state = body["state"]
            self.samples = body["history"][-MOST_SAMPLES:]
        elif name == "tick":
            self.samples = [*self.samples, body["sample"]][-MOST_SAMPLES:]
            self.state, self.upstreams = body["state"], body["upstreams"]
            self.limits, self.workers = body["limits"], body["workers"]
        elif name == "errors":
            self.errors = [*body["errors"], *self.errors][:MOST_ERRORS]

    def backends(self) -> list[tuple[str, dict[str, Any]]]:
        """Upstream and backend of each line, in the order they are shown."""
        return [(one["name"], backend) for one in self.upstreams for backend in self.ordered(one["backends"])]

    def ordered(self, backends: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Backends in the chosen order, the largest first."""
        word = ORDERS[self.order]
        if word == "configured":
            return list(backends)
        keys = {
            "in flight": lambda one: one["in_flight"],
            "requests": lambda one: one["rate"],
            "p99": lambda one: one["latency"]["p99"] or 0.0,
            "failed": lambda one: one["failures"],
        }
        return sorted(backends, key=keys[word], reverse=True)

    def move(self, step: int) -> None:
        """Choose the backend `step` lines further."""
        places = [(upstream, backend["address"]) for upstream, backend in self.backends()]
        if not places:
            self.chosen = None
            return
        here = places.index(self.chosen) if self.chosen in places else -1 if step > 0 else 0
        self.chosen = places[max(0, min(len(places) - 1, here + step))]

    def chosen_backend(self) -> dict[str, Any] | None:
        """The backend that is chosen, as it is now."""
        for upstream, backend in self.backends():
            if (upstream, backend["address"]) == self.chosen:
                return backend
        return None
