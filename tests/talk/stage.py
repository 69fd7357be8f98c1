"""A stage for conversations: a door between a client and backends over wires of memory, with a clock turned by hand.

Rules: a wire behaves as uvloop's transports do (what a callback causes happens after it; a closed wire says nothing
more; a paused one hears nothing). Dialling is replaced in one place, the `asyncio` that `upstream/pool` sees. Nobody
sleeps and nothing is a socket. Every Door that was opened is looked through at the end of its test by `Door.end`.
"""

from __future__ import annotations

import os
import socket
import tomllib
import weakref
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import ClassVar

import h11

from proxy import build, ledger
from proxy.clock import Clock, Parking, Wheel
from proxy.config.model import Model
from proxy.downstream import h1, slow, writer
from proxy.downstream.h2 import connection as h2
from proxy.downstream.h2 import outlet
from proxy.shared.arena import Arena, Layout
from proxy.shared.breakers import Breakers
from proxy.shared.memory import Memory
from proxy.shared.tally import Tally, made, size_for
from proxy.upstream import dynamic, keyed
from proxy.upstream import link as link_module
from proxy.upstream import pool as pool_module
from proxy.upstream.spare import NONE

EPOCH = 1_700_000_000.0
DATE = b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
ONE = '[listen.web]\naddress = "127.0.0.1:80"\n'
APP = (
    ONE
    + """
[upstream.app]
servers = ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]
[site.all]
default = true
request_buffering = false
response_buffering = false
[[site.all.route]]
path = "/"
upstream = "app"
"""
)
SOLO = APP.replace(', "10.0.0.2:2", "10.0.0.3:3"', "")
KEPT = APP.replace("buffering = false", "buffering = true")  # what bodies do by default; most conversations stream
EOF = object()
SILENT = socket.socketpair()  # the descriptor of a wire is the first: there is never a word in it that was not read
SILENT[0].setblocking(False)


class Wire:
    """One end of a connection, as a transport for the protocol at that end; the test holds the other end."""

    def __init__(self, stage, protocol, **extra):
        self.stage = stage
        self.protocol = protocol
        self.extra = extra
        family = socket.AF_UNIX if extra.get("peername") == "" else socket.AF_INET
        self.extra["socket"] = SimpleNamespace(
            family=family, setsockopt=lambda *words: self.options.append(words), fileno=lambda: self.descriptor
        )
        self.options = []
        self.descriptor = SILENT[0].fileno()
        self.told = bytearray()  # what arrived at the test's end and was not looked at yet
        self.buffer = bytearray()  # what a jammed wire holds back
        self.inbox = deque()
        self.jammed = self.full = False
        self.room = 0  # bytes that its kernel takes though it is jammed, of a large part
        self.reading = True
        self.closing = self.aborted = self.eof_sent = self.lost = False
        self.high, self.low = 65536, 16384

    # What protocols call
    def write(self, data):
        assert isinstance(data, bytes) and data, "an empty write"
        assert not self.eof_sent, "a write behind the end"
        if self.closing:
            return
        if not self.jammed:
            self.told += data
            return
        self.buffer += data
        if len(self.buffer) > self.high and not self.full:
            self.full = True
            self.protocol.pause_writing()

    def at_once(self, data):
        """The kernel's side of a wire takes all, or as much as a jammed one has room for (`slow.at_once`)."""
        if self.buffer or self.closing:
            return 0
        taken = data[: self.room] if self.jammed else data
        self.room = max(0, self.room - len(taken))
        self.told += taken
        return len(taken)

    def file_at_once(self, descriptor, begin, size):
        """The same with part of a file (`slow.file_at_once`)."""
        return self.at_once(os.pread(descriptor, size, begin))

    def set_protocol(self, protocol):
        self.protocol = protocol

    def set_write_buffer_limits(self, high=None, low=None):
        self.high, self.low = high, low

    def get_write_buffer_size(self):
        return len(self.buffer)

    def get_extra_info(self, name):
        return self.extra.get(name)

    def is_closing(self):
        return self.closing

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.eof_sent = True

    def pause_reading(self):
        assert not self.closing
        self.reading = False

    def resume_reading(self):
        assert not self.closing
        self.reading = True
        self.stage.soon(self.deliver)

    def close(self):
        if not self.closing:
            self.closing = True
            if not self.buffer:
                self.stage.soon(self.lose)

    def abort(self):
        self.closing = self.aborted = True
        self.buffer.clear()
        self.stage.soon(self.lose)

    # What the other end does
    def says(self, data):
        self.inbox.append(bytes(data))
        self.deliver()
        self.stage.run()

    def hangs_up(self):
        """Sends FIN."""
        self.inbox.append(EOF)
        self.deliver()
        self.stage.run()

    def resets(self):
        self.closing = True
        self.buffer.clear()
        self.stage.soon(lambda: self.lose(ConnectionResetError()))
        self.stage.run()

    def flows(self, size=1 << 30):
        """Takes up to `size` bytes of what a jammed wire holds back."""
        self.told += self.buffer[:size]
        del self.buffer[:size]
        if self.full and len(self.buffer) <= self.low:
            self.full = False
            self.stage.soon(self.protocol.resume_writing)
        if self.closing and not self.buffer:
            self.stage.soon(self.lose)
        self.stage.run()

    def hears(self, expected):
        """Exactly this has come since somebody last looked."""
        heard = self.heard()
        assert heard == expected, heard

    def heard(self):
        heard = bytes(self.told)
        self.told.clear()
        return heard

    def hears_nothing(self):
        self.hears(b"")

    @property
    def gone(self):
        return self.lost

    def deliver(self):
        while self.inbox and self.reading and not self.closing:
            word = self.inbox.popleft()
            if word is not EOF:
                self.protocol.data_received(word)
            elif not self.protocol.eof_received():
                self.close()

    def lose(self, problem=None):
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(problem)


