"""When a certificate is ordered: its time of renewal, and the times of further attempts.

Rules: pure; times are seconds since 1970 of a clock that may be set, so nothing waits for longer than the step that it
is at allows. The authority's own advice (ARI, RFC 9773) goes before two thirds of the certificate's life, but not
beyond the last twentieth of it. An attempt that fails is made again after a minute, then less and less often, for as
long as it takes, and not before the authority has said (Retry-After).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0

# As CertMagic has it, and from then on every six hours.
RETRIES: Final = tuple(
    [MINUTE * minutes for minutes in (1, 2, 2, 5, *[10] * 3, *[20] * 4, *[30] * 6, *[60] * 3, *[120] * 2, *[180] * 2)]
)
EVERY: Final = 6 * HOUR
SPREAD: Final = 0.1  # of a delay, to either side
LONGEST: Final = 7 * DAY  # that an authority can have us wait
PART: Final = 2 / 3  # of its life, when a certificate is renewed without advice
JITTER: Final = 1 / 50  # of its life, within which that comes earlier
LAST: Final = 1 / 20  # of its life that no advice may reach into
SPACE: Final = 6 * HOUR  # between two renewals that only advice asks for
ADVICE: Final = 6 * HOUR  # between two askings for advice, if the authority does not say
SOONEST, LATEST = MINUTE, DAY  # of what it may say
WRONG: Final = DAY  # a certificate that begins further ahead than this: our clock is wrong


class Chance(Protocol):
    """Where numbers come from that nobody foresees."""

    def uniform(self, low: float, high: float) -> float:
        """One between these."""


class Life(NamedTuple):
    """When a certificate begins and ends to hold."""

    begins: float
    ends: float

    @property
    def length(self) -> float:
        """Seconds."""
        return max(0.0, self.ends - self.begins)


@dataclass
class Plan:
    """What is remembered of a certificate between attempts.

    `failures` since it was last got, the last of them at `tried`; no attempt before `again`, and not even one that
    somebody asks for before `barred`, which is the authority's word. `begins` tells the
    certificate for which `at` was chosen, within `window` if the authority advises one; it is asked again at `ask`.
    `heeded` is when the last one was got because of advice alone. `kind` is the challenge that has worked; `wanted`,
    that somebody asks for it now.
    """

    failures: int = 0
    tried: float = 0.0
    again: float = 0.0
    barred: float = 0.0
    error: str = ""
    begins: float = 0.0
    at: float = 0.0
    window: tuple[float, float] | None = None
    ask: float = 0.0
    heeded: float = 0.0
    kind: str = ""
    wanted: bool = False


def delay(failures: int) -> float:
    """Seconds from a failure to the next attempt."""
    return RETRIES[failures - 1] if failures <= len(RETRIES) else EVERY


def failed(plan: Plan, now: float, chance: Chance, error: str, wait: float = 0.0) -> None:
    """An attempt has failed; the authority wants us to `wait` for so many seconds."""
    plan.failures += 1
    plan.tried, plan.error, plan.wanted = now, error, False
    usual = delay(plan.failures) * chance.uniform(1 - SPREAD, 1 + SPREAD)
    plan.again = now + max(usual, min(wait, LONGEST))
    plan.barred = now + min(wait, LONGEST)


def got(plan: Plan, now: float, life: Life, chance: Chance, kind: str) -> None:
    """There is a new certificate."""
    if plan.window is not None and not plan.wanted:
        plan.heeded = now
    plan.failures, plan.tried, plan.again, plan.error, plan.wanted = 0, now, 0.0, "", False
    plan.kind = kind or plan.kind
    know(plan, life, chance)


def know(plan: Plan, life: Life, chance: Chance) -> None:
    """Choose the time of a certificate that the plan does not know yet. Whatever failed before has been overcome."""
    if plan.begins != life.begins or not plan.at:
        plan.begins, plan.window, plan.ask = life.begins, None, 0.0
        plan.failures, plan.again, plan.error = 0, 0.0, ""
        plan.at = life.begins + life.length * (PART - chance.uniform(0.0, JITTER))


def advised(plan: Plan, now: float, chance: Chance, window: tuple[float, float] | None, wait: float = ADVICE) -> None:
    """The authority has been asked; it may have advised a window, and wants to be asked again in `wait` seconds."""
    plan.ask = now + min(max(wait, SOONEST), LATEST)
    if window is not None and window != plan.window and window[0] < window[1]:
        plan.window = window
        plan.at = chance.uniform(*window)


def asks(plan: Plan, now: float) -> bool:
    """Whether it is time to ask for advice; whoever has set the clock back is not kept waiting."""
    return now >= plan.ask or plan.ask > now + LATEST


def due(plan: Plan, life: Life | None, now: float) -> bool:
    """Whether to order now. Without a certificate at once, else when its time has come; but not before the next attempt
    behind a failure, which is made until one succeeds."""
    if _waits(plan, now):
        return False
    if plan.wanted or life is None:
        return True
    if now < life.begins - WRONG:
        return False  # an order would bring another such
    last = life.ends - life.length * LAST
    if plan.failures or now >= last:
        return True
    # An authority that advises the past for every certificate would have us order without end.
    too_soon = plan.window is not None and 0 <= now - plan.heeded < min(SPACE, life.length * (1 - PART))
    return now >= plan.at and not too_soon


def _waits(plan: Plan, now: float) -> bool:
    """Whether it is too early for another attempt. A clock that was set back must not make it wait for long."""
    end = plan.barred if plan.wanted else plan.again
    if not plan.failures or now >= end:
        return False
    longest = end - plan.tried
    return now >= plan.tried - MINUTE or plan.tried - now < longest


def rehearses(plan: Plan) -> bool:
    """Whether to try the authority's staging first: what fails there costs nothing of what is allowed us."""
    return plan.failures > 0


def kinds(plan: Plan, known: tuple[str, ...]) -> tuple[str, ...]:
    """The challenges in the order to try them in: first that which has worked."""
    return tuple(sorted(known, key=lambda kind: kind != plan.kind))
