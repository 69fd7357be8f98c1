"""The table of what is counted.

Rules: pure; see `model`. What costs a little for every request, or a column for every part of the configuration, can be
left out.
"""

from __future__ import annotations

from pydantic import Field

from proxy.config import words
from proxy.config.table import Table


class Metrics(Table):
    """How finely metrics are counted; each site, each upstream and what goes wrong are counted in any case."""

    routes: words.Flag = Field(
        default=True, description="count each route by itself: requests by method and status, durations, bytes"
    )
    backends: words.Flag = Field(
        default=True, description="count each backend's answers by status, and the times it takes"
    )
    app_timeout: words.Period = Field(
        default=2.0, description="seconds for the backends' own metrics to come, where an upstream says `metrics`"
    )
    app_size: words.Size = Field(default=4 << 20, description="bytes of one backend's own metrics at most")
