"""A worker: one event loop that serves the connections of one slot.

Rules: it obeys the master's channel (reload, quit, reopen) and two signals: TERM stops at once, QUIT drains. When the
master is gone (the channel ends) it drains too, so nobody is left behind. One timer ticks every 100 ms and does all
that is periodic. A reload that fails in any way leaves everything as it was and tells the master why.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import time
from email.utils import formatdate
from time import monotonic
from typing import Any, Final

import uvloop

from proxy import build
from proxy.clock import Clock, Parking, Wheel
from proxy.config.model import Model
from proxy.downstream import tls
from proxy.downstream.h1 import Http1
from proxy.downstream.h2.connection import Http2
from proxy.downstream.leave import Leave
from proxy.downstream.listener import Listener, Open
from proxy.http.frames import GOING_AWAY, RESTART
from proxy.observe import opened
from proxy.openssl import files
from proxy.process.channel import Applied, Certify, Channel, Failed, Quit, Ready, Reload, Reopen
from proxy.process.descriptors import Descriptors
from proxy.process.estate import Estate, door
from proxy.process.log import ErrorLog
from proxy.shared.diary import Diary
from proxy.shared.memory import Memory
from proxy.upstream.farewell import Farewells, lasting

TICK: Final = 0.1  # seconds
LAST_ACCEPTS: Final = 0.5  # seconds that a worker whose place is no more accepts what has come to its sockets
STALLED: Final = 1.0  # seconds a tick may be late before it is worth a line in the log
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3

log = logging.getLogger("frontgate")


class Worker:
    """What a worker process has. `exit` is its exit code."""

    def __init__(self, estate: Estate, slot: int, channel: Channel, error_log: ErrorLog) -> None:
        self.slot = slot
        self.channel = channel
        self.error_log = error_log
        self.arena = estate.arena
        self.zones = dict(estate.zones)
        self.contexts = dict(estate.contexts)
        self.bells = estate.bells
        self.descriptors = Descriptors(self.bells[slot])
        self.breakers = estate.breakers
        self.tally = estate.tally
        self.doors = {name: door(name, doorway) for name, doorway in estate.doorways.items()}
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self.clock = Clock(monotonic(), time.time() - monotonic())
        self.wheel = Wheel()
        self.parking = Parking(self.set_alarm)
        self.alarm: asyncio.TimerHandle | None = None
        self.farewells: list[Farewells] = []  # to streams that are to end
        self.removed: list[Listener] = []  # gone from the configuration, with connections that are not done
        self.reloads: set[asyncio.Task[None]] = set()  # the loop itself would forget them
        self.turn = asyncio.Lock()  # one reload after the other
        self.draining = False
        self.accepts = True
        self.give_up = float("inf")
        self.last_tick = monotonic()
        self.second = 0
        self.turn_date()
        self.diary = Diary(estate.journals, slot, self.clock)
        self.runtime = build.runtime(estate.model, self.place(self.zones))
        self.sockets = {name: doorway.of(slot) for name, doorway in estate.doorways.items()}

    def place(self, zones: dict[str, Memory]) -> build.Place:
        """Where a Runtime lives."""
        parts = (self.clock, self.wheel, self.parking, self.arena, self.slot, zones, self.breakers, self.tally)
        return build.Place(*parts, self.bells, self.loop.call_soon, self.diary)

    # --- life -------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; gives the exit code."""
        asyncio.set_event_loop(self.loop)
        starting = self.loop.create_task(self.start())
        self.loop.run_forever()
        self.end()
        return 1 if starting.done() and starting.exception() is not None else 0

    async def start(self) -> None:
        """Begin to serve, or tell the master why not and stop.

        In the running loop, because uvloop loses the signals that come while it does not run.
        """
        self.loop.add_signal_handler(signal.SIGTERM, self.loop.stop)
        self.loop.add_signal_handler(signal.SIGQUIT, self.quit)
        self.arena.cells(self.slot)[self.arena.column(("worker", "started"))] = int(time.time())
        try:
            await self.runtime.warm()
            await self.open(list(self.doors), self.runtime, self.sockets, self.contexts)
        except Exception as error:
            self.tell(Failed(str(error) or type(error).__name__))
            self.loop.stop()
            raise
        self.loop.add_reader(self.channel.fileno(), self.hear)
        self.loop.add_reader(self.bells[self.slot], self.rung)
        self.tell(Ready())
        calm_memory()
        self.last_tick = monotonic()
        self.tick()

    async def open(
        self,
        names: list[str],
        runtime: build.Runtime,
        sockets: dict[str, socket.socket],
        contexts: dict[str, tls.Certificates],
    ) -> None:
        """Accept on sockets of listeners."""
        for name in names:
            context = contexts[name].ssl if self.doors[name].tls else None
            if context is not None:
                contexts[name].choose_by(runtime.certificates)
            await runtime.listeners[name].open(sockets[name], context, self.doors[name].heralded)
            sockets[name].listen(self.doors[name].backlog)  # the loop has set a queue of its own length

    def end(self) -> None:
        """Break off what is still open, and write what has been counted and logged."""
        for listener in self.listeners():
            listener.close()
            for connection in tuple(listener.connections):
                connection.abort()
        with contextlib.suppress(Exception):
            # One turn of the loop lets the connections hear that they are lost, and so be logged.
            self.loop.run_until_complete(asyncio.sleep(0))
        self.runtime.close()
        self.runtime.flush()
        self.runtime.log_files.close()
        self.runtime.traces.close()

    def listeners(self) -> list[Listener]:
        """All listeners, also those that only finish."""
        return [*self.runtime.listeners.values(), *self.removed]

    # --- time -------------------------------------------------------------------------------------------------------

    def set_alarm(self, at: float) -> None:
        """Ring the parking place at a time of the clock."""
        if self.alarm is not None:
            self.alarm.cancel()
        # The loop counts in milliseconds and rounds: half of one later is never too early.
        self.alarm = self.loop.call_later(max(0.0, at - monotonic()) + 0.0005, self.ring)

    def ring(self) -> None:
        """The alarm's time has come."""
        self.alarm = None
        self.clock.now = monotonic()
        self.parking.ring(self.clock.now)

    def tick(self) -> None:
        """Everything that is periodic."""
        self.loop.call_later(TICK, self.tick)
        now = self.clock.now = monotonic()
        if now - self.last_tick > TICK + STALLED:
            log.warning("the event loop stood still for %.1f s: something kept this worker busy", now - self.last_tick)
        self.runtime.ledger.late(max(0.0, now - self.last_tick - TICK))
        self.last_tick = now
        self.descriptors.look(now)
        self.turn_date()
        self.wheel.tick(now)
        self.runtime.flush()
        self.removed = [listener for listener in self.removed if listener.connections]
        for one in self.farewells:
            one.tick(now)
        self.farewells = [one for one in self.farewells if one.end > now]
        if self.draining:
            for listener in self.listeners():
                listener.drain()
            idle = not self.accepts and not any(one.connections for one in self.listeners())
            if idle or now >= self.give_up:
                self.loop.stop()

    def turn_date(self) -> None:
        """Render the Date field line of this second, and follow the wall clock if somebody has set it."""
        wall = time.time()
        if int(wall) != self.second:
            self.second = int(wall)
            self.clock.epoch = wall - monotonic()
            self.clock.date = b"Date: %b\r\n" % formatdate(self.second, usegmt=True).encode("ascii")
            self.clock.local = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(wall)).encode("ascii")

    def rung(self) -> None:
        """Another worker rings: see what became free."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.bells[self.slot])
        self.runtime.rung()

    # --- orders -----------------------------------------------------------------------------------------------------

    def tell(self, message: Ready | Applied | Failed) -> None:
        """Say something to the master; it is small, and the master always listens."""
        self.channel.send(message)

    def hear(self) -> None:
        """Obey the master."""
        for message, descriptors in self.channel.receive():
            if isinstance(message, Reload):
                reload = self.loop.create_task(self.attempt(message, descriptors))
                self.reloads.add(reload)
                reload.add_done_callback(self.reloads.discard)
            elif isinstance(message, Certify):
                certify = self.loop.create_task(self.certify(message))
                self.reloads.add(certify)
                certify.add_done_callback(self.reloads.discard)
            elif isinstance(message, Quit):
                self.quit(RESTART if message.replaced else GOING_AWAY)
            elif isinstance(message, Reopen):
                opened.give(dict(zip(message.logs, descriptors, strict=True)))
                self.reopen()
        if self.channel.closed:
            self.loop.remove_reader(self.channel.fileno())
            log.warning("the master is gone: this worker finishes its requests and goes too")
            self.quit()

    def quit(self, code: int = GOING_AWAY) -> None:
        """Accept no more, let the requests in flight finish, and stop. `code` is what WebSockets are told."""
        if not self.draining:
            self.draining = True
            self.give_up = monotonic() + self.runtime.shutdown
            self.farewells.append(Farewells(self.wheel.all, self.give_up, code))
            for listener in self.listeners():
                listener.retire()
            if code == RESTART:  # no new ones come to sockets that others do not serve, but some wait there
                self.loop.call_later(LAST_ACCEPTS, self.shut)
            else:
                self.shut()

    def shut(self) -> None:
        """Accept no more."""
        self.accepts = False
        for listener in self.listeners():
            listener.close()

    def reopen(self) -> None:
        """Open the log files anew."""
        self.error_log.reopen()
        try:
            self.runtime.reopen()
        except OSError as error:
            log.error("the access log cannot be opened anew: %s", error)

    # --- reload -----------------------------------------------------------------------------------------------------

    async def attempt(self, order: Reload, descriptors: list[int]) -> None:
        """Take over a new configuration, or keep the old one and say why."""
        split, end = len(order.doors), len(order.doors) + len(order.zones)
        sockets = {one.listener: socket.socket(fileno=fd) for one, fd in zip(order.doors, descriptors, strict=False)}
        fresh = {name: Memory(size, fd) for (name, size), fd in zip(order.zones, descriptors[split:end], strict=True)}
        opened.give(dict(zip(order.logs, descriptors[end:], strict=True)))
        try:
            async with self.turn:
                await self.reload(order, sockets, fresh)
        except Exception as error:
            log.debug("the reload failed", exc_info=True)
            for name, zone in fresh.items():
                if self.zones.get(name) is not zone:
                    zone.close()
            self.tell(Failed(str(error) or type(error).__name__))
        else:
            self.tell(Applied())

    async def reload(self, order: Reload, sockets: dict[str, socket.socket], fresh: dict[str, Memory]) -> None:
        """Build the new world beside the old, then swap. `sockets` and `fresh` memory are those that are new."""
        self.arena.layout.extend(order.names)
        zones = {name: fresh.get(name) or self.zones[name] for name in build.zone_sizes(order.model)}
        fresh_contexts = tls.certificates(order.model, order.pems)
        previous, doors = self.runtime, self.doors
        files.give(order.pems)
        runtime = build.runtime(order.model, self.place(zones), previous)
        await runtime.warm()
        self.leave_doors(runtime, previous, {one.listener for one in order.doors})
        self.doors = {name: one for name, one in doors.items() if name in runtime.listeners}
        self.doors.update({one.listener: one for one in order.doors})
        contexts = self.certified(fresh_contexts, order)
        self.runtime, self.contexts = runtime, contexts
        for one in contexts.values():
            one.choose_by(runtime.certificates)
        retired = [zone for name, zone in self.zones.items() if zones.get(name) is not zone]
        self.zones = zones
        self.adopt_log(order.model)
        await self.open([one.listener for one in order.doors], runtime, sockets, contexts)
        previous.retire(runtime)
        if order.model.http.renew is not None:
            before = {listener: tuple(listener.connections) for listener in self.listeners()}
            self.loop.call_later(order.model.http.renew, self.renew, before)
            self.farewells.append(Farewells(lasting(self.wheel.all()), monotonic() + order.model.http.renew, RESTART))
        for zone in retired:
            zone.close()
        calm_memory()

    async def certify(self, order: Certify) -> None:
        """Show other certificates to whoever comes from now on; the master has tried them."""
        async with self.turn:
            try:
                for one in self.contexts.values():
                    one.certify(self.runtime.model, order.pems)
            except (ValueError, KeyError) as error:  # of a configuration that this worker has refused, perhaps
                log.error("the certificates of before stay in use: %s", error)
            else:
                files.give(order.pems)

    def renew(self, before: dict[Listener, tuple[Open | Leave, ...]]) -> None:
        """Close the connections of before a reload that are still there."""
        self.clock.now = monotonic()
        for listener, connections in before.items():
            for connection in connections:
                if connection in listener.connections:
                    idle = isinstance(connection, Http1 | Http2) and connection.idle
                    (connection.drain if idle else connection.abort)()

    def leave_doors(self, runtime: build.Runtime, previous: build.Runtime, moved: set[str]) -> None:
        """Stop accepting at listeners that are gone or have moved; connections of those that stay live on."""
        for name, listener in previous.listeners.items():
            if runtime.listeners.get(name) is not listener:
                self.removed.append(listener)
                listener.close()
            elif name in moved and listener.server is not None:
                listener.server.close()

    def certified(self, fresh: dict[str, tls.Certificates], order: Reload) -> dict[str, tls.Certificates]:
        """Of each TLS listener the base context that it had, with new certificates, or a fresh one."""
        for name in fresh.keys() & self.contexts.keys():
            self.contexts[name].certify(order.model, order.pems)
        return {name: self.contexts.get(name, one) for name, one in fresh.items()}

    def adopt_log(self, model: Model) -> None:
        """Log where the new configuration says, as far as this user may."""
        with contextlib.suppress(OSError):
            self.error_log.adopt(model)


def work(estate: Estate, slot: int, channel: Channel, error_log: ErrorLog) -> int:
    """The life of a worker process; gives its exit code."""
    keep_buffers()
    try:
        worker = Worker(estate, slot, channel, error_log)
    except (OSError, ValueError) as error:
        channel.send(Failed(str(error)))
        return 1
    return worker.run()


def calm_memory() -> None:
    """Keep the collector from walking through what stays.

    Modules and the Runtime live as long as the worker, so they are frozen out of its sight. What a request leaves
    behind is freed by counting references; the collector is there for rare cycles only and may come rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def keep_buffers() -> None:
    """Have glibc keep freed buffers of TLS connections instead of giving them back and faulting them in again.

    uvloop takes 256 KB per connection; mapping them anew each time costs 60 us of a 540 us handshake. Elsewhere than
    with glibc nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc: Any = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 4 << 20)
