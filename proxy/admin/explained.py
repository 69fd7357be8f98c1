"""What workers have written down of exchanges, as the API tells it: lines of the last, failed and slowest ones, those
that go on, and the explanation of one.

Rules: only reads journals. A record may be in several rings; it is told once, and the one that knows more is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from proxy.admin.shapes import Attempt, Brief, Candidate, Explanation, Live, Moment, Pick, Waited
from proxy.admin.standing import Standing
from proxy.shared import records
from proxy.shared.journal import FAILED, LIVE, RECENT, SLOW, Journals
from proxy.shared.records import Going, Record

LATELY: Final = 300.0  # seconds that a slow exchange is told of

Found = tuple[int, Record]  # the worker's row, and what it wrote


def recorded(standing: Standing, *rings: str, holding: bytes = b"", most: int | None = None) -> list[Found]:
    """What is in rings of all workers, the newest first; `most` of each, where no more are wanted."""
    journals = standing.journals
    found: dict[tuple[bytes, float], Found] = {}  # an id alone may be a client's, and be sent again
    for row in range(journals.rows if journals is not None else 0):
        for ring in rings:
            for fields in islice(_written(journals, row, ring, holding), most) if journals is not None else ():
                one = Record(*fields)
                known = found.get((one.request_id, one.finished))
                if known is None or len(known[1].picks) < len(one.picks):
                    found[one.request_id, one.finished] = (row, one)
    return sorted(found.values(), key=lambda pair: pair[1].finished, reverse=True)


def _written(journals: Journals, row: int, name: str, holding: bytes) -> Iterable[tuple[Any, ...]]:
    """What is in a ring, or on the sheet of the slowest."""
    return journals.records(row, name, holding) if name != SLOW else journals.read(row, SLOW) or ()


def recent(standing: Standing, most: int) -> list[Brief]:
    """The last exchanges, the newest first."""
    most = min(most, standing.model.explain.keep)
    return [brief(*one) for one in recorded(standing, RECENT, most=most)[:most]]


def failed(standing: Standing, most: int) -> list[Brief]:
    """The last that failed, the newest first."""
    return [brief(*one) for one in recorded(standing, FAILED, most=most)[:most]]


def slowest(standing: Standing, most: int, now: float) -> list[Brief]:
    """Those of the last minutes that took longest, the slowest first."""
    lately = [one for one in recorded(standing, SLOW) if one[1].finished > now - LATELY]
    lately.sort(key=lambda pair: pair[1].seconds, reverse=True)
    return [brief(*one) for one in lately[:most]]


def explanation(standing: Standing, request_id: str) -> Explanation | None:
    """All that is known of an exchange; None when it is not kept (any more)."""
    wanted = request_id.encode()
    for one in recorded(standing, RECENT, FAILED, SLOW, holding=wanted):
        if one[1].request_id == wanted:
            return explained(*one)
    return None


def brief(row: int, one: Record) -> Brief:
    """An exchange in a line."""
    return Brief(**_line(row, one))


def _line(row: int, one: Record) -> dict[str, Any]:
    tried = [records.Attempt(*fields) for fields in one.attempts]
    return {
        "request_id": _text(one.request_id),
        "at": round(one.finished, 3),
        "worker": row,
        "method": _text(one.method),
        "target": _text(one.target),
        "host": _text(one.host),
        "client": _text(one.client),
        "site": one.site,
        "route": _text(one.route),
        "status": one.status,
        "seconds": round(one.seconds, 6),
        "upstream": one.upstream or None,
        "backend": tried[-1].backend if tried else None,
        "attempts": len(tried),
        "fault": one.fault or None,
        "reason": reason(one) or None,
        "explained": bool(one.picks),
    }


def reason(one: Record) -> str:
    """Why an exchange went wrong, in a sentence; "" when it did not."""
    tried = [records.Attempt(*fields) for fields in one.attempts]
    last = f" ({tried[-1].backend})" if tried else ""
    if one.fault:
        again = f", after {len(tried)} attempts" if len(tried) > 1 else ""
        return f"{one.reason}{last}{again}"
    if one.status >= 500 and tried and tried[-1].status == one.status:
        return f"the backend itself answered {one.status}{last}"
    return f"answered {one.status}{last}" if one.status >= 500 else ""


def explained(row: int, one: Record) -> Explanation:
    """The whole explanation of a record."""
    picks = [_pick(records.Pick(*fields)) for fields in one.picks]
    tries = [_attempt(records.Attempt(*fields)) for fields in one.attempts]
    return Explanation(
        **_line(row, one),
        protocol=one.protocol,
        started=round(one.finished - one.seconds, 3),
        bytes_in=one.bytes_in,
        bytes_out=one.bytes_out,
        timeline=[moment for _, moment in sorted(_timeline(one, picks, tries), key=_in_order)],
        queue=Waited(seconds=round(one.queued, 6)) if one.queued else None,
        limits=one.limits,
        limit=one.limit or None,
        picks=picks,
        tries=tries,
        sentence=_sentence(one, picks, tries),
    )


def _pick(one: records.Pick) -> Pick:
    return Pick(
        after=round(one.after, 6),
        strategy=one.strategy,
        chosen=one.chosen or None,
        why=one.why,
        candidates=[
            Candidate(
                **{**known._asdict(), "load": None if known.load < 0 else round(known.load, 3)},
                chosen=known.address == one.chosen,
            )
            for known in (records.Candidate(*fields) for fields in one.candidates)
        ],
        left_out=one.left_out,
    )


def _attempt(one: records.Attempt) -> Attempt:
    return Attempt(
        backend=one.backend,
        after=_when(one.after, 0.0),
        connected=_when(one.after, one.connect),
        answered=_when(one.after, one.header),
        seconds=round(one.response, 6) if one.response >= 0 else None,
        status=one.status or None,
        fault=one.fault or None,
    )


def _when(began: float, took: float) -> float | None:
    return round(began + took, 6) if began >= 0 and took >= 0 else None


def _in_order(ranked: tuple[int, Moment]) -> tuple[float, int]:
    """By time, and at one time an end before what follows from it."""
    return ranked[1].after, ranked[0]


def _timeline(one: Record, picks: Iterable[Pick], tries: Iterable[Attempt]) -> Iterator[tuple[int, Moment]]:
    """What happened, in no order; before each, what it comes after at the same time."""
    yield 0, Moment(after=0.0, what=f"{_text(one.method)} {_text(one.target)} came from {_text(one.client)}")
    if one.limits:
        by = f" by limit {one.limit}" if one.limit else ""
        yield 1, Moment(after=0.0, what=f"limits: {one.limits}{by}")
    for pick in picks:
        chosen = f"picked {pick.chosen}" if pick.chosen else "found nobody to pick"
        yield 4, Moment(after=pick.after, what=f"{pick.strategy} {chosen}: {pick.why}")
    if one.queued:
        yield 3, Moment(after=round(one.queued, 6), what=f"had waited {one.queued:.3f} s for a backend that was free")
    for attempt in tries:
        if attempt.connected is not None:
            yield 5, Moment(after=attempt.connected, what=f"had a connection to {attempt.backend}")
        if attempt.answered is not None:
            said = f" {attempt.status}" if attempt.status else ""
            yield 6, Moment(after=attempt.answered, what=f"{attempt.backend} began to answer{said}")
        elif attempt.seconds is not None and attempt.after is not None:
            over = round(attempt.after + attempt.seconds, 6)
            why = f": {attempt.fault}" if attempt.fault else ""
            yield 2, Moment(after=over, what=f"the attempt at {attempt.backend} was over{why}")
    yield 7, Moment(after=round(one.seconds, 6), what=f"finished with {one.status}")


def _sentence(one: Record, picks: list[Pick], tries: list[Attempt]) -> str:
    """All of it in one sentence."""
    text = f"{_text(one.method)} {_text(one.target)} was answered {one.status} in {one.seconds:.3f} s"
    if tries:
        text += (
            f" by {tries[-1].backend}" if tries[-1].answered is not None else f", {tries[-1].backend} was asked last"
        )
        text += f", the last of {len(tries)} that were tried" if len(tries) > 1 else ""
    if picks:
        text += f"; {picks[-1].strategy} said: {picks[-1].why}"
    why = reason(one)
    return f"{text}; {why}" if why else text


# --- those that go on -----------------------------------------------------------------------------------------------


def live(standing: Standing, since: float, now: float, most: int) -> tuple[list[Live], bool]:
    """Exchanges that go on, the oldest first, of the workers that have told since a time of the wall; and whether that
    is all."""
    journals = standing.journals
    found: list[Live] = []
    complete = journals is not None
    for slot in standing.pids if journals is not None else ():
        sheet = journals.read(slot, LIVE) if journals is not None else None
        if sheet is None or sheet[0] < since:
            complete = False
            continue
        _, all_told, rows = sheet
        complete = complete and all_told
        found += [_going(slot, Going(*fields), now) for fields in rows]
    found.sort(key=lambda one: one.started)
    return found[:most], complete and len(found) <= most


def told(standing: Standing, since: float) -> bool:
    """Whether every worker has told what goes on there since a time of the wall."""
    journals = standing.journals
    sheets = [journals.read(slot, LIVE) for slot in standing.pids] if journals is not None else []
    return all(sheet is not None and sheet[0] >= since for sheet in sheets)


def _going(slot: int, one: Going, now: float) -> Live:
    return Live(
        worker=slot,
        request_id=_text(one.request_id),
        method=_text(one.method),
        target=_text(one.target),
        host=_text(one.host),
        client=_text(one.client),
        site=one.site,
        started=round(one.started, 3),
        seconds=round(max(0.0, now - one.started), 3),
        state=one.state,  # type: ignore[arg-type]  # one of them
        upstream=one.upstream or None,
        backend=one.backend or None,
        attempts=one.attempts,
        bytes_out=one.bytes_out,
        protocol=one.protocol,
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
