"""Makes what clients of HTTP/2 are granted at a listener: of [http] and [http2], and of what the site says that answers
unknown names there."""

from __future__ import annotations

from proxy.config.model import Model
from proxy.downstream.h2.engine import Terms
from proxy.downstream.h2.engines import ENGINES, chosen


def terms(model: Model, listener: str, site: str) -> Terms | None:
    """The terms of a listener; None where no engine is installed and none is asked for. ValueError with a sentence."""
    said = model.http2
    if not ENGINES and not model.listen[listener].http2:
        return None
    changed = model.site[site].http.streams if site in model.site else None
    return Terms(chosen(said.engine), changed or model.http.streams, said.window, said.control, said.resets)
