"""What one line of an access log says of a request: when it came, how long it took, who answered, who failed.

Rules: pure. Values are found by the names of nginx's variables, or by the keys of our JSON. Several attempts are told
as nginx tells them, "a, b : c": by commas those of one upstream, by colons those of the next one. Only the first
upstream counts; the attempt that counts is the one whose answer was taken, for those before it have failed. A line that
does not say when a request ended, or what became of it, is a bad one.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

from proxy.faults import BACKEND, TABLE
from proxy.lab.logs.line_format import Values

UNKNOWN: Final = -1.0
LATEST: Final = 1e11  # seconds since 1970, in the year 5138: what is later was not written in seconds
NO_ONE: Final = "-"
STAMPS: Final = ("@timestamp", "timestamp")  # keys of times in JSON for log stores
LOST: Final = ("502", "-", "")  # statuses of attempts that no answer came of
BEFORE: Final = ("no_backend", "no_live_backend", "queue_full", "queue_timeout")  # faults before any attempt
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Entry(NamedTuple):
    """One request. Times are seconds, UNKNOWN if the line does not tell; `end` counts since 1970.

    `address` is who gave the answer ("": nobody did), `service` how long that took from the attempt's beginning, and
    `before` how long the queue of the door and the attempts before it took; `lost` are addresses of attempts that no
    answer came of, NO_ONE if there was nobody to ask.
    """

    end: float
    took: float
    status: int
    client: str
    method: str
    target: str
    address: str
    service: float
    before: float
    lost: tuple[str, ...]

    @property
    def asked(self) -> bool:
        """Whether any backend was asked."""
        return bool(self.address or self.lost)


def entry(values: Values) -> Entry | None:
    """What a line's values say, or None when that is not enough."""
    try:
        ours = "attempts" in values
        method, target = _request(values)
        status = int(values["status"])
        took = _time(values.get("request_time"))
        attempt = _attempts_of_ours(values, took) if ours else _attempts(values, status)
        client, end = values.get("remote_addr") or "-", _end(values)
        if not isfinite(took + attempt[1] + attempt[2]) or not 0.0 <= end < LATEST or not 100 <= status <= 999:
            return None
        return Entry(end, took, status, str(client), method, target, *attempt)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def _request(values: Values) -> tuple[str, str]:
    words = (values.get("request") or "").split(" ")
    method = values.get("request_method") or values.get("method") or words[0] or "GET"
    whole = values.get("request_uri") or values.get("target") or values.get("uri")
    return str(method), str(whole or (words[1] if len(words) > 1 else ""))


def _end(values: Values) -> float:
    """When the request ended. KeyError when nothing tells."""
    for name in ("msec", "time", *STAMPS):
        value = values.get(name)
        if value is not None and value != "":
            return _iso(value) if isinstance(value, str) and ":" in value else float(value)
    text = values.get("time_local")
    return _local(text) if text else _iso(values["time_iso8601"])


def coarse(values: Values) -> bool:
    """Whether a line's time is one of whole seconds."""
    if values.get("msec") not in (None, ""):
        return False
    for name in ("time", *STAMPS, "time_iso8601"):
        if (value := values.get(name)) is not None:
            return "." not in str(value)
    return True


@lru_cache(4096)
def _local(text: str) -> float:
    """`$time_local`: 23/Nov/2026:20:45:01 +0000."""
    day, month, rest = text.split("/")
    date = f"{rest[:4]}-{_MONTHS.index(month) + 1:02d}-{day}T{rest[5:13]}{rest[14:17]}:{rest[17:19]}"
    return datetime.fromisoformat(date).timestamp()


@lru_cache(4096)
def _iso(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _time(value: Any) -> float:
    return UNKNOWN if value in (None, "", "-") else float(value)


Attempts = tuple[str, float, float, tuple[str, ...]]
NOBODY: Final[Attempts] = ("", UNKNOWN, 0.0, ())
NOT_THERE: Final[Attempts] = ("", UNKNOWN, 0.0, (NO_ONE,))


def _attempts(values: Values, status: int) -> Attempts:
    """As nginx's variables tell them, and as our combined line does: it has the time of the last attempt only."""
    addresses = values.get("upstream_addr") or ""
    times = values.get("upstream_response_time")
    times = str(times if times not in (None, "") else values.get("upstream_header_time") or "")
    own = values.get("attempt_time")
    if own is not None:
        fault = TABLE.get(values.get("fault") or "")
        failed = fault is not None and fault.blame == BACKEND and fault.status == 502
        if fault is not None and fault.name in BEFORE and addresses in ("", "-"):
            return NOT_THERE
        return _own(addresses.split(",") if addresses not in ("", "-") else [], _time(own), failed)
    if addresses in ("", "-"):
        return NOBODY if times in ("", "-") else ("?", _time(_first(times)[-1]), 0.0, ())
    said = str(values.get("upstream_status") or "")
    if "," not in addresses and " : " not in addresses:  # nearly always
        if ":" not in addresses:  # the upstream's name: no backend was live
            return NOT_THERE
        if (said or str(status)) in LOST:
            return "", UNKNOWN, 0.0, (addresses,)
        return addresses, _time(times), 0.0, ()
    return _several(_first(addresses), _first(times), _first(said) if said else [], status)


def _first(text: str) -> list[str]:
    """The values of the first upstream."""
    return [word.strip() for word in text.split(" : ")[0].split(",")]


def _several(addresses: list[str], times: list[str], statuses: list[str], status: int) -> Attempts:
    seconds = [_time(text) for text in times] + [UNKNOWN] * (len(addresses) - len(times))
    last = len(addresses) - 1
    if not statuses:
        statuses = ["502"] * last + [str(status)]
    lost = [one for one, said in zip(addresses, statuses, strict=True) if said in LOST and ":" in one]
    if statuses[last] in LOST or ":" not in addresses[last]:
        return "", UNKNOWN, 0.0, tuple(lost) or (NO_ONE,)
    return addresses[last], seconds[last], sum(max(0.0, time) for time in seconds[:last]), tuple(lost)


def _own(addresses: list[str], last: float, failed: bool, before: float = 0.0) -> Attempts:
    """Of a log of ours: attempts that were not the last have failed."""
    if not addresses:
        return NOBODY
    if failed:
        return "", UNKNOWN, 0.0, tuple(addresses)
    return addresses[-1], last, before, tuple(addresses[:-1])


def _attempts_of_ours(values: Values, took: float) -> Attempts:
    """Of our JSON: `attempt_time` is that of the last attempt."""
    fault = TABLE.get(values.get("fault") or "")
    failed = fault is not None and fault.blame == BACKEND and fault.status == 502
    if fault is not None and fault.name in BEFORE and not values["attempts"]:
        return NOT_THERE
    last = values.get("attempt_time")
    if last is None:
        last = values.get("header_time")
    seconds = _time(last if last is not None else took)
    before = float(values.get("queue_time") or 0.0)
    if took >= 0.0 and len(values["attempts"]) > 1:
        before = max(0.0, took - seconds)
    return _own([_address(one) for one in values["attempts"]], seconds, failed, before)


def _address(value: Any) -> str:
    if not isinstance(value, str) or ":" not in value:
        raise TypeError
    return value
