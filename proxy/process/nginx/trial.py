"""Whether a worker could serve a Model, for those who only test it: nothing is bound, and nothing stays."""

from __future__ import annotations

import os

from proxy import build
from proxy.config.model import Model
from proxy.downstream import tls
from proxy.observe import opened
from proxy.process.denied import unopened
from proxy.process.log import files
from proxy.process.rehearsal import rehearse
from proxy.shared.zones import made


def trial(model: Model) -> str:
    """Why not, in a sentence; "" if it could."""
    try:
        pems = tls.read_pems(model)
        zones = {name: made(name, size) for name, size in build.zone_sizes(model).items()}
    except (OSError, ValueError) as error:
        return str(error)
    logs: dict[str, int] = {}
    try:
        logs = opened.opened(files(model))
        return rehearse(model, zones, pems, logs)
    except OSError as error:
        return unopened(error).nginx
    finally:
        for fd in logs.values():
            os.close(fd)
        for zone in zones.values():
            zone.close()
