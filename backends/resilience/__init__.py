"""What keeps an application standing when what it calls does not: retry, breaker, time limit and rate limit.

Rules: each file stands alone but for `errors` and `problem`, so take the folder or the file you need into your own
application (that is why the imports are relative); no clock but the monotonic one; no header of a client is believed
unless you say so; a cancelled call is cancelled, never retried, never counted. README.md, one folder up, shows how.

    retry        again, a little later each time             needs tenacity
    breaker      not at all, while it is known to be down
    timeout      504 when the application takes too long     ASGI middleware
    rate_limit   429 when a client asks too often            ASGI middleware
    limiter      counts in this process
    redis_limiter  counts in Redis, for many processes       needs redis; import it from its own module
"""

from __future__ import annotations

from .breaker import CircuitBreaker, CircuitOpen, State
from .limiter import Decision, Limiter, LimiterDown, MemoryLimiter
from .rate_limit import RateLimitMiddleware, bearer, client_address
from .retry import Budget, Retry
from .timeout import TimeoutMiddleware

__all__ = [
    "Budget",
    "CircuitBreaker",
    "CircuitOpen",
    "Decision",
    "Limiter",
    "LimiterDown",
    "MemoryLimiter",
    "RateLimitMiddleware",
    "Retry",
    "State",
    "TimeoutMiddleware",
    "bearer",
    "client_address",
]
