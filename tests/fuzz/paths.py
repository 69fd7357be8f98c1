"""A door on the stage that fuzz targets talk through, again and again.

Rules: one door serves all inputs, as a real one does, so that what one input leaves behind meets the next. After each
input everybody has gone, every exchange has finished once and nothing is taken.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from stage import ONE, Client, Door

TOML = (
    ONE
    + """
[http]
max_head = "4k"
max_target = 1000
max_fields = 20
max_body = "1k"
[upstream.app]
servers = ["10.0.0.1:1"]
max_fails = 0
[site.all]
default = true
[[site.all.route]]
path = "/"
upstream = "app"
"""
).replace("max_target = 1000\n", "")


PATCHES: list[pytest.MonkeyPatch] = []


def leave_nothing() -> None:
    """Undo what was patched once for all runs, and let the log speak again."""
    while PATCHES:
        PATCHES.pop().undo()
    _path.clear()
    logging.getLogger("frontgate").setLevel(logging.NOTSET)


class Path:
    """The door, and its one backend."""

    def __init__(self) -> None:
        logging.getLogger("frontgate").setLevel(logging.CRITICAL)
        self.patch = pytest.MonkeyPatch()
        PATCHES.append(self.patch)
        self.door = Door(TOML, self.patch)
        Door.opened.remove(self.door)
        self.backend = self.door.backend()

    def client(self) -> Client:
        """A new client."""
        client: Client = self.door.client()
        return client

    def tidy(self) -> None:
        """All leave; then nothing may be left."""
        door = self.door
        for client in door.clients:
            if not client.lost:
                client.resets()
        for wire in self.backend.wires:
            if not wire.lost:
                wire.resets()
        assert len(door.made) == len(door.finished) and {*map(id, door.made)} == {*map(id, door.finished)}
        for exchange in door.made:
            assert exchange.finished and exchange.link is None and exchange.backend is None
        for one in door.every_backend():
            assert one.taken == one.settled and one.inflight.total() == 0
        assert not door.runtime.listeners["web"].connections and not door.dials
        for gone in (door.clients, door.made, door.finished, self.backend.wires):
            gone.clear()
        door.clock.now += 1.0


_path: list[Any] = []


def path() -> Path:
    """The door of this process."""
    if not _path:
        _path.append(Path())
    found: Path = _path[0]
    return found
