"""The keeper: does what is once per host: checks the backends' health, orders
certificates, and answers at the admin door for all workers.

Rules: it only reads what workers count, and writes nothing but its own row. It hears from the master who works and how
reloads went, and goes when told (TERM) or when the master is gone. It serves no client of a site, so it may die and be
replaced unnoticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from random import Random

import proxy
from proxy.acme.renewer import Renewer, asked
from proxy.admin import deeds
from proxy.admin.server import AdminServer
from proxy.admin.standing import Standing
from proxy.apps.standing import apps
from proxy.config.model import Model
from proxy.observe import opened
from proxy.process import admitted
from proxy.process.channel import Anew, Channel, Crew, Look, Outcome, Ready, Reload, Reopen, Shown
from proxy.process.checks import Checks, checks_of
from proxy.process.estate import Estate
from proxy.process.hints import Hints
from proxy.process.log import ErrorLog
from proxy.upstream.resolve import Resolver

log = logging.getLogger("frontgate")


class Keeper:
    """What the keeper process has."""

    def __init__(self, standing: Standing, channel: Channel, error_log: ErrorLog) -> None:
        self.standing = standing
        self.channel = channel
        self.error_log = error_log
        self.resolver = Resolver()
        self.checks = Checks(standing.arena, Random(), self.resolver)
        self.renewer = Renewer(lambda: channel.send(Look()))
        self.hints: Hints | None = None
        self.over = asyncio.Event()
        self.server: AdminServer | None = None

    def hear(self) -> None:
        """Take in what the master says."""
        for message, descriptors in self.channel.receive():
            if isinstance(message, Reload | Reopen):
                opened.give(dict(zip(message.logs, descriptors, strict=True)))
            if isinstance(message, Crew):
                self.standing.pids, self.standing.restarts = message.pids, message.restarts
                self.standing.keeper_restarts = message.keeper_restarts
            elif isinstance(message, Outcome):
                self.standing.reload_good, self.standing.reloaded = message.good, message.at
            elif isinstance(message, Reload):
                self.reload(message)
            elif isinstance(message, Shown):
                self.standing.certificates = message.certificates
            elif isinstance(message, Reopen):
                self.error_log.reopen()
        if self.channel.closed:
            asyncio.get_running_loop().remove_reader(self.channel.fileno())
            self.over.set()

    def reload(self, order: Reload) -> None:
        """Show a new configuration from now on, and check what it says."""
        self.standing.arena.layout.extend(order.names)
        if asked(order.model) != asked(self.standing.model):
            self.renewer.adopt(order.model)
        self.standing.model = order.model
        deeds.reloaded(self.standing)
        if self.server is not None:
            self.admit(self.server, order)
        self.check(order.model)
        with contextlib.suppress(OSError):
            self.error_log.adopt(order.model)

    def admit(self, server: AdminServer, order: Reload) -> None:
        """Let in whom the files of [admin] name now: the tokens may be others, and so may certificates."""
        server.admission.change(admitted.keys(order.model.admin, order.pems))
        try:
            admitted.tls(order.model.admin, order.pems, server.tls)
        except ValueError as error:  # they were good an instant ago, when the master read them
            log.error("%s", error)

    def check(self, model: Model) -> None:
        """Check the backends of a Model from now on."""
        self.resolver.valid = min((upstream.resolve for upstream in model.upstream.values()), default=30.0)
        self.checks.adopt(checks_of(model))
        if self.hints is not None:
            self.hints.adopt(model)

    async def run(self, server: AdminServer, estate: Estate) -> None:
        """Answer until told to stop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.over.set)
        loop.add_signal_handler(signal.SIGQUIT, self.over.set)
        loop.add_reader(self.channel.fileno(), self.hear)
        if estate.admin is not None:
            await server.open(estate.admin.of(0))
            self.server = server
        self.hints = Hints(estate.arena, estate.breakers, self.checks.hurry)
        self.check(self.standing.model)
        self.renewer.adopt(self.standing.model)
        self.channel.send(Ready())
        await self.over.wait()
        self.renewer.close()
        await self.checks.close()
        await self.hints.close()
        server.close()


def keep(estate: Estate, channel: Channel, error_log: ErrorLog, started: float) -> int:
    """The life of the keeper process; gives its exit code. `started` is when the master was, since 1970."""
    standing = Standing(
        estate.model,
        estate.arena,
        proxy.__version__,
        started,
        reloaded=started,
        journals=estate.journals,
        reload=lambda: channel.send(Anew()),
        apps=lambda: apps(estate.arena, standing.model),
    )
    admin = estate.model.admin
    address = estate.admin.address if estate.admin is not None else "unix:"

    async def life() -> None:
        keys, tls = admitted.keys(admin, estate.admitted), admitted.tls(admin, estate.admitted)
        server = AdminServer(standing, address, keys=keys, names=admin.names, tls=tls)
        await Keeper(standing, channel, error_log).run(server, estate)

    asyncio.run(life())
    return 0
