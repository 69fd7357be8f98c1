"""The tables of what binds a client to a server, and of what balancers are told beside their name.

Rules: pure. Texts with $variables are plain strings here; they become templates when the routes are made.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from proxy.config import words
from proxy.config.table import Table

NAMES: Final = (
    "round_robin", "least_conn", "ip_hash", "hash", "random", "random_two", "least_time", "peak_ewma",
)  # fmt: skip
OWN: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.\w+)*")


def strategy(value: str) -> str:
    """The name of a strategy, or of a factory that makes one of one's own."""
    if value not in NAMES and not OWN.fullmatch(value):
        known = ", ".join(f"'{name}'" for name in NAMES)
        said = {"expected": f"{known} or 'package.module:factory'", "known": NAMES}
        raise PydanticCustomError("literal_error", "Input should be {expected}", said)
    return value


_SCHEMA: Final = {"anyOf": [{"enum": list(NAMES), "type": "string"}, {"type": "string", "pattern": "^[^:]+:[^:]+$"}]}
Balance = Annotated[str, AfterValidator(strategy), WithJsonSchema(_SCHEMA)]


class Learn(Table):
    """Sessions that the servers begin themselves: which server each belongs to is remembered, for all workers."""

    create: tuple[str, ...] = Field(
        description="where a new session shows in an answer; the first that is there",
        examples=[["$upstream_cookie_session"]],
    )
    lookup: tuple[str, ...] = Field(
        description="where a request shows its session; the first that is there", examples=[["$cookie_session"]]
    )
    timeout: words.Period = Field(default=600.0, description="seconds after its last request that one is forgotten")
    memory: Annotated[words.Size, Field(ge=8 << 10)] = Field(
        default=1 << 20, description="bytes of shared memory for sessions"
    )
    at: Literal["head", "end"] = Field(default="end", description="learn from an answer's head, or when it is whole")


class Sticky(Table):
    """What binds a client to a server: a cookie of ours, a route of the server's in a variable, or its session."""

    cookie: words.CookieName | None = Field(default=None, description="name of a cookie that names the server")
    expires: Annotated[words.Duration, Field(ge=0)] | Literal["max"] | None = Field(
        default=None, description='seconds the cookie is kept; "max": ten years; none: until the browser is closed'
    )
    domain: str = Field(default="", description="domain of the cookie; may hold $variables")
    path: words.HeaderValue = Field(default="", description="path of the cookie")
    httponly: words.Flag = Field(default=False, description="hide the cookie from scripts")
    secure: words.Flag = Field(default=False, description="send the cookie over https alone")
    samesite: str = Field(default="", description='"strict", "lax" or "none"; may hold $variables')
    route: tuple[str, ...] = Field(
        default=(), description="variables that may hold the route of a server; the first that is not empty"
    )
    learn: Learn | None = Field(default=None, description="remember the sessions that servers begin")
