"""News for whoever listens: server-sent events of the host's state, once a second and when something happens.

Rules: an event is rendered once, whoever listens; nothing is rendered while nobody does. There are a bounded number of
listeners, each with a bounded line of what it has not taken yet: one that does not keep up is sent away, for nobody
waits for it here, and a browser comes back by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

MOST_LISTENERS: Final = 16
MOST_WAITING: Final = 32  # events that a listener has not taken
SILENCE: Final = 15.0  # seconds after which a comment shows that the line is not dead
RETRY: Final = b"retry: 2000\n\n"  # milliseconds until a browser comes back
COMMENT: Final = b":\n\n"


class Listener:
    """Somebody who listens. `over` says that it is to go."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque([RETRY])
        self.over = False
        self._come = asyncio.Event()
        self._come.set()

    def tell(self, event: bytes) -> None:
        """One event more, unless it does not keep up."""
        if len(self.waiting) >= MOST_WAITING:
            self.end()
        elif not self.over:
            self.waiting.append(event)
            self._come.set()

    def end(self) -> None:
        """Send it away."""
        self.over = True
        self.waiting.clear()
        self._come.set()

    async def next(self) -> bytes:
        """What has come since; a comment when nothing has for a while; b"" at the end."""
        if not self.waiting and not self.over:
            self._come.clear()
            try:
                await asyncio.wait_for(self._come.wait(), SILENCE)
            except TimeoutError:
                return COMMENT
        raw = b"".join(self.waiting)
        self.waiting.clear()
        return raw


class News:
    """All who listen."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self._serial = 0

    def join(self) -> Listener | None:
        """Somebody listens from now on; None when there are too many already."""
        if len(self.listeners) >= MOST_LISTENERS:
            return None
        listener = Listener()
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """It listens no longer."""
        self.listeners.discard(listener)

    def tell(self, event: str, told: BaseModel | Mapping[str, Any], only: Listener | None = None) -> None:
        """Tell everybody, or one."""
        if not self.listeners:
            return
        raw = self.rendered(event, told)
        for listener in [only] if only is not None else list(self.listeners):
            listener.tell(raw)

    def rendered(self, event: str, told: BaseModel | Mapping[str, Any]) -> bytes:
        """An event as it is sent."""
        self._serial += 1
        if isinstance(told, BaseModel):
            raw = told.model_dump_json()
        else:
            raw = json.dumps(told, default=_plain, ensure_ascii=False, separators=(",", ":"))
        return f"event: {event}\nid: {self._serial}\ndata: {raw}\n\n".encode()

    def close(self) -> None:
        """The keeper goes."""
        for listener in self.listeners:
            listener.end()


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is no JSON")
