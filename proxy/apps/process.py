"""A worker's process: started in a group of its own, watched by its pidfd, measured through /proc, and signalled.

Rules: whether it is a child of ours or of a supervisor that has died makes no difference but for its exit code. It is
known by its process id, and by the address of its socket in its command line or the lifeline in its hands, since the id
may be somebody else's by now. What it leaves behind in its group goes with it; where nobody has told it to go, such as
a Gunicorn that was killed, the others may finish first. Ctrl-C in a terminal does not reach it: the master tells
everybody in order. The end of the pipe that it writes to is held open by the worker itself, so that a supervisor may
die without the next line breaking the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from proxy.apps import inside

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
F_SETPIPE_SZ: Final = 1031
PIPE: Final = 1 << 20  # bytes that a worker may write while nobody reads
AFTER: Final = 5.0  # seconds that what a dead worker has left in its group has to go


class Process:
    """A running worker. `ended` is done when it is gone; `output` is the end of the pipe to read what it writes from,
    `told` that over which it says that it is ready, -1 where it has said so."""

    def __init__(self, pid: int, output: int, told: int = -1, child: subprocess.Popen[bytes] | None = None) -> None:
        """In the running loop. ProcessLookupError when there is none."""
        self.pid = pid
        self.output = output
        self.told = told
        self._child = child
        self._told_to_go = False
        self._fd = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = loop.create_future()
        loop.add_reader(self._fd, self._gone)

    @classmethod
    def start(
        cls, command: Sequence[str], environment: Mapping[str, str], folder: str, lifeline: int, umask: int
    ) -> Process:
        """Start one. OSError when it cannot be."""
        reads, writes = os.pipe()
        told, tells = os.pipe()
        own = {inside.READY: str(tells), inside.LIFELINE: str(lifeline)}
        try:
            with contextlib.suppress(OSError):  # more than this user may have
                fcntl.fcntl(writes, F_SETPIPE_SZ, PIPE)
            child = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=writes,
                stderr=writes,
                pass_fds=(tells, lifeline, reads),
                process_group=0,
                umask=umask,
            )
        except BaseException:
            os.close(reads)
            os.close(told)
            raise
        finally:
            os.close(writes)
            os.close(tells)
        os.set_blocking(reads, False)
        os.set_blocking(told, False)
        return cls(child.pid, reads, told, child)

    @classmethod
    def found(cls, pid: int, address: str, lifeline: int) -> Process | None:
        """One that another supervisor has started, if it still lives."""
        path = address.removeprefix("unix:").encode()
        try:
            if path not in Path(f"/proc/{pid}/cmdline").read_bytes() and not holds(pid, lifeline):
                return None
            output = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
            if not stat.S_ISFIFO(os.fstat(output).st_mode):  # it writes to a file by now, where others look
                os.close(output)
                output = os.open(os.devnull, os.O_RDONLY)
            return cls(pid, output)
        except OSError:
            return None

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        if self._child is None:
            self._others(signal.SIGKILL if self._told_to_go else signal.SIGTERM)  # the master is about to bury it
            self.ended.set_result("an exit code that only the master knows")
            return
        # Until it is buried its number is its group's and nobody else's.
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        if self._told_to_go:
            self._bury(self._child)
        else:
            self._others(signal.SIGTERM)
            asyncio.get_running_loop().call_later(AFTER, self._bury, self._child)
        if found is not None and found.si_code != os.CLD_EXITED:
            self.ended.set_result(f"killed by {signal.Signals(found.si_status).name}")
        else:
            self.ended.set_result(f"exit code {found.si_status if found is not None else 0}")

    def _bury(self, child: subprocess.Popen[bytes]) -> None:
        self._others(signal.SIGKILL)
        child.wait()

    def _others(self, number: signal.Signals) -> None:
        """Signal its whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def signal(self, number: signal.Signals) -> None:
        """Signal it, if it is still there."""
        self._told_to_go = True
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)

    def kill(self) -> None:
        """Kill it and whatever it has started in its group."""
        if self._fd >= 0:
            self._others(signal.SIGKILL)
            self.signal(signal.SIGKILL)

    def memory(self) -> int:
        """Bytes of memory, its own and its children's, shared pages counted once each."""
        return sum(resident(pid) for pid in family(self.pid))

    def hear(self, ready: Callable[[], None]) -> None:
        """Call this as soon as it says that it has come up."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            said = b""
            with contextlib.suppress(OSError):
                said = os.read(self.told, 64)
            self.deaf()
            if said:
                ready()

        loop.add_reader(self.told, heard)

    def deaf(self) -> None:
        """Wait no more for that."""
        if self.told >= 0:
            asyncio.get_running_loop().remove_reader(self.told)
            os.close(self.told)
            self.told = -1


def holds(pid: int, lifeline: int) -> bool:
    """Whether a process leads a group and has our lifeline, by which one is known that has given itself another title.
    OSError when it is gone."""
    mine = os.readlink(f"/proc/self/fd/{lifeline}")
    return os.getpgid(pid) == pid and os.readlink(f"/proc/{pid}/fd/{lifeline}") == mine


def resident(pid: int) -> int:
    """Bytes of memory of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return 0


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += [int(word) for word in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return found
