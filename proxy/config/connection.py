"""The table of what a site or route says of the connection that a request came on. Pure; see `model`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from proxy.config import words
from proxy.config.table import Table


class Connection(Table):
    """How long a client's connection outlives its requests here."""

    keep: words.Flag = Field(default=True, description="keep it open for a next request")
    requests: words.Count | None = Field(default=None, description="close it after so many requests")
    seconds: words.Duration | None = Field(default=None, description="close it after a request when it is so old")
    unkept: tuple[Literal["msie6", "safari"], ...] = Field(
        default=(), description="browsers whose connections are closed, after a POST of msie6 and always of safari"
    )
    tell: words.Count | None = Field(default=None, description="seconds for a Keep-Alive header that tells the client")
