"""How the master and a child talk: messages with file descriptors, over one unix socket pair per child.

Rules: a message is a pickled tuple of this file, so both ends must be the same program, and only processes that the
master forked hold an end. Nobody waits: what the other end cannot take yet stands in the outbox until `flush`. The end
of the stream means that the other process is gone. Descriptors are duplicated when they are sent, so the sender may
close its own at once; the receiver owns those it takes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.config.model import Model
from proxy.shared.arena import Name

FRAME: Final = struct.Struct("!II")  # bytes of the pickled message; descriptors that travel with this frame
MOST_DESCRIPTORS: Final = 200  # in one frame: Linux takes 253 at a time
CHUNK: Final = 65536
NO_PEMS: Final[Mapping[str, bytes]] = {}


class Door(NamedTuple):
    """A listening socket of a worker: its listener's name, what makes it another one, and its backlog; `heralded`, that
    its connections begin with a PROXY header."""

    listener: str
    address: str
    tls: bool
    backlog: int
    heralded: bool = False


class Reload(NamedTuple):
    """Take over a new configuration. Descriptors: a socket for each of `doors`, one for each of `zones` and
    one for each of `logs`, the paths of log files.

    `names` are all columns of the arena in their order; `zones` the new shared memory of limits by name, and its size;
    `doors` the sockets that are new; `pems` the files of certificates, which a worker might not be allowed to read.
    """

    model: Model
    names: tuple[Name, ...]
    zones: tuple[tuple[str, int], ...] = ()
    doors: tuple[Door, ...] = ()
    pems: Mapping[str, bytes] = NO_PEMS
    logs: tuple[str, ...] = ()


class Certify(NamedTuple):
    """To a worker: show other certificates, of the same configuration; `pems` are all files anew."""

    pems: Mapping[str, bytes]


class Look(NamedTuple):
    """From the keeper: there are files of certificates that nobody has looked at."""


class Anew(NamedTuple):
    """From the keeper: somebody wants the configuration to be read again."""


class Shown(NamedTuple):
    """To the keeper: the certificates that are shown, each by its site and its file, with when it ends (seconds since
    1970; 0 for what only stands in for one)."""

    certificates: tuple[tuple[str, str, float], ...]


class Quit(NamedTuple):
    """Accept no more, finish what has begun, and exit; `replaced`, if others serve already or will at once."""

    replaced: bool = False


class Reopen(NamedTuple):
    """Write to other log files from now on: a descriptor for each of these paths. Any others are opened anew."""

    logs: tuple[str, ...] = ()


class Ready(NamedTuple):
    """From a child: it serves."""


class Applied(NamedTuple):
    """From a child: the new configuration is in force."""


class Failed(NamedTuple):
    """From a child: it could not start, or keeps its old configuration."""

    sentence: str


class Crew(NamedTuple):
    """To the keeper: the workers' process ids by slot, those that serve, and how many deaths were made good so far, of
    workers and of keepers."""

    pids: dict[int, int]
    restarts: int
    keeper_restarts: int = 0


class Outcome(NamedTuple):
    """To the keeper: how the last reload ended, and when (seconds since 1970)."""

    good: bool
    at: float


Message = Reload | Certify | Look | Anew | Shown | Quit | Reopen | Ready | Applied | Failed | Crew | Outcome


class Channel:
    """One end of the pair."""

    __slots__ = ("_frames", "_inbox", "_taken", "closed", "socket")

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.socket = end
        self.closed = False
        self._frames: deque[tuple[bytes, list[int]]] = deque()
        self._inbox = bytearray()
        self._taken: list[int] = []

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Both ends."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self.socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something waits until the other end reads."""
        return bool(self._frames)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message and duplicates of descriptors, as far as it goes now; nothing happens when closed."""
        if self.closed:
            return
        copies = [os.dup(descriptor) for descriptor in descriptors]
        while len(copies) > MOST_DESCRIPTORS:
            first, copies = copies[:MOST_DESCRIPTORS], copies[MOST_DESCRIPTORS:]
            self._frames.append((FRAME.pack(0, len(first)), first))
        body = pickle.dumps(message)
        self._frames.append((FRAME.pack(len(body), len(copies)) + body, copies))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as it goes now. The other end being gone is noticed by `receive`."""
        while self._frames:
            raw, copies = self._frames[0]
            try:
                # Descriptors travel with the first byte that is sent beside them.
                sent = socket.send_fds(self.socket, [raw], copies) if copies else self.socket.send(raw)
            except BlockingIOError:
                return
            except OSError:
                self._drop()
                return
            for copy in copies:
                os.close(copy)
            if sent < len(raw):
                self._frames[0] = (raw[sent:], [])
            else:
                self._frames.popleft()

    def receive(self) -> Iterator[tuple[Any, list[int]]]:
        """The messages that have come and their descriptors; `closed` is true afterwards when the other end is gone."""
        while not self.closed:
            try:
                raw, descriptors, _, _ = socket.recv_fds(self.socket, CHUNK, MOST_DESCRIPTORS)
            except BlockingIOError:
                break
            except OSError:
                raw, descriptors = b"", []
            self._taken += descriptors
            self._inbox += raw
            if not raw:
                self.closed = True
        yield from self._whole()

    def _whole(self) -> Iterator[tuple[Any, list[int]]]:
        """Cut whole messages from what has come."""
        carried: list[int] = []
        while len(self._inbox) >= FRAME.size:
            length, count = FRAME.unpack_from(self._inbox)
            if len(self._inbox) < FRAME.size + length:
                break
            carried += self._taken[:count]
            del self._taken[:count]
            body = bytes(self._inbox[FRAME.size : FRAME.size + length])
            del self._inbox[: FRAME.size + length]
            if length:
                found, carried = carried, []
                yield pickle.loads(body), found
        self._taken[:0] = carried
        if carried:  # their message has not come yet: put their frame back in front
            self._inbox[:0] = FRAME.pack(0, len(carried))

    def close(self) -> None:
        """Give everything back."""
        self.closed = True
        self._drop()
        for descriptor in self._taken:
            os.close(descriptor)
        self._taken.clear()
        self.socket.close()

    def _drop(self) -> None:
        """Forget what waits."""
        for _, copies in self._frames:
            for copy in copies:
                with contextlib.suppress(OSError):
                    os.close(copy)
        self._frames.clear()
