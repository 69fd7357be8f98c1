"""A worker's process: how it is found again, and what becomes of what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from proxy.apps.process import Process

LEAVES = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
pid = os.fork()
if not pid:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
time.sleep(60)
"""
WAITS = "import time; time.sleep(60)"


def gone(pid: int) -> bool:
    """Whether a process has ended, buried or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def lived(script: str, then, *arguments: str):
    """What `then(process, lifeline)` gives of a program that runs."""

    async def life():
        lifeline, ours = os.pipe()
        process = Process.start([sys.executable, "-c", script, *arguments], os.environ, ".", lifeline, 0o22)
        try:
            return await asyncio.wait_for(then(process, lifeline), 20)
        finally:
            process.kill()
            await process.ended
            process.deaf()
            for one in (process.output, lifeline, ours):
                os.close(one)

    return asyncio.run(life())


def test_what_a_dead_worker_leaves_in_its_group_is_told_to_go():
    async def left(process, lifeline):
        await process.ended
        pid = int(os.read(process.output, 100))
        while not gone(pid):
            await asyncio.sleep(0.01)

    lived(LEAVES, left)


def test_who_was_told_to_go_leaves_nobody_behind():
    async def left(process, lifeline):
        raw = b""
        while not raw:
            await asyncio.sleep(0.01)
            with contextlib.suppress(BlockingIOError):
                raw = os.read(process.output, 100)
        process.signal(signal.SIGTERM)
        assert await process.ended == "killed by SIGTERM"
        while not gone(int(raw)):
            await asyncio.sleep(0.01)

    lived(DEAF, left)


def test_who_was_adopted_leaves_nobody_behind_either():
    async def left(process, lifeline):
        raw = b""
        while not raw:
            await asyncio.sleep(0.01)
            with contextlib.suppress(BlockingIOError):
                raw = os.read(process.output, 100)
        adopted = Process.found(process.pid, "unix:/not/in/its/command", lifeline)
        assert adopted is not None
        adopted.signal(signal.SIGTERM)
        assert "only the master knows" in await adopted.ended
        while not gone(int(raw)):
            await asyncio.sleep(0.01)
        os.close(adopted.output)

    lived(DEAF, left)


def test_a_worker_is_known_by_its_lifeline_whatever_it_calls_itself():
    async def found(process, lifeline):
        again = Process.found(process.pid, "unix:/not/in/its/command", lifeline)
        assert again is not None
        other, ours = os.pipe()
        assert Process.found(process.pid, "unix:/not/in/its/command", other) is None
        assert Process.found(os.getpid(), "unix:/not/in/its/command", lifeline) is None or os.getpgrp() == os.getpid()
        process.kill()
        await again.ended
        os.close(again.output)
        os.close(other)
        os.close(ours)

    lived(WAITS, found)
