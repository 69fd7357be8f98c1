"""The decisions of a report: request by request, who was there, who was chosen, why, and what became of it.

Rules: the words are production's own (`policy.balance.explained` and each strategy's `why`); backends are called by
their numbers. What is in flight is what the strategy saw at that time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from proxy.lab.outcome import Outcome
from proxy.lab.recording import Decision, Recording
from proxy.lab.world import BEGIN
from proxy.policy.balance.explained import Pick, Seen

COLUMNS: Final = (
    "strategy", "request", "at_s", "client", "attempt", "backend", "in_flight", "why", "outcome", "taken_ms",
)  # fmt: skip


def numbers(recording: Recording) -> dict[str, int]:
    """The number of each backend by its address."""
    return {server.address: place for place, server in enumerate(recording.world.doors.table.servers)}


def rows(found: Mapping[str, Outcome]) -> Iterator[list[Any]]:
    """All that was explained, a row for each attempt, as COLUMNS say."""
    for name, outcome in found.items():
        recording = outcome.world.recording
        for decision in recording.decisions if recording is not None else ():
            known = numbers(recording)  # type: ignore[arg-type]  # or there is no decision
            for attempt, pick in enumerate(decision.picks, 1):
                busy = " ".join(f"{known[one[0]]}:{one[3]}" for one in pick.candidates)
                chosen = known[pick.chosen] if pick.chosen else ""
                yield [
                    name, decision.number, pick.at - BEGIN, decision.client, attempt, chosen, busy, pick.why,
                    decision.outcome, 1e3 * decision.taken,
                ]  # fmt: skip


def section(found: Mapping[str, Outcome], window: tuple[float, float]) -> str:
    """The section of a report."""
    parts: list[str] = []
    for name, outcome in found.items():
        recording = outcome.world.recording
        if recording is not None:
            parts.append(_strategy(name, recording, not parts))
    return (
        '<section id="decisions"><h2>Decisions, request by request</h2>'
        f"<p>Of the requests that came from {window[0]:.6g} s to {window[1]:.6g} s: the backend that each was sent to,"
        " and the strategy&#8217;s reason. Numbers in boxes are the requests in flight at each backend when it chose,"
        " in the order of the backends; the chosen one is framed, what it could not choose is struck out."
        " <code>--explain FROM:TO</code> chooses another window.</p>"
        f"{''.join(parts)}</section>"
    )


def _strategy(name: str, recording: Recording, opened: bool) -> str:
    known = numbers(recording)
    lines = "".join(_decision(decision, known) for decision in recording.decisions)
    more = f"; {recording.left_out} more are left out" if recording.left_out else ""
    many = len(recording.decisions)
    caption = f"Decisions of {name}: {many} request{'' if many == 1 else 's'}{more}"
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("request", "at, s", "backend", "in flight", "why", "answer", "took, ms")
    )
    return (
        f"<details{' open' if opened else ''}><summary>{escape(name)}</summary>"
        f'<div class="scroll tall" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="decisions"><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div></details>"
    )


def _decision(decision: Decision, known: Mapping[str, int]) -> str:
    many = len(decision.picks)
    found = []
    for place, pick in enumerate(decision.picks):
        first = last = ""
        if not place:
            span = f' rowspan="{many}"' if many > 1 else ""
            first = f'<th scope="row"{span}>{decision.number}</th>'
            answer = decision.outcome or "under way"
            last = f"<td{span}>{escape(answer)}</td><td{span}>{1e3 * decision.taken:.2f}</td>"
        chosen = str(known[pick.chosen]) if pick.chosen else "none"
        found.append(
            f"<tr>{first}<td>{pick.at - BEGIN:.4f}</td><td>{chosen}</td><td>{_candidates(pick, known)}</td>"
            f'<td class="why">{escape(_named(pick.why, known))}</td>{last}</tr>'
        )
    return "".join(found)


def _named(why: str, known: Mapping[str, int]) -> str:
    """A reason that speaks of backends by their numbers."""
    for address, place in sorted(known.items(), key=lambda one: -len(one[0])):
        if address in why:
            why = why.replace(address, f"backend {place}")
    return why


def _candidates(pick: Pick, known: Mapping[str, int]) -> str:
    seen = {known[one[0]]: one for one in pick.candidates}  # the chosen one is told twice where some are left out
    boxes = "".join(_box(place, seen[place], seen[place][0] == pick.chosen) for place in sorted(seen))
    more = len(known) - len(seen) if pick.left_out else 0
    left_out = f'<i title="{more} more backends">+{more}</i>' if more else ""
    return f'<span class="seen">{boxes}{left_out}</span>'


def _box(place: int, seen: Seen, chosen: bool) -> str:
    _, state, why, busy, _, _, _, _, tried = seen
    kind = "chosen" if chosen else "out" if why or tried else ""
    said = why or ("tried before" if tried else state)
    mark = f' class="{kind}"' if kind else ""
    return f'<b{mark} title="backend {place}: {escape(said)}">{busy}</b>'
