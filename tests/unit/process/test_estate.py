"""What the master owns, and how a reload changes it or does not."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from proxy.config.model import Model
from proxy.process.estate import Estate, cores, slots_of

SITE = {"s": {"default": True, "route": [{"path": "/", "upstream": "app"}]}}


def model(workers=2, listen=None, limit=None, **more):
    tables = {
        "workers": workers,
        "listen": listen or {"web": {"address": "127.0.0.1:0"}},
        "limit": limit or {},
        "upstream": {"app": {"servers": ["127.0.0.1:1"]}},
        "site": SITE,
        **more,
    }
    return Model.model_validate(tables)


@pytest.fixture
def estate():
    one = Estate(model(limit={"a": {"rate": "1r/s", "memory": "64k"}}))
    yield one
    one.close()


def test_one_worker_per_core_unless_said():
    assert slots_of(model(workers=None)) == cores() >= 1
    assert slots_of(model(workers=3)) == 3


def test_what_stays_is_kept_and_what_is_new_is_made(estate):
    web, zone = estate.doorways["web"], estate.zones["a"]
    wanted = model(
        workers=4,
        listen={"web": {"address": "127.0.0.1:0"}, "more": {"address": "127.0.0.1:0"}},
        limit={"a": {"rate": "5r/s", "memory": "64k"}, "b": {"rate": "1r/s", "memory": "64k"}},
    )
    change = estate.prepare(wanted)
    message, descriptors = change.order(0, tuple(estate.layout), False)
    assert [door.listener for door in message.doors] == ["more"]
    assert message.zones == (("b", 64 << 10),)
    assert len(descriptors) == 2
    everything, more = change.order(0, tuple(estate.layout), True)
    assert len(everything.doors) == 2 and len(more) == 4
    estate.apply(change)
    assert estate.doorways["web"] is web and estate.zones["a"] is zone
    assert len(web.sockets) == estate.slots == 4
    estate.apply(estate.prepare(model(workers=1)))
    assert list(estate.doorways) == ["web"] and len(web.sockets) == 1
    assert zone.fd < 0  # given back


def test_a_change_that_cannot_be_leaves_everything_as_it_was(estate):
    before = dict(estate.doorways)
    with closing(socket.create_server(("127.0.0.1", 0))) as owner:
        port = owner.getsockname()[1]
        listen = {"web": {"address": "127.0.0.1:0"}, "more": {"address": f"127.0.0.1:{port}"}}
        with pytest.raises(ValueError, match=f"127.0.0.1:{port}"):
            estate.prepare(model(workers=4, listen=listen))
        with pytest.raises(ValueError, match=f"127.0.0.1:{port}"):
            estate.prepare(model(admin={"listen": f"127.0.0.1:{port}"}))
    assert estate.doorways == before
    assert len(estate.doorways["web"].sockets) == 2
    assert estate.model.workers == 2


def test_workers_cannot_outgrow_the_arena(estate):
    with pytest.raises(ValueError, match="restart frontgate"):
        estate.prepare(model(workers=200))


def test_a_listener_may_move_to_an_address_that_holds_its_own():
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    estate = Estate(model(listen={"web": {"address": f"127.0.0.1:{port}"}}))
    try:
        estate.apply(estate.prepare(model(listen={"web": {"address": f"0.0.0.0:{port}"}})))
        assert estate.doorways["web"].of(0).getsockname() == ("0.0.0.0", port)
    finally:
        estate.close()
