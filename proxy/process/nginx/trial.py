"""Whether a worker could serve a Model, for those who only test it: nothing is bound, and nothing stays."""

from __future__ import annotations

from proxy import build
from proxy.config.model import Model
from proxy.downstream import tls
from proxy.process.rehearsal import rehearse
from proxy.shared.zones import made


def trial(model: Model) -> str:
    """Why not, in a sentence; "" if it could."""
    try:
        pems = tls.read_pems(model)
        zones = {name: made(name, size) for name, size in build.zone_sizes(model).items()}
    except (OSError, ValueError) as error:
        return str(error)
    try:
        return rehearse(model, zones, pems)
    finally:
        for zone in zones.values():
            zone.close()
