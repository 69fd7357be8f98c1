"""What is wrong with an app only beside something else.

Rules: pure, like `rules`, which calls this; a finding is the app's name and a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxy.config.app import seat

if TYPE_CHECKING:
    from proxy.config.model import Model


def findings(model: Model) -> Iterator[tuple[str, str]]:
    """Everything wrong with apps."""
    for name, app in model.app.items():
        upstream = model.upstream.get(name)
        if upstream is None:
            continue
        seats = [seat(model.runtime, name, number) for number in range(app.crew + 1)]
        if [server.address for server in upstream.servers] != seats:
            yield name, f'app "{name}" and the servers of [upstream.{name}] are both given: leave out servers'
        if upstream.health is not None:
            yield name, f"[upstream.{name}.health] checks workers that are known: write ready in [app.{name}] instead"
        if upstream.tls is not None:
            yield name, f"[upstream.{name}.tls] cannot be spoken with workers of our own: leave it out"
        if app.reload and app.crew != 1:
            yield name, f'app "{name}" has reload, which is for development: write workers = 1'
        if app.config is not None and app.server == "uvicorn":
            yield name, f'app "{name}" has a config of Gunicorn: write server = "gunicorn", or leave it out'
