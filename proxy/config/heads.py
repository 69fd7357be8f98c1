"""The table of what request heads may look like, where a site says so for its listeners.

Rules: pure; see `model`. A head is read before its host is known, so what counts is said by the site that answers
unknown names at the listener, and else by [http].
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxy.config import words
from proxy.config.table import Table


class HeadChanges(Table):
    """What differs from [http] at the listeners where this site answers unknown names."""

    max_head: Annotated[words.Size, Field(ge=1024)] | None = Field(
        default=None, description="bytes of a request head at most"
    )
    max_fields: words.Positive | None = Field(default=None, description="header fields of a request at most")
    max_target: Annotated[words.Size, Field(ge=64)] | None = Field(
        default=None, description="bytes of a request target at most"
    )
    underscores: words.Flag | None = Field(default=None, description='pass on header names with "_"')
    unusual_names: Literal["refuse", "drop"] | None = Field(
        default=None, description='header names of other characters than letters, digits, "-" (and "_" where it passes)'
    )
    merge_slashes: words.Flag | None = Field(default=None, description='take "//" in a path for "/"')
    max_requests: words.Count | None = Field(default=None, description="requests of a connection at most; 0: any")
    streams: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = Field(
        default=None, description="HTTP/2: requests of a connection at a time"
    )
