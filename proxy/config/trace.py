"""The tables of traces: who begins one, which are recorded, and where spans are sent.

Rules: pure; see `model`. Without `[trace]` the fields of traces pass as they came, like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from proxy.config import words
from proxy.config.table import ShortTable, Table


def _endpoint(value: str) -> str:
    if not value.startswith(("http://", "https://")) or len(value) < 10 or not value.isascii():
        raise ValueError('must be an address of OTLP over HTTP, such as "http://127.0.0.1:4318/v1/traces"')
    return value


class Export(ShortTable):
    """Where the spans of recorded traces are sent, as OTLP over HTTP; a string stands for `endpoint`. Needs the extra
    `otel`."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] = Field(
        description="address of the collector", examples=["http://127.0.0.1:4318/v1/traces"]
    )
    headers: Mapping[words.HeaderName, words.HeaderValue] = Field(
        default={}, description="header fields that are sent with them, beside those of OTEL_EXPORTER_OTLP_HEADERS"
    )
    service: str = Field(default="frontgate", min_length=1, description="what we are called there (service.name)")
    timeout: words.Period = Field(default=10.0, description="seconds for the collector to take a batch")
    waiting: Annotated[int, Field(strict=True, ge=1, le=1 << 20)] = Field(
        default=4096, description="exchanges of a worker that may wait to be sent; what comes beyond is dropped"
    )


class Trace(Table):
    """Traces (W3C Trace Context): every request to a backend says which trace it belongs to, and who its parent is."""

    share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0, description="share of the traces that begin here which are recorded; others are as they began"
    )
    trusted: tuple[words.Network, ...] | None = Field(
        default=None,
        description='addresses, networks or "unix" of peers whose traces go on here; none: everybody\'s do',
    )
    export: Export | None = Field(default=None, description="where spans are sent; none: nowhere")
