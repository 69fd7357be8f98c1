"""The tables of limits: [limit.NAME], and how a route uses one.

Rules: pure; see `model`. The words and the arithmetic are nginx's (limit_req, limit_conn).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxy.config import words
from proxy.config.redis import OnFailure
from proxy.config.table import ShortTable, Table

Status = Annotated[int, Field(strict=True, ge=400, le=599)]
Level = Literal["info", "notice", "warning", "error"]


class Limit(Table):
    """A limit: a leaky bucket per key, or requests in flight per key; with nginx's words and arithmetic."""

    key: words.LimitKey = Field(
        default="address", description="address, site, route, header:NAME, cookie:NAME, or a text with $variables"
    )
    rate: words.Rate | None = Field(
        default=None,
        description="requests per second or minute; kept in thousandths per second",
        examples=["10r/s"],
    )
    in_flight: words.Positive | None = Field(
        default=None, description="requests at a time, over all workers, instead of a rate"
    )
    burst: words.Count = Field(default=0, description="requests above the rate that are let in")
    nodelay: words.Flag = Field(default=False, description="let the whole burst pass at once")
    delay: words.Count = Field(default=0, description="requests of the burst that pass at once; the others wait")
    memory: Annotated[words.Size, Field(ge=64 << 10)] = Field(
        default=10 << 20, description="bytes of shared memory for keys"
    )
    status: Status = Field(default=429, description="status of a rejection")
    dry_run: words.Flag = Field(default=False, description="count and log only, never delay or reject")
    log: Level | None = Field(default=None, description="level at which the error log tells of rejections; none: never")
    ipv6_prefix: Annotated[int, Field(strict=True, ge=1, le=128)] = Field(
        default=64, description="bits of an IPv6 address that count as one client"
    )
    headers: Literal["rejected", "always", "never", "none"] = Field(
        default="rejected", description="which responses carry RateLimit fields; none: rejections no Retry-After, too"
    )
    shared: Literal["host", "redis"] = Field(
        default="host", description="who counts together: all workers of this host, or all hosts with the same [redis]"
    )
    lease: words.Positive = Field(
        default=1,
        description="requests of one key that a host takes from Redis at a time at most; 1: it asks for each",
    )
    on_failure: OnFailure | None = Field(
        default=None, description="what holds while Redis does not decide (default: what [redis] says)"
    )


class UsedLimit(ShortTable):
    """A limit of a route; a string stands for `name`. What is said beside it holds here instead."""

    name: str = Field(description="name of the limit")
    in_flight: words.Positive | None = Field(default=None, description="requests at a time here")
    burst: words.Count | None = Field(default=None, description="requests above the rate that are let in here")
    nodelay: words.Flag | None = Field(default=None, description="let the whole burst pass at once here")
    delay: words.Count | None = Field(default=None, description="requests of the burst that pass at once here")
    status: Status | None = Field(default=None, description="status of a rejection here")
    dry_run: words.Flag | None = Field(default=None, description="count and log only here")
    log: Level | None = Field(default=None, description="level at which the error log tells of rejections here")

    def over(self, limit: Limit) -> Limit:
        """The limit as it holds here."""
        said = {key: value for key, value in self.model_dump(exclude={"name"}).items() if value is not None}
        return limit.model_copy(update=said)
