"""What there is to tell of applications and their workers, from shared memory and the Model alone.

Rules: any process may ask; nothing is changed.
"""

from __future__ import annotations

import time
from typing import Any

from proxy.config.app import seat
from proxy.config.model import Model
from proxy.policy import seats
from proxy.shared.arena import Arena


def apps(arena: Arena, model: Model) -> list[dict[str, Any]]:
    """Each app with its `workers`: those that there are, were, or are to be again, but no seat that is kept free."""
    row = arena.cells(arena.supervisor)

    def said(*name: str) -> int:
        return int(row[arena.column(name)]) if name in arena.layout else 0

    return [
        {
            "name": name,
            "app": app.app,
            "server": app.server,
            "wanted": app.crew,
            "rolls": said("app", name, "rolls"),
            "rollbacks": said("app", name, "rollbacks"),
            "rolled": said("app", name, "rolled_ms") / 1000 or None,
            "workers": [
                one
                for number in range(app.crew + 1)
                if (one := worker(arena, model, name, number))["state"] != seats.STATES[seats.VACANT]
            ],
        }
        for name, app in model.app.items()
    ]


def worker(arena: Arena, model: Model, name: str, number: int) -> dict[str, Any]:
    """One seat of an app. Times are seconds since 1970, `age` is in seconds, `memory` in bytes."""
    row = arena.cells(arena.supervisor)
    address = seat(model.runtime, name, number)

    def said(word: str) -> int:
        column = ("app", name, str(number), word)
        return int(row[arena.column(column)]) if column in arena.layout else 0

    def counted(word: str) -> int:
        column = ("backend", name, address, word)
        return arena.total(column) if column in arena.layout else 0

    born = said("born_ms") / 1000
    return {
        "name": f"{name}.{number}",
        "seat": number,
        "address": address,
        "pid": said("pid"),
        "generation": said("generation"),
        "state": seats.STATES.get(said("state"), "vacant"),
        "since": said("since_ms") / 1000,
        "started": born,
        "age": round(max(0.0, time.time() - born), 1) if said("pid") else 0.0,
        "requests": max(0, counted("taken") - said("taken")),
        "in_flight": counted("inflight"),
        "memory": said("memory"),
        "restarts": said("restarts"),
        "recycled": said("recycled"),
    }


def serving(arena: Arena, model: Model, name: str) -> dict[str, str]:
    """The workers of an app that serve, and their sockets ("unix:/path"), by what they are called ("main.2")."""
    found = [worker(arena, model, name, number) for number in range(model.app[name].crew + 1)]
    return {f"{name}.{one['seat']}": one["address"] for one in found if one["state"] == seats.STATES[seats.SERVING]}


def vacant(arena: Arena, model: Model, upstream: str, address: str) -> bool:
    """Whether a server of an upstream is a seat of an app in which nobody is, nor should be."""
    app = model.app.get(upstream)
    if app is None:
        return False
    numbers = [number for number in range(app.crew + 1) if seat(model.runtime, upstream, number) == address]
    return any(worker(arena, model, upstream, one)["state"] == seats.STATES[seats.VACANT] for one in numbers)
