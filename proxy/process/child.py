"""What a process is after the fork and before it does its work: signals, privileges, and how the fork is made.

Rules: between fork and the child's own first step all signals wait, so none of the master's reactions runs in a child.
A child never returns into the master's code.
"""

from __future__ import annotations

import grp
import logging
import os
import pwd
import signal
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Final

from proxy.config.model import Model
from proxy.process.channel import Channel

UMASK: Final = 0o027
KILL_AFTER: Final = 5.0  # seconds between SIGTERM and SIGKILL
MINE: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCHLD,
)
# A terminal sends these to all processes of a group; the master hears them and tells the children.
DEAF: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)

log = logging.getLogger("frontgate")


class Child:
    """A child as the master knows it. `slot` is None for who is no worker; `deadline` is when it is killed, `grace`
    how many seconds that is behind SIGTERM; `behind`, that it has refused a reload and lacks what came with it.
    """

    __slots__ = ("behind", "born", "channel", "deadline", "grace", "name", "pid", "ready", "slot")

    def __init__(self, pid: int, channel: Channel, slot: int | None) -> None:
        self.pid = pid
        self.channel = channel
        self.slot = slot
        self.born = monotonic()
        self.ready = False
        self.behind = False
        self.deadline: float | None = None
        self.grace = KILL_AFTER
        self.name = "the keeper" if slot is None else f"worker {slot}"  # what the log calls it

    def signal(self, number: signal.Signals) -> None:
        """Signal it; one that is gone but not reaped yet does not mind."""
        os.kill(self.pid, number)


def fork(slot: int | None, life: Callable[[Channel], int]) -> Child:
    """Fork a child that runs `life` with its end of a channel and exits with what that returns."""
    ours, theirs = Channel.pair()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, MINE)
    try:
        pid = os.fork()
        if not pid:
            _live(life, ours, theirs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return Child(pid, ours, slot)


def _live(life: Callable[[Channel], int], ours: Channel, theirs: Channel) -> None:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in MINE:
            signal.signal(number, signal.SIG_IGN if number in DEAF else signal.SIG_DFL)
        ours.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MINE)
        status = life(theirs)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        log.error("a process died of a fault of its own:\n%s", traceback.format_exc())
    finally:
        logging.shutdown()
        os._exit(status)


def drop_privileges(model: Model) -> int:
    """Become the configured user and group for good, when started as root; gives the umask of before. KeyError for
    unknown ones."""
    umask = os.umask(UMASK)
    if os.geteuid() != 0 or (model.user is None and model.group is None):
        return umask
    person = pwd.getpwnam(model.user) if model.user is not None else None
    group = grp.getgrnam(model.group).gr_gid if model.group is not None else None
    if group is None and person is not None:
        group = person.pw_gid
    if group is not None:
        if person is not None:
            os.initgroups(person.pw_name, group)
        else:
            os.setgroups([])
        os.setgid(group)
    if person is not None:
        os.setuid(person.pw_uid)
    return umask


def reason(status: int) -> str:
    """Why a child is gone, from what `waitpid` says."""
    code = os.waitstatus_to_exitcode(status)
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
