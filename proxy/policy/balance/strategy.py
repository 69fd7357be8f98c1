"""What every strategy is given and has to be.

Rules: a strategy looks at the backends in the order of the configuration, primaries first and backups only when no
primary can be picked. It is made anew when the configuration changes; credit and failures live in the backends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

Groups = tuple[tuple["Backend", ...], ...]


class Strategy(Protocol):
    """How a group chooses the backend of the next attempt."""

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """An eligible backend that is not among `tried`, or None. The caller takes it."""


ONLY: Final = "it is the only backend"


def of(number: int) -> str:
    """Among how many, and what that is worth saying."""
    return f"of {number}" if number > 1 else "of 1, since no other can be picked"


def groups(backends: Sequence[Backend]) -> Groups:
    """The primaries and, if there are any, the backups."""
    primaries = tuple(backend for backend in backends if not backend.backup)
    backups = tuple(backend for backend in backends if backend.backup)
    return (primaries, backups) if backups else (primaries,)


class InGroups:
    """What a strategy has that looks at its backends group by group; `alone` is the only one, if there is but one."""

    __slots__ = ("alone", "clock", "groups")

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance | None = None) -> None:
        self.clock = clock
        self.groups = groups(backends)
        self.alone = backends[0] if len(backends) == 1 else None

    def among(self, chosen: Backend, tried: Sequence[Backend]) -> tuple[Backend, ...]:
        """Those of a choice's group that could have been chosen too: for whoever explains it."""
        now, single = self.clock.now, self.alone is not None
        group = next((group for group in self.groups if chosen in group), (chosen,))
        return tuple(one for one in group if one is chosen or (one not in tried and one.eligible(now, single)))
