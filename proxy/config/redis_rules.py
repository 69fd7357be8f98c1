"""What of a limit needs Redis and does not have it, and what Redis cannot count.

Rules: those of `rules`: pure, and every sentence says what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.config.model import Limit, Model


def findings(model: Model, name: str, limit: Limit) -> Iterator[tuple[str, str]]:
    """Keys of the limit's table, and sentences about them."""
    if limit.shared != "redis":
        for key in ("lease", "on_failure"):
            if key in limit.model_fields_set:
                yield key, f'limit "{name}" has {key}, which needs shared = "redis": add it, or remove {key}'
    elif limit.rate is None:
        text = "counts requests in flight, which is done on each host: remove shared, or give it a rate"
        yield "shared", f'limit "{name}" {text}'
    elif model.redis.url is None:
        text = 'is shared, but there is no Redis: add [redis] with url = "redis://127.0.0.1:6379"'
        yield "shared", f'limit "{name}" {text}'
