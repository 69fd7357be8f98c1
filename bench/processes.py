"""Child processes pinned to a core: started, watched through /proc, and ended by their ids whatever happens.

Rules: every child has a session of its own, so Ctrl-C reaches only the benchmark, which then ends the children itself;
when the benchmark is killed, the kernel tells them to stop (setpriv --pdeathsig). A process tree is the main process
and all its living descendants; the time of ended ones is in their parent's account of waited-for children.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.peers.setup import Missing

TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parent.parent


class Cores:
    """Which core the measured server has, and which one the load and the backends share."""

    def __init__(self) -> None:
        usable = sorted(os.sched_getaffinity(0))
        self.server = usable[0]
        self.load = usable[-1]

    @property
    def apart(self) -> bool:
        """False on a machine with one core, where figures are of little use."""
        return self.server != self.load


class Process:
    """A child in the foreground, pinned to a core, with its output in files."""

    def __init__(
        self,
        command: Sequence[str],
        core: int,
        errors: Path,
        output: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        pinned = [*guard(), "taskset", "-c", str(core), *command]
        self.errors = errors
        with errors.open("ab") as error_file, (output or errors).open("ab") as output_file:
            self.popen = subprocess.Popen(
                pinned,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=error_file,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.pid = self.popen.pid

    def alive(self) -> bool:
        """Whether the main process still runs."""
        return self.popen.poll() is None

    def last_words(self) -> str:
        """Why it ended, as far as it said: exit status and last line of its error output."""
        lines = [line.strip() for line in self.errors.read_text(errors="replace").splitlines() if line.strip()]
        status = self.popen.poll()
        ending = "still runs" if status is None else f"ended with status {status}"
        return f"{ending}: {lines[-1][:200]}" if lines else ending

    def ask_to_stop(self) -> None:
        """SIGTERM to the main process, without waiting."""
        if self.alive():
            self.popen.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End the whole tree: SIGTERM to the main process, 1 s, then SIGKILL to whatever is left, each by its id."""
        born = {pid: start for pid in tree(self.pid) if (start := birth(pid)) is not None}
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(1)
        for pid, start in born.items():
            # A pid may have been given to somebody else meanwhile: only the same birth is the same process.
            if birth(pid) == start:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.popen.wait()


def guard() -> list[str]:
    """The command prefix by which the kernel sends SIGTERM to a child whose parent died."""
    if shutil.which("taskset") is None:
        raise Missing("taskset is not installed: apt-get install util-linux")
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def fields(pid: int) -> list[str] | None:
    """/proc/PID/stat from the state on (so number 3 of proc(5) is at 0), or None for a process that ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return stat.rsplit(")", 1)[1].split()


def birth(pid: int) -> str | None:
    """When a process started, in ticks since boot; None when it ended (or is a zombie)."""
    found = fields(pid)
    return None if found is None or found[0] == "Z" else found[19]


def tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (found := fields(int(entry))) is not None:
            children.setdefault(int(found[1]), []).append(int(entry))
    result, queue = [], [pid]
    while queue:
        one = queue.pop()
        result.append(one)
        queue += children.get(one, [])
    return result


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree so far, that of its ended and waited-for members included."""
    total = 0
    for one in tree(pid):
        if (found := fields(one)) is not None:
            total += sum(int(word) for word in found[11:15])
    return total / TICKS


def memory(pid: int) -> tuple[int, int]:
    """Resident and proportional set size of the tree in bytes."""
    resident = proportional = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Rss:"):
                    resident += int(line.split()[1]) * 1024
                elif line.startswith("Pss:"):
                    proportional += int(line.split()[1]) * 1024
    return resident, proportional


def settle(pid: int, seconds: float = 2.0) -> None:
    """Wait until the tree spends (nearly) no time any more, at most so long."""
    end = time.monotonic() + seconds
    before = cpu_seconds(pid)
    while time.monotonic() < end:
        time.sleep(0.2)
        after = cpu_seconds(pid)
        if after - before < 0.02:
            return
        before = after
