"""What every conversation shares: a way to open a door, and a look through it when the conversation is over."""

from __future__ import annotations

import pytest
from stage import SOLO, Door


@pytest.fixture(autouse=True)
def balanced():
    """After every conversation each exchange has finished once and all that was taken has been settled."""
    Door.opened.clear()
    yield
    for door in Door.opened:
        door.end()
    Door.opened.clear()


@pytest.fixture
def opened(monkeypatch, balanced):
    """Opens doors: `opened(toml)`."""

    def make(toml=SOLO):
        return Door(toml, monkeypatch)

    return make


@pytest.fixture
def door(opened):
    """A door with one backend."""
    return opened()
