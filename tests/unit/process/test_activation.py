"""Sockets of the service manager: whose they are, and what a door does with them."""

from __future__ import annotations

import os
import socket

import pytest

from proxy.process.activation import Lent, assigned, lent
from proxy.process.doors import Doorway, Left


@pytest.fixture
def opened():
    """Makes sockets that listen: `opened(address, shared, both)`."""
    made = []

    def make(address=("127.0.0.1", 0), shared=False, both=False):
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        one = socket.socket(family)
        made.append(one)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        one.bind(address)
        one.listen()
        return one

    yield make
    for one in made:
        one.close()


def address_of(one):
    host, port = one.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@pytest.fixture
def first():
    """A descriptor from which on nobody has any; whoever ran before may have left some open."""
    return max(map(int, os.listdir("/proc/self/fd"))) + 16


def passed(sockets, first, pid=None, names=None):
    """What a process is told that has these sockets, from a descriptor on."""
    for number, one in enumerate(sockets):
        os.dup2(one.fileno(), first + number, inheritable=True)
    environment = {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(len(sockets)), "OTHER": "1"}
    if names is not None:
        environment["LISTEN_FDNAMES"] = names
    found = lent(environment, first)
    assert environment == {"OTHER": "1"}, "children must not take them for theirs"
    return found


def test_what_is_taken(opened, first):
    one, two = opened(), opened()
    found = passed([one, two], first, names="web:other")
    assert [given.name for given in found] == ["web", "other"]
    assert [given.socket.getsockname() for given in found] == [one.getsockname(), two.getsockname()]
    assert not any(os.get_inheritable(given.socket.fileno()) for given in found)
    for given in found:
        given.socket.close()


def test_what_is_not_ours(opened, first):
    assert passed([opened()], first, pid=1) == []
    os.close(first)
    assert lent({}) == [] and lent({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}) == []


def test_what_does_not_listen_is_left_alone(opened, first):
    with socket.socket() as idle, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        reader, writer = os.pipe()
        pipe = os.fdopen(reader)
        found = passed([idle, pipe, opened(), datagram], first, names="a:b:c")
        assert [given.name for given in found] == ["c"]
        found[0].socket.close()
        os.close(writer)
        pipe.close()
    for number in (0, 1, 3):
        os.close(first + number)


def test_listeners_get_what_has_their_address(opened, tmp_path):
    path = str(tmp_path / "s")
    given = [Lent("x", opened()), Lent("x", opened(("::1", 0))), Lent("x", opened(path)), Lent("x", opened())]
    wanted = {"web": address_of(given[0].socket), "six": address_of(given[1].socket), "unix": f"unix:{path}"}
    found = assigned(given, wanted | {"other": "127.0.0.1:1"})
    assert found == {"web": [given[0].socket], "six": [given[1].socket], "unix": [given[2].socket]}


def test_or_their_name(opened):
    given = [Lent("web", opened()), Lent("plain", opened()), Lent("plain", opened())]
    found = assigned(given, {"web": "0.0.0.0:443", "plain": "0.0.0.0:80", "more": "0.0.0.0:81"})
    assert found == {"web": [given[0].socket]}, "two addresses of one name are nobody's"


def test_the_address_counts_for_more_than_the_name(opened):
    given = [Lent("b", opened()), Lent("a", opened())]
    found = assigned(given, {"a": address_of(given[0].socket), "b": address_of(given[1].socket)})
    assert found == {"a": [given[0].socket], "b": [given[1].socket]}


def test_one_socket_for_both_families_is_that_of_the_first(opened):
    both = opened(("::", 0), both=True)
    port = both.getsockname()[1]
    assert assigned([Lent("", both)], {"web": f"0.0.0.0:{port}"}) == {"web": [both]}
    assert assigned([Lent("", both)], {"four": f"0.0.0.0:{port}", "six": f"[::]:{port}"}) == {"six": [both]}
    assert assigned([Lent("", opened(("::", 0)))], {"web": f"0.0.0.0:{port}"}) == {}


def test_several_of_one_address_are_all_its_listeners(opened):
    one = opened(shared=True)
    two = opened(one.getsockname(), shared=True)
    assert assigned([Lent("a", one), Lent("b", two)], {"web": address_of(one)}) == {"web": [one, two]}


def test_workers_have_in_common_what_is_not_made_for_sharing(opened):
    one = opened()
    door = Doorway(address_of(one), False, 16, 3, left=Left([one.dup()], True))
    assert door.of(0) is door.of(2) and len(door.sockets) == 1
    door.stretch(5)
    door.settle(1)
    beside = Doorway(address_of(one), True, 16, 2, beside=door)
    beside.succeed()
    assert beside.of(1).getsockname() == one.getsockname() and beside.lent
    door.forget(1)
    assert door.of(0).fileno() >= 0
    door.forget(-1)
    assert door.of(0).fileno() < 0
    beside.close()


def test_each_worker_has_one_of_its_own_of_what_is(opened):
    one = opened(shared=True)
    door = Doorway(address_of(one), False, 16, 3, left=Left([one.dup()], True))
    assert len({door.of(slot).fileno() for slot in range(3)}) == 3
    door.close()


def test_a_socket_file_of_the_managers_stays(opened, tmp_path):
    path = tmp_path / "s"
    door = Doorway(f"unix:{path}", False, 16, 2, left=Left([opened(str(path)).dup()], True))
    door.claim()
    door.close()
    assert path.exists()
    ours = Doorway(f"unix:{tmp_path}/t", False, 16, 2, left=Left([opened(f"{tmp_path}/t").dup()]))
    ours.close()
    assert not (tmp_path / "t").exists()
