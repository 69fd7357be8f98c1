"""One frame of `frontgate top`: what is known of the door becomes lines that fit a terminal.

Rules: pure: no clock, no terminal. A line is pieces of text with the name of a style each; state is said in words too,
never by colour alone. What does not fit goes by its rank, the least wanted column first, and a line is cut before it
would wrap. Words of others (targets, reasons) are shown without what a terminal could obey.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from proxy.cli.tables import uptime
from proxy.cli.view import ORDERS, Marks, View

Piece = tuple[str, str]  # text, style
Text = list[Piece]

STYLES: Final = {"": "", "title": "1", "soft": "2", "good": "32", "warn": "33", "bad": "31", "chosen": "7", "bar": "34"}
STATES: Final = {
    "up": "good",
    "backup": "good",
    "draining": "warn",
    "probing": "warn",
    "disabled": "soft",
    "down": "bad",
}
NONE: Final = "-"
GAP: Final = "   "


# --- words ----------------------------------------------------------------------------------------------------------


def plain(text: object) -> str:
    """Text without anything that a terminal could obey."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text))


def rate(value: float | None) -> str:
    """Something per second: 0, 0.4, 12.5, 1204."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    if value < 0.05:
        return "<0.1"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def seconds(value: float | None) -> str:
    """A time with three digits: 420 us, 12.3 ms, 1.24 s."""
    if value is None:
        return NONE
    for size, unit in ((1e6, "us"), (1e3, "ms")):
        number = value * size
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "us" or number >= 99.95 else f"{number:.3g} {unit}"
    return f"{value:.3g} s" if value < 99.95 else uptime(value)


def many(number: int, word: str) -> str:
    """1 worker, 2 workers."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def part(value: float | None) -> str:
    """A part of one in percent."""
    return NONE if value is None else f"{value * 100:.0f} %"


def bar(of: float, width: int, marks: Marks) -> str:
    """A bar of `width` signs, filled up to the part `of`; what is more than nothing shows."""
    filled = min(width, max(1 if of > 0 else 0, round(of * width)))
    return marks.full * filled + marks.empty * (width - filled)


def chart(values: Sequence[float], width: int, marks: Marks) -> str:
    """The last `width` values as a line of small bars, the highest at the top."""
    shown = values[-width:] if width > 0 else []
    most = max(shown, default=0) or 1
    last = len(marks.steps) - 1
    return "".join(marks.steps[min(last, int(value / most * last + 0.5))] for value in shown)


# --- parts ----------------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """A column of backends: its title, width, and rank: the highest goes first when there is no room."""

    word: str
    width: int
    rank: int
    right: bool = False


COLUMNS: Final = (
    Column("BACKEND", 24, 0),
    Column("STATE", 9, 0),
    Column("SHARE", 15, 4),
    Column("IN FLIGHT", 18, 2),
    Column("REQ/S", 7, 1, True),
    Column("P50", 8, 6, True),
    Column("P99", 8, 3, True),
    Column("FAILED", 7, 5, True),
    Column("WEIGHT", 7, 7, True),
)
NARROW: Final = 17  # of BACKEND on a narrow terminal


def fitting(width: int) -> list[Column]:
    """The columns that there is room for."""
    narrow = NARROW if width < 64 else COLUMNS[0].width
    given = (COLUMNS[0]._replace(width=narrow), *COLUMNS[1:])
    columns = sorted(given, key=lambda column: column.rank)
    while len(columns) > 1 and 2 + sum(column.width + 1 for column in columns) > width:
        columns.pop()
    return [column for column in given if column in columns]


def head(view: View, width: int) -> Iterator[Text]:
    """The door as a whole, and its numbers now."""
    state = view.state
    reload = state.get("reload", {"good": True, "at": 0})
    since = time.strftime("%H:%M:%S", time.localtime(reload["at"]))
    groups: list[Text] = [
        [(f"frontgate {plain(state.get('version', ''))}", "title")],
        [(f"up {uptime(state.get('uptime', 0))}", "soft")],
        [(many(len(view.workers), "worker"), "soft")],
        [(f"configuration of {since}", "soft") if reload["good"] else ("the last reload was REFUSED", "bad")],
    ]
    if state.get("restarts"):
        groups.append([(many(state["restarts"], "restart"), "warn")])
    yield from flowing(groups, width)
    if view.trouble:
        yield [(f"no news: {plain(view.trouble)}", "bad")]
    if view.samples:
        yield from flowing(numbers(view.samples[-1]), width)


def numbers(now: dict[str, Any]) -> list[Text]:
    """The numbers of a second, each with its word."""
    latency, requests, wrong = now["latency"], now["requests"], now["classes"].get("5xx", 0)
    shown = (
        (rate(requests), " requests/s", ""),
        (part(wrong / requests if requests else 0), " answered 5xx", "bad" if wrong else ""),
        *((seconds(latency[word]), f" {word}", "") for word in ("p50", "p90", "p99")),
        (str(now["in_flight"]), " in flight", ""),
        (str(now["waiting"]), " waiting", "warn" if now["waiting"] else ""),
        (rate(now["rejected"]), " refused/s", "warn" if now["rejected"] else ""),
        (str(now["connections"]), " connections", ""),
    )
    return [[(number, style or "title"), (word, "soft")] for number, word, style in shown]


def flowing(groups: Sequence[Text], width: int) -> Iterator[Text]:
    """Groups of pieces one behind the other, on as many lines as they need."""
    line: Text = []
    used = 0
    for group in groups:
        size = sum(len(text) for text, _ in group)
        if line and used + len(GAP) + size > width:
            yield line
            line, used = [], 0
        if line:
            line.append((GAP, ""))
            used += len(GAP)
        line += group
        used += size
    yield line


