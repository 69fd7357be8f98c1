"""The table of HTTP/2: which engine speaks it, and what a connection of it may ask for.

Rules: pure; see `model`. What is counted is counted by the connection, by nobody else's leave: a client behind which
many sit has many.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxy.config import words
from proxy.config.table import Table


class Http2(Table):
    """HTTP/2 with clients, where listeners speak it."""

    engine: Literal["auto", "ngh2", "jh2", "h2"] = Field(
        default="auto", description='the library that speaks it; "auto": the first of these that is installed'
    )
    window: Annotated[words.Size, Field(ge=65535, le=16 << 20)] = Field(
        default=64 << 10, description="bytes of a request's body that may come before a backend takes them"
    )
    resets: Annotated[int, Field(strict=True, ge=10, le=100_000)] = Field(
        default=200, description="requests that a connection may take back at once, and a tenth of it in each second"
    )
    control: Annotated[int, Field(strict=True, ge=100, le=1_000_000)] = Field(
        default=1000, description="frames beside requests and bodies at once, and a tenth of it in each second"
    )
