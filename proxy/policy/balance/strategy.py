"""What every strategy is given and has to be.

Rules: a strategy looks at the backends in the order of the configuration, primaries first and backups only when no
primary can be picked. It is made anew when the configuration changes; credit and failures live in the backends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend

Groups = tuple[tuple["Backend", ...], ...]


class Chance(Protocol):
    """The part of `random.Random` that strategies use; a seeded one makes a simulation repeatable."""

    def random(self) -> float:
        """A number from 0.0 up to but not including 1.0."""

    def randrange(self, stop: int, /) -> int:
        """An integer from 0 up to but not including `stop`."""


class Strategy(Protocol):
    """How a group chooses the backend of the next attempt."""

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """An eligible backend that is not among `tried`, or None. The caller takes it."""


def groups(backends: Sequence[Backend]) -> Groups:
    """The primaries and, if there are any, the backups."""
    primaries = tuple(backend for backend in backends if not backend.backup)
    backups = tuple(backend for backend in backends if backend.backup)
    return (primaries, backups) if backups else (primaries,)
