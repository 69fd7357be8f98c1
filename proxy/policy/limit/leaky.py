"""The arithmetic of nginx's limit_req, bit for bit (ngx_http_limit_req_module.c).

Rules: integers only. Requests are counted in thousandths, so 10 requests a second are a rate of 10000; times are
milliseconds. The excess of a key is what it has asked for over its rate; every request adds 1000 and time drains it.
A rejected request changes nothing. The first request of a key costs nothing.
"""

from __future__ import annotations

from typing import Final

REQUEST: Final = 1000
LONG_AGO: Final = -60_000  # a last request that far in the future is a clock that was set, not a race


class Leaky:
    """One limit: `rate` (thousandths of a request per second), `burst` and `delay` (thousandths of a request).

    Requests over `burst` are rejected, those over `delay` are held back; `delay` None holds nothing back (nodelay).
    """

    __slots__ = ("burst", "delay", "rate")

    def __init__(self, rate: int, burst: int = 0, delay: int | None = 0) -> None:
        """ValueError unless the rate is at least 1 and burst and delay are not negative."""
        if rate < 1 or burst < 0 or (delay is not None and delay < 0):
            raise ValueError(
                f"a limit needs a rate above 0 and no negative burst or delay (got {rate}, {burst}, {delay})"
            )
        self.rate = rate
        self.burst = burst
        self.delay = delay

    def charge(self, excess: int, last_ms: int, now_ms: int) -> tuple[bool, int, int]:
        """Whether a request at `now_ms` is accepted, and the excess and time of last request that it leads to.

        A rejected request's excess is the one that it would have led to, for the answer's Retry-After; not to be kept.
        """
        ms = now_ms - last_ms
        if ms < 0:
            ms = 1 if ms < LONG_AGO else 0
        excess += REQUEST - self.rate * ms // 1000
        if excess < 0:
            excess = 0
        if excess > self.burst:
            return False, excess, last_ms
        return True, excess, now_ms if ms else last_ms

    def delay_ms(self, excess: int) -> int:
        """For how many milliseconds an accepted request is held back."""
        if self.delay is None or excess <= self.delay:
            return 0
        return (excess - self.delay) * 1000 // self.rate

    def retry_after(self, excess: int) -> int:
        """After how many whole seconds, at least 1, a request that was rejected at this excess would be accepted."""
        return max(1, -((self.burst - excess) // self.rate))

    def remaining(self, excess: int) -> int:
        """How many more requests would be accepted at once."""
        return max(0, (self.burst - excess) // REQUEST)

    def reset(self, excess: int) -> int:
        """After how many whole seconds the excess has drained."""
        return max(0, -(-excess // self.rate))