class Client(Wire):
    """A client, and the wire to the door that it holds."""

    def get(self, target=b"/", more=b"", host=b"door"):
        self.says(b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, host, more))

    def post(self, body=b"", target=b"/", more=b""):
        self.says(b"POST %b HTTP/1.1\r\nHost: door\r\n%bContent-Length: %d\r\n\r\n%b" % (target, more, len(body), body))

    def answer(self, method="GET", whole=True):
        """The next response, read by h11: (status, fields, body). What comes behind it stays."""
        reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        reader.send(h11.Request(method=method, target="/", headers=[("host", "door")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(self.heard())
        if self.lost or self.eof_sent:
            reader.receive_data(b"")
        head, body = None, b""
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.InformationalResponse):
                continue
            assert event is not h11.NEED_DATA, (head, body)
            if isinstance(event, h11.Response):
                head = event
            else:
                body += bytes(event.data)
        self.told += reader.trailing_data[0]
        return Answer(head, body)

    def status(self, method="GET"):
        return self.answer(method).status


class Answer:
    """A response as a client understands it."""

    def __init__(self, head, body):
        self.status = head.status_code
        self.fields = list(head.headers)
        self.body = body

    def __getitem__(self, name):
        return b", ".join(value for key, value in self.fields if key == name.lower().encode())


class Backend:
    """The other end of the links of one backend."""

    def __init__(self, address):
        self.address = address
        self.wires = []
        self.accepts = True  # None: says nothing to whoever dials

    @property
    def wire(self):
        return self.wires[-1]

    def __getattr__(self, name):
        return getattr(self.wires[-1], name)

    @property
    def asked(self):
        """Whether there is something unread on any wire."""
        return any(wire.told for wire in self.wires)

    def request(self):
        """The request on the last wire that has one unread: (line, fields by lower-case name, body)."""
        head, _, body = next(wire for wire in reversed(self.wires) if wire.told).heard().partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        fields = {}
        for name, _, value in (text.partition(b": ") for text in lines):
            fields.setdefault(name.lower(), []).append(value)
        return line, {name: b", ".join(values) for name, values in fields.items()}, body

    def answers(self, body=b"ok", more=b"", status=b"200 OK"):
        self.says(b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, DATE + more, len(body), body))


class Dial:
    """A connection that is being made, and the coroutine that waits for it."""

    def __init__(self, stage, coroutine):
        self.stage = stage
        self.coroutine = coroutine
        self.deadline = float("inf")
        self.backend = None
        self.ended = False

    def step(self, send, value):
        self.stage.dial = self
        try:
            send(value)
        except StopIteration:
            self.ended = True
            self.stage.dials.remove(self)

    def add_done_callback(self, call):
        pass


class Pause:
    def __init__(self, wanted):
        self.wanted = wanted

    def __await__(self):
        return (yield self.wanted)


class Limit:
    """`asyncio.timeout` by the clock of the stage."""

    def __init__(self, stage, seconds):
        self.stage, self.seconds = stage, seconds

    async def __aenter__(self):
        self.stage.dial.deadline = self.stage.clock.now + self.seconds

    async def __aexit__(self, *problem):
        self.stage.dial.deadline = float("inf")


class Dialling:
    """What `upstream/pool` knows as asyncio."""

    def __init__(self, stage):
        self.stage = stage

    def get_running_loop(self):
        return self

    def call_soon(self, call):
        self.stage.soon(call)

    def timeout(self, seconds):
        return Limit(self.stage, seconds)

    def create_task(self, coroutine):
        dial = Dial(self.stage, coroutine)
        self.stage.dials.append(dial)
        self.stage.soon(lambda: dial.step(coroutine.send, None))
        return dial

    async def create_connection(self, make, host, port, **words):
        await self.reach(make, f"{host}:{port}")

    async def create_unix_connection(self, make, path, **words):
        await self.reach(make, f"unix:{path}")

    async def reach(self, make, address):
        backend = self.stage.backends[address]
        dial = self.stage.dial
        dial.backend = backend
        if backend.accepts is None:
            await Pause(None)
        if not backend.accepts:
            raise ConnectionRefusedError(111, "refused")
        wire = Wire(self.stage, make())
        backend.wires.append(wire)
        wire.protocol.connection_made(wire)


def let_go(memories, zones):
    """Close the descriptors of shared memory."""
    for one in (*memories, *zones.values()):
        if one.fd >= 0:
            os.close(one.fd)
            one.fd = -1


class Door:
    """A Runtime on the stage."""

    opened: ClassVar[list[Door]] = []

    def __init__(self, toml=SOLO, monkeypatch=None):
        self.clock = Clock(1000.0, EPOCH - 1000.0)
        self.clock.date = DATE
        self.wheel = Wheel()
        self.alarm = float("inf")
        self.parking = Parking(self.set_alarm)
        self.dials = []
        self.dial = None
        self.backends = {}
        self.clients = []
        self.waiting = deque()
        self.made = []  # exchanges
        self.finished = []
        self.runtimes = []
        self.policies = {}  # the policy's backends, in order
        self.patch(monkeypatch)
        self.layout = Layout(())
        self.arena = Arena(Memory(Arena.size(2, self.layout.capacity)), 2, self.layout)
        self.zones = {}
        self.breakers = Breakers(Memory(Breakers.size(16)), 16)
        self.tally = Tally(made(size_for(64, 2), 2), 2)
        weakref.finalize(self, let_go, (self.arena.memory, self.breakers.memory, self.tally.memory), self.zones)
        self.runtime = None
        self.reload(toml)
        Door.opened.append(self)

    def patch(self, monkeypatch):
        for module in (h1, h2, link_module, pool_module):
            monkeypatch.setattr(module, "monotonic", lambda: self.clock.now)
        for module in (pool_module, keyed, dynamic, outlet):
            monkeypatch.setattr(module, "asyncio", Dialling(self))
        monkeypatch.setattr(slow, "at_once", Wire.at_once)
        monkeypatch.setattr(writer, "file_at_once", Wire.file_at_once)
        real = h1.Exchange

        def make(*parts):
            exchange = real(*parts)
            self.made.append(exchange)
            return exchange

        monkeypatch.setattr(h1, "Exchange", make)
        monkeypatch.setattr(h2, "Exchange", make)
        observers = build.logs.Logs.observers
        monkeypatch.setattr(
            build.logs.Logs, "observers", lambda logs, tables: (*observers(logs, tables), self.finished.append)
        )

    def reload(self, toml):
        tables = tomllib.loads(toml)
        tables.setdefault("log", {"access": "off"})
        tables.setdefault("workers", 1)
        model = Model.model_validate(tables)
        self.layout.extend(ledger.counters(model))
        for name, size in build.zone_sizes(model).items():
            self.zones.setdefault(name, Memory(size))
        place = build.Place(
            self.clock, self.wheel, self.parking, self.arena, 0, self.zones, self.breakers, self.tally, (), self.soon
        )
        previous, self.runtime = self.runtime, build.runtime(model, place, self.runtime)
        if previous is not None:
            previous.retire(self.runtime)
        self.runtimes.append(self.runtime)
        self.policies |= dict.fromkeys(one for group in self.runtime.upstreams.values() for one in group.backends)
        for upstream in model.upstream.values():
            for server in upstream.servers:
                self.backends.setdefault(server.address, Backend(server.address))
        self.run()

    # Who is on the stage
    def client(self, peer=("192.0.2.7", 4711), listener="web"):
        client = Client(self, self.runtime.listeners[listener].made(), peername=peer)
        self.clients.append(client)
        client.protocol.connection_made(client)
        return client

    def backend(self, number=0):
        return list(self.backends.values())[number]

    def state(self, number=0, upstream="app"):
        """The policy's Backend."""
        return self.runtime.upstreams[upstream].backends[number]

    @property
    def last(self):
        """The exchange that finished last."""
        return self.finished[-1]

    @property
    def fault(self):
        fault = self.last.fault
        return None if fault is None else fault.name

    # Time
    def soon(self, call: Callable[[], object]):
        self.waiting.append(call)

    def run(self):
        while self.waiting:
            self.waiting.popleft()()

    def set_alarm(self, at):
        self.alarm = at

    def wait(self, seconds, step=0.5):
        """Let time pass, with all that a worker does meanwhile."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + step)
            self.run()
            if self.alarm <= self.clock.now:
                self.alarm = float("inf")
                self.parking.ring(self.clock.now)
                self.run()
            for dial in list(self.dials):
                if dial.deadline <= self.clock.now:
                    dial.step(dial.coroutine.throw, TimeoutError())
            for _ in range(5):
                self.wheel.tick(self.clock.now)
            for group in (*self.runtime.upstreams.values(), *self.runtime.orphans.values()):
                group.tick(self.clock.now)
            self.run()

    def connect(self):
        """Those that were kept waiting are connected now."""
        for dial in list(self.dials):
            if dial.backend is not None and dial.backend.accepts:
                dial.step(dial.coroutine.send, None)
        self.run()

    # The end
    def end(self):
        """Everybody goes; then nothing may be left."""
        self.look_at_idle_links()
        for client in self.clients:
            if not client.lost:
                client.resets()
        for backend in self.backends.values():
            backend.accepts = False if backend.accepts is None else backend.accepts
        for dial in list(self.dials):
            dial.step(dial.coroutine.throw, ConnectionRefusedError())
        self.run()
        self.look_at_idle_links()
        self.wait(60)
        for exchange in self.made:
            times = sum(exchange is one for one in self.finished)
            assert times == 1, f"{exchange.line.log!r} finished {times} times"
            assert exchange.finished and exchange.link is None and exchange.backend is None
        for runtime in self.runtimes:
            runtime.flush()
        for backend in self.every_backend():
            assert backend.taken == backend.settled, backend
            assert backend.inflight.total() == 0, backend
            assert all(link.exchange is None and link._spare == NONE for link in backend.pool.links)
        assert self.runtime.ledger._cells[self.layout.columns["worker", "connections"]] == 0
        assert not any(listener.connections for listener in self.runtime.listeners.values())

    def look_at_idle_links(self):
        """Whoever is idle is connected, carries nothing and keeps no second descriptor."""
        for backend in self.every_backend():
            for link in backend.pool._idle:
                assert link.exchange is None and link.transport is not None
                assert link._spare == NONE, "an idle link keeps a spare descriptor"

    def every_backend(self):
        """The policy's backends of all configurations there have been."""
        yield from self.policies
