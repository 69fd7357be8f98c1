"""The table of a resolver: name servers that a configuration names itself.

Rules: pure. Without one, names are looked up as the system does it.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from proxy.config import words
from proxy.config.table import Table


class Resolver(Table):
    """Whom to ask for the addresses of names, and how long to believe it."""

    servers: tuple[str, ...] = Field(description='"address" or "address:port"', examples=[["127.0.0.53"]])
    valid: words.Duration = Field(default=0.0, description="seconds that answers are believed; 0: what they say")
    ipv4: words.Flag = Field(default=True, description="look up IPv4 addresses")
    ipv6: words.Flag = Field(default=True, description="look up IPv6 addresses")
    timeout: words.Period = Field(default=30.0, description="seconds to wait for an answer")

    @field_validator("servers")
    @classmethod
    def _any(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        if not servers:
            raise ValueError("must name a server")
        return servers
