"""Where the frames of a WebSocket end in what a backend sends (RFC 6455 section 5.2), so that one of ours can come
between two of them.

Rules: payloads are not looked at. What no backend may send makes the follower lose track for good, and it says so:
whoever cannot know where a frame ends must not put one in. Pure.
"""

from __future__ import annotations

from typing import Final

GOING_AWAY: Final = 1001  # RFC 6455 section 7.4.1: the server goes down
RESTART: Final = 1012  # its registry: another takes over at once, come again

_CLOSE: Final = 0x8
_MASKED: Final = 0x80
_RESERVED: Final = frozenset((3, 4, 5, 6, 7, 11, 12, 13, 14, 15))  # opcodes that mean nothing


def closing(code: int, reason: bytes = b"") -> bytes:
    """A server's Close frame; the reason has 123 bytes at most."""
    return bytes((0x80 | _CLOSE, 2 + len(reason))) + code.to_bytes(2) + reason


class Frames:
    """Follows one direction, from its first byte. `lost`: nobody knows any more; `closed`: the Close frame has come."""

    __slots__ = ("_begun", "_left", "closed", "lost")

    def __init__(self) -> None:
        self._left = 0  # bytes of a payload that are to come
        self._begun = b""  # a frame's head that is not whole
        self.lost = False
        self.closed = False

    @property
    def between(self) -> bool:
        """Whether what has come so far ends with a whole frame."""
        return not self._left and not self._begun and not self.lost and not self.closed

    def feed(self, data: bytes) -> int:
        """Take in what passes; gives where in it the first frame ends that does, -1 if none does."""
        at, size = self._left, len(data)
        if at > size:
            self._left = at - size
            return -1
        if self.lost:
            return -1
        first = at if at else -1
        self._left, before = 0, len(self._begun)
        if before:
            data, self._begun = self._begun + data, b""
            size += before
        while at < size:
            end = self._end(data, at)
            if end < 0 or end > size:
                break
            at = end
            if first < 0:
                first = at - before
        return first

    def _end(self, data: bytes, at: int) -> int:
        """Where the frame ends that begins at `at`; -1 when its head is not whole, or is none."""
        have = len(data) - at
        length = data[at + 1] & 0x7F if have >= 2 else 0
        more = 8 if length == 127 else 2 if length == 126 else 0  # bytes of an extended length
        if have < 2 + more:
            self._begun = data[at:]
            return -1
        opcode = data[at] & 0x0F
        if data[at + 1] & _MASKED or opcode in _RESERVED or (opcode >= _CLOSE and more):
            self.lost = True
            return -1
        if more:
            length = int.from_bytes(data[at + 2 : at + 2 + more])
        self.closed = self.closed or opcode == _CLOSE
        end = at + 2 + more + length
        self._left = max(0, end - len(data))
        return end
