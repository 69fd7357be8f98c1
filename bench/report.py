"""The report: one table per scenario as Markdown, also readable in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from bench.measure import DIRECT, Outcome, Row
from bench.peers import REFERENCE

CAVEATS = {
    "limits": "Stock Caddy has no rate limiter: its row has the access log (JSON) only, which is in its favour. "
    "nginx, HAProxy, frontgate and the aiohttp proxy charge every request; the rate is so high that none is rejected.",
    "handshakes": "Every request on a new connection, TLS 1.3, RSA 2048, tickets sent but never used. The load is a "
    "Python client and the limit of handshakes/s; the CPU column is the measure.",
    "resumed": "The same with the session of the connection before; each brings a new ticket.",
    "http2": "h2load, 32 requests at a time on each connection; HTTP/1.1 to the backends. A row says which engine it "
    "has, where that is not the default (ngh2). Stock Caddy has no rate limiter.",
    "download": "nginx buffers in memory only (`proxy_max_temp_file_size 0`); the backend is nginx with sendfile.",
    "upload": "Streamed by all (`proxy_request_buffering off` in nginx).",
    "static": "nginx has its cache of open files on, as frontgate always has.",
    "static-large": "Both use sendfile.",
    "gzip": "A file, level 1 as by default: nginx zips it for each request, frontgate keeps the zipped form of a small "
    "file that has not changed.",
    "locations": "One nginx.conf in both. frontgate remembers what a path led to, so this is its best case.",
    "idle": "Growth of the process tree's memory from before to after the connections were opened and answered once "
    "each. The connection table that nginx and HAProxy allocate at their start is not in it, nor is the memory "
    "of the kernel (socket buffers).",
    "fastapi": "The backends share a core with the load and are the limit of requests/s; the CPU column is the proxy's "
    "alone.",
}


def number(value: float) -> str:
    """Three significant digits or whole numbers, with thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_word(outcome: Outcome, row: Row) -> str:
    """The ratio column."""
    ratio = outcome.ratio(row)
    return "" if ratio is None else f"{ratio:.2f}"


def load_cells(outcome: Outcome, row: Row) -> list[str]:
    """The cells of a row of a timed scenario."""
    figures = [
        number(row.median(lambda load: load.rate)),
        number(row.median(lambda load: load.p50_ms)),
        number(row.median(lambda load: load.p99_ms)),
        str(row.errors),
    ]
    if row.server == DIRECT:
        return [row.server, "", "", "", *figures]
    spread = f"{number(min(row.costs))} to {number(max(row.costs))}"
    return [row.server, number(row.cost()), spread, ratio_word(outcome, row), *figures]


def idle_cells(outcome: Outcome, row: Row) -> list[str]:
    """The cells of a row of a memory scenario."""
    resident, proportional = row.idle or (0.0, 0.0)
    kibibytes = [f"{figure / 1024:.1f}" for figure in (proportional, resident)]
    return [row.server, *kibibytes, ratio_word(outcome, row), str(row.idle_errors)]


def table(outcome: Outcome) -> list[str]:
    """The lines of one scenario's table; what was not measured says why."""
    if outcome.reason:
        return [f"Not measured: {outcome.reason}"]
    idle = outcome.scenario.load == "idle"
    unit = outcome.scenario.unit
    head = (
        ["server", "PSS, KiB/connection", "RSS, KiB/connection", f"PSS / {REFERENCE}", "errors"]
        if idle
        else ["server", f"CPU us/{unit}", "rounds", f"CPU / {REFERENCE}", f"{unit}s/s", "p50 ms", "p99 ms", "errors"]
    )
    cells = [head, ["---", *["---:"] * (len(head) - 1)]]
    for row in outcome.rows:
        if row.reason:
            cells.append([row.server, f"not measured: {row.reason.replace('|', '/')}", *[""] * (len(head) - 2)])
        else:
            cells.append(idle_cells(outcome, row) if idle else load_cells(outcome, row))
    return ["| " + " | ".join(line) + " |" for line in cells]


def section(outcome: Outcome) -> list[str]:
    """One scenario: its title, table and caveat."""
    scenario = outcome.scenario
    lines = [f"## {scenario.title} (`{scenario.name}`)", ""]
    if scenario.load != "wrk" or scenario.connections != 64:
        lines += [f"{scenario.connections:,} connections.", ""]
    lines += [*table(outcome), ""]
    if scenario.name in CAVEATS:
        lines += [CAVEATS[scenario.name], ""]
    return lines


def markdown(outcomes: Sequence[Outcome], facts: Sequence[str], date: str, how: str, picture: str | None) -> str:
    """The whole RESULTS.md; written by the program only."""
    lines = ["# Results", "", f"Measured {date}; {how}. Written by `python -m bench`; how to read it: README.md.", ""]
    lines += [f"- {fact}" for fact in facts]
    lines.append("")
    if picture:
        lines += [f"![CPU time per request]({picture})", ""]
    for outcome in outcomes:
        lines += section(outcome)
    return "\n".join(lines)
