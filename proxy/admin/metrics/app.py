"""The metrics of the applications behind the door, each worker's with its own labels: /metrics/app.

Rules: when somebody asks, every backend of an upstream that says `metrics` is asked, at most AT_ONCE at a time, each
with a time and a size of its own; who does not answer well is told in a comment and in a metric, and the others are
shown. Nobody is asked who is down, and no seat of an application where nobody sits. Several who ask at the same time
get the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from proxy.admin.metrics.merging import Family, Merged, read
from proxy.admin.standing import Standing
from proxy.config.model import Model
from proxy.config.upstream import Server, Upstream
from proxy.policy.health import Check
from proxy.policy.introduced import OURSELVES
from proxy.policy.seats import VACANT
from proxy.upstream.fetch import fetched
from proxy.upstream.probe import Unhealthy

Place = tuple[str, Upstream, Server]

AT_ONCE: Final = 16
UP: Final = "frontgate_app_metrics_up"
HELP: Final = "1 if a backend told its own metrics, else 0."


class AppMetrics:
    """Asks the backends of the host."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._asking: asyncio.Task[bytes] | None = None
        self._model: Model | None = None

    async def text(self) -> bytes:
        """What they say, in Prometheus' text format."""
        model = self._standing.model
        if self._asking is None or self._asking.done() or self._model is not model:
            self._model = model
            self._asking = asyncio.get_running_loop().create_task(merged(model, places(self._standing)))
        return await asyncio.shield(self._asking)


def places(standing: Standing) -> list[Place]:
    """Whom to ask."""
    return [
        (name, upstream, server)
        for name, upstream in standing.model.upstream.items()
        if upstream.metrics is not None
        for number, server in enumerate(upstream.servers)
        if not server.down and not _vacant(standing, name, number)
    ]


def _vacant(standing: Standing, app: str, seat: int) -> bool:
    name = ("app", app, str(seat), "state")
    return name in standing.arena.layout and standing.total(*name) == VACANT


async def merged(model: Model, places: Sequence[Place]) -> bytes:
    """Ask them, and put it together."""
    gate = asyncio.Semaphore(AT_ONCE)
    answers = await asyncio.gather(*(_asked(model, gate, *place) for place in places))
    whole, up, comments = Merged(), Family(), []
    up.type, up.help = "gauge", HELP
    whole.families[UP] = up
    for (name, _, server), found in zip(places, answers, strict=True):
        labels = {"upstream": name, "backend": server.key}
        if isinstance(found, str):
            comments.append(_comment(name, server, found))
        else:
            found.pop(UP, None)  # ours
            comments += [_comment(name, server, f"says another type of {one}") for one in whole.add(found)]
        good = 0 if isinstance(found, str) else 1
        up.samples += read(f"{UP} {good}", labels)[UP].samples
    if not up.samples:
        del whole.families[UP]
    return _text([*comments, *whole.lines()])


async def _asked(
    model: Model, gate: asyncio.Semaphore, name: str, upstream: Upstream, server: Server
) -> dict[str, Family] | str:
    """The families of one backend, or what is wrong."""
    health = upstream.health
    check = Check(
        upstream.metrics,
        health.host if health is not None else None,
        timeout=model.metrics.app_timeout,
        tls=upstream.tls,
        header=OURSELVES.get(upstream.proxy_protocol or "", b""),
    )
    async with gate:
        try:
            raw = await fetched(server.address, check, model.metrics.app_size)
            return read(raw.decode("utf-8"), {"upstream": name, "backend": server.key})
        except Unhealthy as trouble:
            return str(trouble)
        except ValueError as problem:  # no UTF-8, either
            return f"sent no metrics: {problem}"


def _comment(upstream: str, server: Server, words: str) -> str:
    return f"# upstream {upstream}: {server.key} {' '.join(words.split())}"


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
