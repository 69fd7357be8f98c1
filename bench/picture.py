"""The picture: grouped bars of CPU time per request, small requests left, expensive ones right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.measure import DIRECT, Outcome

COLOURS = {
    "nginx": "#4c9a5b",
    "frontgate": "#d1495b",
    "frontgate-plain": "#e79aa5",
    "HAProxy": "#30638e",
    "Caddy": "#8cb6d9",
    "aiohttp": "#b8b8b8",
}
EXPENSIVE = ("handshakes", "resumed", "download", "upload", "static-large")
LABELS = {
    "plain": "small GET",
    "limits": "small GET,\nlimits + log",
    "tls": "small GET,\nTLS",
    "handshakes": "TLS\nhandshake",
    "resumed": "TLS handshake,\nresumed",
    "download": "10 MB\ndownload",
    "upload": "10 MB\nupload",
    "static": "file\nof 1 KB",
    "static-large": "file\nof 10 MB",
    "gzip": "JSON,\nzipped",
    "locations": "500\nregexes",
    "fastapi": "FastAPI,\nlimits + log",
}


def bars(axes: Axes, outcomes: Sequence[Outcome], servers: Sequence[str]) -> None:
    """One group per scenario, one bar per server, its figure above it; what was not measured leaves a gap."""
    width = 0.85 / max(len(servers), 1)
    for place, server in enumerate(servers):
        for group, outcome in enumerate(outcomes):
            for row in outcome.rows:
                if row.server == server and row.costs and not row.reason:
                    left = group + (place - (len(servers) - 1) / 2) * width
                    drawn = axes.bar(left, row.cost(), width * 0.92, color=COLOURS.get(server, "#999999"))
                    axes.bar_label(drawn, fmt=lambda cost: f"{cost:.0f}", fontsize=7, padding=1)
    axes.set_xticks(range(len(outcomes)), [LABELS[outcome.scenario.name] for outcome in outcomes], fontsize=9)
    axes.set_ylabel("CPU microseconds per request")
    axes.spines[["top", "right"]].set_visible(False)


def draw(outcomes: Sequence[Outcome], date: str, path: Path) -> bool:
    """Write the PNG; False when no scenario has CPU figures."""
    timed = [outcome for outcome in outcomes if any(row.costs for row in outcome.rows)]
    halves = [half for half in (
        [outcome for outcome in timed if outcome.scenario.name not in EXPENSIVE],
        [outcome for outcome in timed if outcome.scenario.name in EXPENSIVE],
    ) if half]  # fmt: skip
    if not halves:
        return False
    servers = list(dict.fromkeys(row.server for outcome in timed for row in outcome.rows if row.server != DIRECT))
    figure = Figure(figsize=(2.0 + 2.2 * len(timed), 4.6), layout="constrained")
    grid = figure.subplots(1, len(halves), squeeze=False, width_ratios=[len(half) for half in halves])
    for axes, half in zip(grid[0], halves, strict=True):
        bars(axes, half, servers)
    for server in servers:
        grid[0][0].bar(0, 0, color=COLOURS.get(server, "#999999"), label=server)
    grid[0][0].legend(frameon=False, fontsize=9)
    figure.suptitle(f"CPU time of the proxy per request, one core, lower is better ({date})", fontsize=11)
    figure.savefig(path, dpi=120)
    return True
