"""A strategy of one's own in the real door: the example of the laboratory, edits that a reload takes up, and faults."""

from __future__ import annotations

import shutil
import threading

import pytest
from configs import plain
from door import ROOT, Door, fetch, until
from test_balancing import backends, server

EXAMPLE = ROOT / "config" / "strategies" / "least_loaded.py"
FIXED = """\
class Fixed:
    def __init__(self, backends, clock, rng):
        self.backends = backends

    def pick(self, exchange, tried):
        return {pick}
"""


def door_of(ports, balance):
    """A door before these ports that is not running yet, with a folder for strategies."""
    servers = f"servers = [{', '.join(server(port) for port in ports)}]"
    return Door(plain(upstream=f'{servers}\nbalance = "{balance}"', workers=1))


def test_the_example_of_the_laboratory_serves():
    """While requests are held, each goes where the fewest are."""
    with backends("abc") as (named, ports):
        door = door_of(ports, "strategies.least_loaded:LeastLoaded")
        (door.folder / "strategies").mkdir()
        shutil.copy(EXAMPLE, door.folder / "strategies")
        with door:
            for wave in (1, 2):
                askers = [threading.Thread(target=fetch, args=(door.port, "/hold")) for _ in range(3)]
                for asker in askers:
                    before = sum(one.now for one in named)
                    asker.start()
                    until(lambda before=before: sum(one.now for one in named) == before + 1)
                assert [one.now for one in named] == [wave] * 3
            for one in named:
                one.go.set()
            until(lambda: not any(one.now for one in named))
            assert door.status()["upstreams"]["app"]["balance"] == "strategies.least_loaded:LeastLoaded"


def test_a_reload_takes_up_what_was_edited_and_refuses_what_is_wrong():
    with backends("abc") as (_, ports):
        door = door_of(ports, "fixed:Fixed")
        file = door.folder / "fixed.py"
        file.write_text(FIXED.format(pick="self.backends[0]"))
        with door:
            assert door.get().body == b"a"
            file.write_text(FIXED.format(pick="self.backends[1 + 0]"))
            door.reload()
            assert door.get().body == b"b"
            file.write_text(FIXED.replace("def pick", "def choose"))
            door.reload(good=False)
            assert "has no pick(exchange, tried)" in door.stderr and "frontgate.toml:" in door.stderr
            assert door.get().body == b"b"


def test_whatever_it_does_requests_are_answered():
    with backends("abc") as (_, ports):
        door = door_of(ports, "fixed:Fixed")
        (door.folder / "fixed.py").write_text(FIXED.format(pick="self.backends[7]"))
        with door:
            assert sorted(door.get().body for _ in range(3)) == [b"a", b"b", b"c"]
            line = "balance = fixed:Fixed failed 1 times; what it did not pick, round_robin did: IndexError in "
            assert line in door.stderr and door.stderr.count("balance = fixed:Fixed failed") == 1


@pytest.mark.parametrize("balance", ["nowhere:Mine", "fixed:Mine"])
def test_it_does_not_start_without_one(balance):
    door = Door(plain(upstream=f'servers = ["127.0.0.1:1"]\nbalance = "{balance}"'), wait=False)
    (door.folder / "fixed.py").write_text("")
    with door:
        assert door.left() == 1
    assert f'there is no strategy "{balance}"' in door.stderr
