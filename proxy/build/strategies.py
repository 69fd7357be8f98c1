"""Tries the strategies of one's own that a configuration names, before anything is changed or served.

Rule: a child is forked for it, so what is imported is not kept: neither the master nor a command that only looks has
others' code in it, and a reload reads anew what was edited. The child becomes whom workers become: what these are not
allowed to do, that code does nowhere.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import Final

from proxy import catalog
from proxy.build.backends import fineness, fit
from proxy.clock import Clock
from proxy.config.model import Model
from proxy.config.source import Problem, Source
from proxy.config.upstream import Upstream
from proxy.policy.backend import Backend

LONGEST: Final = 10  # seconds
MOST: Final = 2000  # bytes of a sentence


Become = Callable[[Model], object]


def problems(model: Model, source: Source, become: Become) -> list[Problem]:
    """Why strategies of one's own cannot be had, each where it is named; `become` gives up what workers may not do."""
    named = {name: table for name, table in model.upstream.items() if table.balance not in catalog.BALANCE}
    found = {name: sentence for name, table in named.items() if (sentence := tried(table, lambda: become(model)))}
    return [source.problem(("upstream", name, "balance"), sentence) for name, sentence in found.items()]


def tried(table: Upstream, become: Callable[[], object]) -> str:
    """Why the strategy of a table cannot be had, in a sentence; "" when it can."""
    ear, mouth = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ear)
        act(table, mouth, become)
    os.close(mouth)
    with open(ear, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return f'the strategy "{table.balance}" cannot be had: it ended the process that made it, or took too long'
    return said.decode(errors="replace")


def act(table: Upstream, mouth: int, become: Callable[[], object]) -> None:
    """The child's part. It ends here, without what Python does at exit."""
    try:
        signal.set_wakeup_fd(-1)  # the master's
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(LONGEST)
        try:
            become()
        except KeyError:  # there is no such user, as `config.check` says
            return
        make(table)
    except BaseException as error:  # SystemExit, too
        sentence = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        os.write(mouth, sentence.encode()[:MOST])
    finally:
        os._exit(0)


def make(table: Upstream) -> None:
    """Make a strategy over backends that nobody asks anything. ValueError with a sentence."""
    backends = [Backend(server.address) for server in table.servers]
    for backend, server in zip(backends, table.servers, strict=True):
        fit(backend, server, table, fineness(table))
    catalog.made(catalog.Wanted(backends, Clock(monotonic()), Random(), table, lambda text: lambda exchange: b""))
