"""Listening sockets: who shares, who is refused, and with what words."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing

import pytest

from proxy.process.doors import ANYBODY, OURS, Doorway, port_of, split


@pytest.fixture
def doorways():
    opened = []

    def make(*words, **more):
        opened.append(Doorway(*words, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_addresses():
    assert split("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split("[::1]:443") == ("::1", 443)
    assert port_of("unix:/run/x:1") is None


def test_each_slot_has_a_socket_of_its_own_on_one_port(doorways):
    door = doorways("127.0.0.1:0", False, 16, 3)
    ports = {door.of(slot).getsockname()[1] for slot in range(3)}
    assert len(ports) == 1 and len({door.of(slot).fileno() for slot in range(3)}) == 3
    door.stretch(5)
    assert door.of(4).getsockname()[1] in ports
    door.settle(2)
    assert len(door.sockets) == 2


def test_a_busy_port_is_named_even_if_its_owner_would_share(doorways):
    with closing(socket.socket()) as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        with pytest.raises(ValueError, match=f"cannot listen on 127.0.0.1:{port}: another program listens there"):
            doorways(f"127.0.0.1:{port}", False, 16, 2)
    doorways(f"127.0.0.1:{port}", False, 16, 2)  # nobody has it any more


def test_an_address_that_is_not_ours_and_a_name_that_is_unknown(doorways):
    with pytest.raises(ValueError, match=r"192\.0\.2\.1:0: no network interface"):
        doorways("192.0.2.1:0", False, 16, 1)
    with pytest.raises(ValueError, match=r"cannot listen on nobody\.invalid:80"):
        doorways("nobody.invalid:80", False, 16, 1)


def test_beside_a_doorway_of_ours_the_port_is_shared(doorways):
    first = doorways("127.0.0.1:0", False, 16, 1)
    address = f"127.0.0.1:{first.of(0).getsockname()[1]}"
    first.address = address
    second = doorways(address, True, 16, 2, first)
    assert second.of(1).getsockname() == first.of(0).getsockname()


def test_a_unix_socket_is_one_for_all_and_its_file_goes_with_it(doorways, tmp_path):
    path = tmp_path / "web.sock"
    door = doorways(f"unix:{path}", False, 16, 3)
    assert door.of(0) is door.of(2)
    with pytest.raises(ValueError, match=f"unix:{path}: another program listens there"):
        doorways(f"unix:{path}", False, 16, 1)
    door.close()
    assert not path.exists()


def test_a_unix_socket_of_the_admin_door_is_not_for_everybody(tmp_path):
    for mode in (ANYBODY, OURS):
        path = tmp_path / "one.sock"
        door = Doorway(f"unix:{path}", False, 16, 1, mode=mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        door.close()


def test_a_leftover_socket_file_is_replaced_and_any_other_file_is_not(doorways, tmp_path):
    path = tmp_path / "web.sock"
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))
    doorways(f"unix:{path}", False, 16, 1)
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))
    other = tmp_path / "precious"
    other.write_text("text")
    with pytest.raises(ValueError, match="no socket"):
        doorways(f"unix:{other}", False, 16, 1)
    assert other.read_text() == "text"


def test_a_successor_takes_over_the_socket_file(doorways, tmp_path):
    path = tmp_path / "web.sock"
    first = doorways(f"unix:{path}", False, 16, 1)
    refused = doorways(f"unix:{path}", True, 16, 1, first)
    refused.close()
    assert path.exists()  # it was never its own
    second = doorways(f"unix:{path}", True, 16, 1, first)
    second.succeed()
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_a_child_leaves_the_file_alone(doorways, tmp_path):
    path = tmp_path / "web.sock"
    door = doorways(f"unix:{path}", False, 16, 2)
    door.forget(1)
    door.close()
    assert path.exists()
    os.unlink(path)


def taken(one):
    """How many connections wait at a socket; they are closed."""
    count = 0
    while True:
        try:
            one.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def called(door, count=60):
    """Connections to a door."""
    address = door.of(0).getsockname()
    return [socket.create_connection(address) for _ in range(count)]


def test_a_socket_that_nobody_serves_gets_no_connections(doorways):
    door = doorways("127.0.0.1:0", False, 128, 2)
    door.stretch(3)
    clients = called(door)
    assert taken(door.of(2)) == 0 and taken(door.of(0)) + taken(door.of(1)) == 60, "it is only prepared"
    door.settle(3)
    clients += called(door)
    assert taken(door.of(2)) > 0 and taken(door.of(0)) > 0 and taken(door.of(1)) > 0
    leaving = door.of(2).dup()
    door.settle(2)
    clients += called(door)
    assert taken(leaving) == 0 and taken(door.of(0)) + taken(door.of(1)) == 60
    leaving.close()
    clients += called(door)
    assert taken(door.of(0)) > 0 and taken(door.of(1)) > 0
    for one in clients:
        one.close()


def test_what_was_prepared_for_nothing_is_forgotten(doorways):
    door = doorways("127.0.0.1:0", False, 128, 2)
    door.stretch(4)
    door.settle(2)
    clients = called(door)
    assert taken(door.of(0)) > 0 and taken(door.of(1)) > 0
    for one in clients:
        one.close()
