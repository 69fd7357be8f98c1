"""How commands reach a running application: a unix socket beside its workers', one question and one answer each.

Rules: a question is the word `restart`; the answer is JSON: `problem`, "" when all went well, and is given when it is
known. Who may open the folder may ask. The socket says that an app of this name runs, too: it is bound under a lock, so
that no two take each other's sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

LONGEST: Final = 1024  # bytes of a question
RESTART: Final = b"restart\n"


class Taken(Exception):
    """Another frontgate runs an app of this name; in a sentence."""


def control_socket(folder: str) -> str:
    """Its path, in the folder of an app."""
    return f"{folder}/control"


def lock(folder: str) -> int:
    """Have the folder of an app for ourselves; gives a descriptor that holds it as long as it is open. Taken when
    another process has it; OSError."""
    descriptor = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with os.fdopen(descriptor, encoding="ascii", errors="replace") as held:
            owner = held.read(20).strip()
        raise Taken(f"{folder} is in use by process {owner}: name the app otherwise, or end that first") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def free(folder: str) -> bool:
    """Whether nobody runs an app there."""
    if not os.path.exists(f"{folder}/lock"):
        return True
    try:
        os.close(lock(folder))
    except (Taken, OSError):
        return False
    return True


class Control:
    """Answers questions about one app, in the supervisor."""

    def __init__(self, folder: str, roll: Callable[[], Awaitable[str]]) -> None:
        self._path = control_socket(folder)
        self._roll = roll
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._server = await asyncio.start_unix_server(self._answer, self._path)
        os.chmod(self._path, 0o600)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            question = await reader.readuntil(b"\n")
            problem = await self._roll() if question == RESTART else "understands nothing but restart"
            writer.write(json.dumps({"problem": problem}).encode() + b"\n")
            await writer.drain()
        writer.close()

    def close(self) -> None:
        """End."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def ask_to_restart(folder: str, within: float) -> str:
    """Have the workers of an app replaced, and wait until they are; "" or what is wrong. OSError when nobody answers,
    TimeoutError when it takes longer."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(within)
        wire.connect(control_socket(folder))
        wire.sendall(RESTART)
        raw = b""
        while more := wire.recv(LONGEST):
            raw += more
    found: Any = json.loads(raw or b'{"problem": "was interrupted"}')
    return str(found["problem"])