def upstreams(view: View, width: int) -> Iterator[Text]:
    """Each upstream and its backends."""
    columns = fitting(width)
    for upstream in view.upstreams:
        yield []
        waiting = upstream["waiting"]
        yield [
            (plain(upstream["name"]), "title"),
            (f"  {upstream['balance']}  ", "soft"),
            (f"{waiting} waiting", "warn" if waiting else "soft"),
            (f"  {upstream['retries']} tried again", "soft"),
        ]
        titles = (c.word.rjust(c.width) if c.right else c.word.ljust(c.width) for c in columns)
        yield [("  " + " ".join(titles), "soft")]
        most = max((one["in_flight"] for one in upstream["backends"]), default=0) or 1
        for backend in view.ordered(upstream["backends"]):
            chosen = view.chosen == (upstream["name"], backend["address"])
            yield row(backend, columns, most, chosen, view.marks)


def row(backend: dict[str, Any], columns: Sequence[Column], most: int, chosen: bool, marks: Marks) -> Text:
    """The line of a backend; with `most` in flight, a bar without a bound is full."""
    bound = backend["max_conns"]
    load = f"{backend['in_flight']} of {bound}" if bound else str(backend["in_flight"])
    word = f"{backend['state']} !" if backend["breaker"] != "closed" and backend["state"] == "up" else backend["state"]
    cells = {
        "BACKEND": (clipped(plain(backend["address"]), columns[0].width), ""),
        "STATE": (word, STATES.get(backend["state"], "")),
        "SHARE": (f"{bar(backend['share'] or 0, 8, marks)} {part(backend['share']):>5}", "bar"),
        "IN FLIGHT": (f"{bar(backend['in_flight'] / (bound or most), 8, marks)} {load}", "bar"),
        "REQ/S": (rate(backend["rate"]), ""),
        "P50": (seconds(backend["latency"]["p50"]), ""),
        "P99": (seconds(backend["latency"]["p99"]), ""),
        "FAILED": (str(backend["failures"]), "warn" if backend["failures"] else ""),
        "WEIGHT": (str(backend["weight"]), ""),
    }
    line: Text = [("> " if chosen else "  ", "title")]
    for column in columns:
        text, style = cells[column.word]
        text = text.rjust(column.width) if column.right else text.ljust(column.width)
        line.append((text[: column.width] + " ", "chosen" if chosen and column.word == "BACKEND" else style))
    return line


def clipped(text: str, width: int) -> str:
    """Text whose end is kept when there is no room, for ports tell addresses apart."""
    return text if len(text) <= width else f"~{text[1 - width :]}"


def limits(view: View) -> Iterator[Text]:
    """Limits, and who is refused most."""
    if not view.limits:
        return
    yield []
    yield [("LIMITS", "title")]
    for limit in view.limits:
        numbers = f"{limit['passed']} passed  {limit['delayed']} delayed  "
        refused = limit["rejected"]
        yield [
            (f"  {plain(limit['name'])}  ", ""),
            (numbers, "soft"),
            (f"{refused} refused", "warn" if refused else "soft"),
        ]
        for one in limit["keys"][:3]:
            yield [(f"    {plain(one['key'])}", ""), (f"  {one['rejected']} refused", "warn")]


def failures(view: View, most: int) -> Iterator[Text]:
    """What went wrong, newest first."""
    if not view.errors or most < 3:
        return
    yield []
    yield [("ERRORS", "title")]
    for one in view.errors[: most - 2]:
        when = time.strftime("%H:%M:%S", time.localtime(one["at"]))
        what = f"{one['method']} {one['target']}"
        why = plain(one["reason"] or one["fault"] or "")
        yield [(f"  {when} ", "soft"), (f"{one['status'] or 'cut'} ", "bad"), (f"{plain(what)}  ", ""), (why, "soft")]


def processes(view: View) -> Iterator[Text]:
    """The workers."""
    yield []
    yield [("WORKERS", "title")]
    for one in view.workers:
        yield [
            (f"  {one['slot']}", ""),
            (f"  process {one['pid']}  {one['connections']} connections  up {uptime(one['uptime'])}", "soft"),
        ]


def foot(view: View) -> Text:
    """What keys do, or what is asked."""
    if view.message:
        return [(plain(view.message), "chosen")]
    return [(f"q quit   s sort: {ORDERS[view.order]}   up/down choose   d drain, undrain", "soft")]


# --- the frame ------------------------------------------------------------------------------------------------------


def frame(view: View, width: int, height: int, keys: bool = True) -> list[Text]:
    """The lines of a frame, `height` at most; with `keys`, the last one says what can be pressed."""
    room = height - (1 if keys else 0)
    lines = list(head(view, width))
    requests = [sample["requests"] for sample in view.samples]
    if height > 16 and len(requests) > 1:
        lines.append([(chart(requests, width, view.marks), "bar")])
    lines += upstreams(view, width)
    lines += limits(view)
    lines += processes(view)
    lines += failures(view, room - len(lines))
    lines = [cut(line, width) for line in lines[:room]]
    if keys:
        lines += [[] for _ in range(room - len(lines))]
        lines.append(cut(foot(view), width))
    return lines


def cut(line: Text, width: int) -> Text:
    """A line without what is beyond the terminal's edge."""
    found: Text = []
    for text, style in line:
        if width <= 0:
            break
        found.append((text[:width], style))
        width -= len(text)
    return found


def painted(line: Text, colour: bool) -> str:
    """A line as a terminal takes it, with its colours if there are any."""
    if not colour:
        return "".join(text for text, _ in line).rstrip()
    return "".join(f"\x1b[{STYLES[style]}m{text}\x1b[0m" if STYLES[style] else text for text, style in line)
