"""The sliding window of limiter.py, counted in Redis (or Valkey) for all processes and hosts together.

Rules: one script decides and counts, so that nothing comes between; it goes by the server's clock, so that hosts need
not agree about the time; it is called by its hash, and loaded again when the server does not know it (after a restart).
A key lives as long as its requests count, and a refused request does not prolong it. A decision may cost `patience`
seconds (50 ms) and no more. When Redis does not answer, `down` says who decides: this process alone ("local"), nobody
("open": requests pass), or LimiterDown is raised ("closed": they get 503). A breaker spares the wait while Redis is
down. A command is never cancelled half-way, for its reply could be taken for that of the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Literal, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .breaker import CircuitBreaker, CircuitOpen
from .limiter import SLICES, Decision, LimiterDown, MemoryLimiter

log = logging.getLogger(__name__)

# KEYS[1]: a hash, number of a slice -> its requests. ARGV: limit, width of a slice in microseconds, slices of a window.
# Gives: 1 or 0 for allowed or not, requests remaining, and in how many microseconds the newest and the oldest slice
# leave the window. Lua's numbers are doubles, which hold microseconds since 1970 exactly.
SCRIPT = """
local limit, width, slices = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local current = math.floor(now / width)

local used, oldest, newest = 0, math.huge, 0
local counts = redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
    local number = tonumber(counts[i])
    if number < current - slices then
        redis.call('HDEL', KEYS[1], counts[i])
    else
        used = used + tonumber(counts[i + 1])
        oldest, newest = math.min(oldest, number), math.max(newest, number)
    end
end

local allowed = 0
if used < limit then
    allowed, used = 1, used + 1
    oldest, newest = math.min(oldest, current), math.max(newest, current)
    redis.call('HINCRBY', KEYS[1], string.format('%.0f', current), 1)
    redis.call('PEXPIRE', KEYS[1], math.ceil((slices + 1) * width / 1000))
end

local function leaves(number) return (number + slices + 1) * width - now end
return {allowed, limit - used, leaves(newest), leaves(oldest)}
"""

Down = Literal["local", "open", "closed"]


class RedisLimiter:
    """At most `limit` requests of a key in any `window` seconds, over all that use the same Redis and `prefix`.

    A client of yours should have socket timeouts; `at` makes one that has.
    """

    def __init__(
        self,
        redis: Redis,
        limit: int = 100,
        window: float = 60.0,
        *,
        prefix: str = "rate:",
        patience: float = 0.05,
        down: Down = "local",
    ) -> None:
        self.redis = redis
        self.limit = limit
        self.window = window
        self.prefix = prefix
        self.patience = patience
        self.down = down
        self.breaker = CircuitBreaker("redis", on=(RedisError, OSError, TimeoutError), failures=3, recovery=1.0)
        self._local = MemoryLimiter(limit, window)
        self._script = redis.register_script(SCRIPT)  # EVALSHA, and SCRIPT LOAD on NOSCRIPT
        self._width = max(1, round(window * 1_000_000 / SLICES))
        self._asking: set[asyncio.Task[Decision]] = set()

    @classmethod
    def at(
        cls, url: str, limit: int = 100, window: float = 60.0, *, connections: int = 16, **more: Any
    ) -> RedisLimiter:
        """Make a limiter with a client of its own, which connects at the first request; `close` it at the end.

        The client repeats nothing and waits at most a second: longer than a decision may take, so that a connection
        that is slow to come is there for the next one.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=1.0,
            socket_timeout=1.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(Redis.from_pool(pool), limit, window, **more)

    async def take(self, key: str) -> Decision:
        """Count a request of this key, unless it is refused; raises LimiterDown when down is "closed"."""
        try:
            with self.breaker.attempt():
                return await self._patiently(key)
        except CircuitOpen:
            pass  # the breaker has logged it
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis did not decide: %r", error)
        return await self._alone(key)

    async def close(self) -> None:
        """Let the last commands end and close the client's connections."""
        if self._asking:
            await asyncio.wait(self._asking)
        await self.redis.aclose()

    async def _patiently(self, key: str) -> Decision:
        """Wait so long and no longer; the command itself goes on to its end either way."""
        asking = asyncio.create_task(self._ask(key))
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        await asyncio.wait((asking,), timeout=self.patience)
        if not asking.done():
            raise TimeoutError(f"no answer within {self.patience} s")
        return asking.result()

    async def _ask(self, key: str) -> Decision:
        reply = self._script(keys=[self.prefix + key], args=[self.limit, self._width, SLICES])
        allowed, remaining, newest, oldest = await cast("Awaitable[list[int]]", reply)
        return Decision(
            bool(allowed), self.limit, remaining, newest / 1_000_000, 0.0 if allowed else oldest / 1_000_000
        )

    def _asked(self, asking: asyncio.Task[Decision]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # looked at, so that asyncio does not complain about those nobody waited for

    async def _alone(self, key: str) -> Decision:
        """Decide without Redis."""
        if self.down == "closed":
            raise LimiterDown("the rate limiter does not answer")
        if self.down == "open":
            return Decision(True, self.limit, remaining=self.limit, reset=0.0, retry_after=0.0)
        return await self._local.take(key)
