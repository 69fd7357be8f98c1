"""Tries a new configuration in a process of its own, before any that serves hears of it.

Rules: what a worker can fail at (a log that its user may not open, a key that it may not read) shows only in a process
that has become that user, and must show before the master and its workers have let go of the old configuration. So a
child is forked that gives up its rights, builds the Runtime over counters of its own, says what went wrong and is gone.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Mapping
from time import monotonic
from typing import Final

from proxy import build, ledger
from proxy.clock import Clock, Parking, Wheel
from proxy.config.model import Model
from proxy.downstream import tls
from proxy.observe import opened
from proxy.openssl import files
from proxy.process.child import drop_privileges
from proxy.shared import tally
from proxy.shared.arena import Arena, Layout
from proxy.shared.breakers import Breakers
from proxy.shared.memory import Memory
from proxy.shared.tally import Tally

LONGEST: Final = 5.0  # seconds
NO_LOGS: Final[Mapping[str, int]] = {}


def rehearse(model: Model, zones: Mapping[str, Memory], pems: tls.Pems, logs: Mapping[str, int] = NO_LOGS) -> str:
    """Why a worker could not serve this Model, in a sentence; "" if it could. `logs` are handed down to it."""
    ear, mouth = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ear)
        opened.give(logs)
        act(model, zones, pems, mouth)
    os.close(mouth)
    said = listen(ear)
    if said is None:
        os.kill(pid, signal.SIGKILL)
    os.close(ear)
    os.waitpid(pid, 0)
    return f"trying it took more than {LONGEST:g} s" if said is None else said


def act(model: Model, zones: Mapping[str, Memory], pems: tls.Pems, mouth: int) -> None:
    """The child's part. It ends here, without what Python does at exit."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        drop_privileges(model)
        layout = Layout(ledger.counters(model))
        counters = Arena(Memory(Arena.size(1, layout.capacity)), 1, layout)
        clock = Clock(monotonic())
        breakers = Breakers(Memory(Breakers.size()))
        in_use = Tally(tally.made(tally.size_for(1, 1), 1), 1)
        place = build.Place(clock, Wheel(), Parking(lambda at: None), counters, 0, zones, breakers, in_use)
        files.give(pems)
        build.runtime(model, place)
        tls.certificates(model, pems)
    except Exception as error:
        os.write(mouth, (str(error) or type(error).__name__).encode()[: select.PIPE_BUF])
    finally:
        os._exit(0)


def listen(ear: int) -> str | None:
    """What the child says until it is gone; None if that takes too long."""
    said = b""
    deadline = monotonic() + LONGEST
    poll = select.poll()  # select() itself knows descriptors below 1024 only
    poll.register(ear, select.POLLIN)
    while poll.poll(max(0.0, deadline - monotonic()) * 1000):
        more = os.read(ear, select.PIPE_BUF)
        if not more:
            return said.decode(errors="replace")
        said += more
    return None
