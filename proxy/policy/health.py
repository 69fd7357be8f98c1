"""What a check asks of a backend, and what its results make of it: up, down, or not known.

Rules: pure. The first result decides; from then on `fall` bad results in a row make a backend down and `rise` good ones
make it up again, so one lost packet changes nothing. Where a check is mandatory a backend gets no traffic before its
first good result, and one is enough (nginx Plus, `mandatory`). States are the numbers of `policy.standing`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from proxy.policy.standing import ILL, UNCHECKED, UNPROVEN, WELL

ANY_SUCCESS: Final = ((200, 399),)


class Check(NamedTuple):
    """How a backend is checked: by a GET of `path`, or by a connection alone when that is None.

    `host` is the Host header (None: the backend's address); `statuses` are ranges with both ends in them; `body` is
    looked for in the first 64 KiB. `interval` is from the start of one check to that of the next, give or take its
    share `jitter`; `timeout` is for the whole of a check; both are seconds. `tls` is how TLS is spoken with it (the
    configuration's table), None for plain connections; `header` is what it is sent before all else.
    """

    path: str | None = None
    host: str | None = None
    statuses: tuple[tuple[int, int], ...] = ANY_SUCCESS
    body: re.Pattern[str] | None = None
    interval: float = 5.0
    timeout: float = 2.0
    rise: int = 2
    fall: int = 3
    jitter: float = 0.2
    mandatory: bool = False
    tls: object = None
    header: bytes = b""

    def accepts(self, status: int) -> bool:
        """Whether a status is that of a healthy backend."""
        return any(first <= status <= last for first, last in self.statuses)

    def matches(self, body: bytes) -> bool:
        """Whether a body is that of a healthy backend; bytes that are no UTF-8 are read as U+FFFD."""
        return self.body is None or self.body.search(body.decode("utf-8", "replace")) is not None

    def pause(self, chance: float) -> float:
        """Seconds from the start of a check to that of the next; `chance` is from 0 to 1."""
        return self.interval * (1.0 + self.jitter * (2.0 * chance - 1.0))


def beginning(check: Check) -> int:
    """The state of a backend of which nothing is known."""
    return UNPROVEN if check.mandatory else UNCHECKED


class Health:
    """What the checks of one backend have found.

    `state` is UNCHECKED, WELL, ILL or UNPROVEN; `streak` counts the results in a row that speak against it.
    """

    __slots__ = ("check", "fresh", "state", "streak")

    def __init__(self, check: Check, state: int = UNCHECKED, fresh: bool = True) -> None:
        """`state` is what was known before, UNCHECKED if nothing; when `fresh`, the first result decides all the same.

        Not fresh is a state that this very check has found, before whoever ran it died: it keeps its hysteresis.
        """
        known = state == WELL or (state == ILL and not (fresh and check.mandatory))
        self.check = check
        self.state = state if known else beginning(check)
        self.fresh = fresh or not known
        self.streak = 0

    @property
    def up(self) -> bool:
        """Whether checks have found it healthy."""
        return self.state == WELL

    def heard(self, ok: bool) -> bool:
        """Take in the result of a check; True when the state has changed."""
        if ok == (self.state == WELL) and self.state in (WELL, ILL):
            self.streak, self.fresh = 0, False
            return False
        self.streak += 1
        if self.state == UNPROVEN and not ok:
            return False
        if not self.fresh and self.streak < (self.check.rise if ok else self.check.fall):
            return False
        self.state = WELL if ok else ILL
        self.streak, self.fresh = 0, False
        return True
