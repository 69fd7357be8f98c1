"""One connection to Redis: commands go out in order, and answers come back in that order.

Rules: whoever does not wait any more leaves his place in the row, so an answer that is late is read and dropped, and
never comes to somebody else. All commands of one turn of the loop are one write. A connection that is given up, or says
what nobody asked or what is no RESP, is closed at once and none of its answers is heard any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, cast

from proxy.clock import NEVER, Clock
from proxy.shared.redis.script import Script, packed

try:
    import hiredis as hiredis
except ImportError:
    hiredis = None  # type: ignore[assignment]  # `finding.missing` says so, and nobody makes a Pipe

ASKING: Final = packed(b"ASKING")
MOST_BYTES: Final = 1 << 20  # of answers that are not whole; ours are numbers


class Refused:
    """What becomes of a command that Redis has not answered well: why."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


Heard = int | Refused
"""What a script gives, or that it gave nothing."""


class Command:
    """A call of a script. `then` is called once with what was heard, by `end`, and None from then on: nobody waits.
    `at` is whom it was last sent to."""

    __slots__ = ("asked", "at", "due", "key", "script", "then", "tries", "words")

    def __init__(self, words: bytes, key: bytes, script: Script, then: Callable[[Heard], None]) -> None:
        self.words = words
        self.key = key
        self.script = script
        self.then: Callable[[Heard], None] | None = then
        self.at: Any = None
        self.asked = 0.0
        self.due = NEVER
        self.tries = 0  # beyond the first: a script had to be loaded, or another node has the key

    def end(self, heard: Heard) -> None:
        """Tell whoever waits, if anybody still does."""
        then, self.then = self.then, None
        if then is not None:
            then(heard)


class Spoken:
    """Words beside the decisions, while a connection is set up: somebody awaits the answer."""

    __slots__ = ("answer",)

    def __init__(self, answer: asyncio.Future[Any]) -> None:
        self.answer = answer


class Pipe(asyncio.Protocol):
    """A connection. `heard` is told what becomes of each command: its answer, an error of Redis or that it is Refused;
    `lost` is told once, before those, when there will be no more answers."""

    def __init__(
        self,
        clock: Clock,
        soon: Callable[[Callable[[], None]], object],
        heard: Callable[[Command, Any], None],
        lost: Callable[[Pipe, str], None],
    ) -> None:
        self.clock = clock
        self.row: deque[Command | Spoken | None] = deque()
        self._soon = soon
        self._heard = heard
        self._lost: Callable[[Pipe, str], None] | None = lost
        self._out: list[bytes] = []
        self._loading: set[Script] = set()
        self._transport: asyncio.Transport | None = None
        self._reader: Any = hiredis.Reader()
        self._unread = 0

    # --- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)
        if self._lost is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answers, to those who stand first in the row."""
        self.clock.now = monotonic()
        self._unread += len(data)
        try:
            self._reader.feed(data)
            while self._lost is not None and (answer := self._reader.gets()) is not False:
                self._unread = 0
                if not self.row:
                    self.give_up("it says what nobody has asked")
                    return
                self._tell(self.row.popleft(), answer)
        except hiredis.ProtocolError:
            self.give_up("what it says is no Redis")
            return
        if self._unread > MOST_BYTES:
            self.give_up("its answer is too long")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.clock.now = monotonic()
        self.give_up(f"the connection is lost: {exc}" if exc else "it has closed the connection")

    def give_up(self, reason: str) -> None:
        """Close, and tell everybody in the row that there is no answer."""
        lost, self._lost = self._lost, None
        if lost is None:
            return
        if self._transport is not None:
            self._transport.abort()
        row, self.row = self.row, deque()
        self._out = []
        lost(self, reason)  # first: whoever is told may ask anew
        refused = Refused(reason)
        for one in row:
            if isinstance(one, Command):
                self._heard(one, refused)
            elif one is not None and not one.answer.done():
                one.answer.set_exception(ConnectionError(reason))

    # --- words ------------------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Ask for a decision."""
        self._write(command.words, command)

    def load(self, script: Script) -> None:
        """Load a script ahead of the next command, once in a turn of the loop."""
        if script not in self._loading:
            self._loading.add(script)
            self._write(script.load, None)

    def redirect(self, command: Command) -> None:
        """Ask for a decision that another node of the cluster is just handing over to this one (ASK)."""
        self._write(ASKING, None)
        self.send(command)

    def ask(self, words: bytes) -> asyncio.Future[Any]:
        """Say something and have its answer to await: ConnectionError, or the error that Redis says."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._lost is None:
            answer.set_exception(ConnectionError("the connection is lost"))
        else:
            self._write(words, Spoken(answer))
        return answer

    def flush(self) -> None:
        """Send what there is, in one write."""
        out, self._out = self._out, []
        self._loading.clear()
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _write(self, words: bytes, who: Command | Spoken | None) -> None:
        self.row.append(who)
        if not self._out:
            self._soon(self.flush)
        self._out.append(words)

    def _tell(self, who: Command | Spoken | None, answer: Any) -> None:
        if isinstance(who, Command):
            self._heard(who, answer)
        elif who is not None and not who.answer.done():
            if isinstance(answer, Exception):
                who.answer.set_exception(answer)
            else:
                who.answer.set_result(answer)
