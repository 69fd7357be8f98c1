"""The supervisor: runs the workers of the applications in [app.*], and replaces them.

Rules: it is a child of the master beside the keeper, so that what it does (starting programs, reading what they write)
keeps nobody from serving. Its workers outlive it: they hang on a lifeline that the master alone holds, not on their
parent, and the next supervisor finds them in shared memory and keeps them. So a fault of ours costs no request; only
the master's end is theirs. It goes when told (TERM) or when the master is gone, and takes its workers with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from random import Random
from typing import Final

from proxy.apps.application import Application
from proxy.apps.changes import watching
from proxy.apps.control import Control, Taken, lock
from proxy.apps.seating import Means
from proxy.config.app import App, folder
from proxy.config.model import Model
from proxy.observe import opened
from proxy.process.channel import Channel, Failed, Ready, Reload, Reopen
from proxy.process.log import ErrorLog
from proxy.shared.arena import Arena

LOOK: Final = 0.5  # seconds between two looks at age, requests and memory
NOT_UP: Final = 3  # exit code: no application came up

log = logging.getLogger("frontgate")


class Post:
    """An application and what belongs to it."""

    def __init__(self, app: Application, held: int) -> None:
        self.app = app
        self.held = held  # the lock on its folder
        self.control = Control(folder(app.means.runtime, app.name), app.roll)
        self.watch = watching(app.name, app.table, app.roll)

    def adopt(self, table: App) -> None:
        """Watch what another table says."""
        if self.watch is not None:
            self.watch.cancel()
        self.watch = watching(self.app.name, table, self.app.roll)

    def close(self) -> None:
        """Let go of all but the workers."""
        if self.watch is not None:
            self.watch.cancel()
        self.control.close()
        os.close(self.held)


class Supervisor:
    """What the supervisor process has."""

    def __init__(
        self, arena: Arena, model: Model, channel: Channel, error_log: ErrorLog, lifeline: int, umask: int
    ) -> None:
        self.model = model
        self.channel = channel
        self.error_log = error_log
        self.means = Means(arena, model.runtime, lifeline, umask, error_log.pass_on, Random())
        self.posts: dict[str, Post] = {}
        self.over = asyncio.Event()
        self.orders: asyncio.Queue[Model] = asyncio.Queue()

    # --- talk -------------------------------------------------------------------------------------------------------

    def hear(self) -> None:
        """Take in what the master says."""
        for message, descriptors in self.channel.receive():
            if isinstance(message, Reload | Reopen):
                opened.give(dict(zip(message.logs, descriptors, strict=True)))
            if isinstance(message, Reload):
                self.means.arena.layout.extend(message.names)
                with contextlib.suppress(OSError):
                    self.error_log.adopt(message.model)
                self.orders.put_nowait(message.model)
            elif isinstance(message, Reopen):
                self.error_log.reopen()
        if self.channel.closed:
            asyncio.get_running_loop().remove_reader(self.channel.fileno())
            self.over.set()

    # --- life -------------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run applications until told to stop; gives the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.over.set)
        loop.add_signal_handler(signal.SIGQUIT, self.over.set)
        loop.add_reader(self.channel.fileno(), self.hear)
        work = asyncio.create_task(self.work())
        over = asyncio.create_task(self.over.wait())
        await asyncio.wait((work, over), return_when=asyncio.FIRST_COMPLETED)
        status = 0
        if work.done() and (error := work.exception()) is not None:
            status = NOT_UP if isinstance(error, NotUp) else 1
            self.channel.send(Failed(str(error) or type(error).__name__))
        work.cancel()
        await asyncio.wait((work,))
        await asyncio.gather(*(post.app.end() for post in self.posts.values()))
        for post in self.posts.values():
            post.close()
        return status

    async def work(self) -> None:
        """Have everything come up, and look after it. NotUp when nothing does."""
        problems = await asyncio.gather(*(self.open(name, table) for name, table in self.model.app.items()))
        if not any(post.app.up for post in self.posts.values()) and any(problems):
            raise NotUp(next(one for one in problems if one))
        self.channel.send(Ready())
        ticking = asyncio.create_task(self.tick())
        try:
            while True:
                model = await self.orders.get()
                try:
                    await self.change(model)
                except Exception:  # a fault of ours; those who serve are not to pay for it
                    log.exception("the applications are not all as the new configuration says")
        finally:
            ticking.cancel()

    async def tick(self) -> None:
        """What is periodic."""
        while True:
            await asyncio.sleep(LOOK)
            for post in self.posts.values():
                try:
                    post.app.tick()
                except Exception:
                    log.exception("app %s: a look at its workers failed", post.app.name)

    # --- applications -----------------------------------------------------------------------------------------------

    async def open(self, name: str, table: App) -> str:
        """Begin with an application; "" or why none of its workers came up."""
        place = folder(self.means.runtime, name)
        try:
            post = Post(Application(name, table, self.means), lock(place))
            await post.control.open()
        except (Taken, OSError) as error:
            log.error("app %s: %s", name, error)
            return f"app {name}: {error}"
        self.posts[name] = post
        problems = await post.app.begin()
        return f"app {name}: a worker {problems[0]}" if problems and not post.app.up else ""

    async def change(self, model: Model) -> None:
        """A configuration was read again: run what it says, with workers that are started anew."""
        self.model = model
        self.means = self.means._replace(runtime=model.runtime)
        gone = [name for name in self.posts if name not in model.app or self.moved(name)]
        ends = [self.close(name) for name in gone]
        stay = [
            self.become(name, table) for name, table in model.app.items() if name in self.posts and name not in gone
        ]
        await asyncio.gather(*ends, *stay)
        fresh = [(name, table) for name, table in model.app.items() if name not in self.posts]
        await asyncio.gather(*(self.open(name, table) for name, table in fresh))

    def moved(self, name: str) -> bool:
        """Whether the sockets of an application are elsewhere from now on."""
        return self.posts[name].app.means.runtime != self.means.runtime

    async def become(self, name: str, table: App) -> None:
        """Have an application be as another table says."""
        post = self.posts[name]
        post.adopt(table)
        await post.app.become(table)

    async def close(self, name: str) -> None:
        """End an application that is gone from the configuration."""
        post = self.posts.pop(name)
        await post.app.end(drained=True)
        post.close()


class NotUp(Exception):
    """No application came up; why, in a sentence."""


def supervise(arena: Arena, model: Model, channel: Channel, error_log: ErrorLog, lifeline: int, umask: int) -> int:
    """The life of the supervisor process; gives its exit code."""

    async def life() -> int:
        return await Supervisor(arena, model, channel, error_log, lifeline, umask).run()

    return asyncio.run(life())
