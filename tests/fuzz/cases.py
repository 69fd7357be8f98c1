"""What a case is: bytes for the door, the rule that judges them, and what has to come of it.

Rules: `must` is security or a MUST of an RFC, `policy` what a careful door chooses, `should` the rest. An answer that
may be one of several is a tuple of statuses. A request whose answer is 200 was served, so the backend has seen its
target and its body; one that was refused it has not seen. A case is a value; how it is played is in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

MUST, POLICY, SHOULD = "must", "policy", "should"
Allowed = tuple[int, ...]

HOST = b"Host: a.test\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """Requests. `parts` are sent one after the other; `answers` are what may come, `targets` whom they are for.

    `closes`: whether the door has to close (None: it may); `fields`: all values that the backend has to see of a field
    of the first request (none: it must not come); `body`: that of the first request; `heads`: places of HEAD requests;
    `waits`: the next part is sent when a 100 (Continue) has come; `interim`: the statuses of all 1xx responses.
    """

    name: str
    rule: str
    parts: tuple[bytes, ...]
    answers: tuple[Allowed, ...]
    level: str = MUST
    closes: bool | None = None
    targets: tuple[bytes, ...] = (b"/", b"/second", b"/third")
    body: bytes | None = None
    fields: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    heads: tuple[int, ...] = ()
    waits: bool = False
    interim: tuple[int, ...] | None = None


def refused(name: str, rule: str, raw: bytes, *statuses: int, level: str = MUST, **more: object) -> Case:
    """Answered once with one of the statuses (400 if none is given), and closed."""
    return Case(name, rule, (raw,), (statuses or (400,),), level, True, **more)  # type: ignore[arg-type]


def served(name: str, rule: str, raw: bytes, body: bytes | None = None, level: str = MUST, **more: object) -> Case:
    """Reaches the backend, and the connection stays open."""
    return Case(name, rule, (raw,), ((200,),), level, False, body=body, **more)  # type: ignore[arg-type]


def either(name: str, rule: str, raw: bytes, *statuses: int, level: str = MUST, **more: object) -> Case:
    """Served, or refused with one of the statuses (400 if none is given)."""
    return Case(name, rule, (raw,), ((200, *(statuses or (400,))),), level, **more)  # type: ignore[arg-type]


CUT = -2  # in place of a status: a truncation that can be seen


@dataclass(frozen=True)
class Answer:
    """What a backend says to one request. `allowed`: what may come of it at the client (a status, or CUT).

    `then`: what follows the bytes, "keep", "close", "reset" or "stall"; `parts` go out apart; `never`: bytes that no
    client may see; `lines`: more field lines of the request; `executed`: how often the backend may see the request.
    """

    name: str
    rule: str
    parts: tuple[bytes, ...]
    allowed: Allowed
    level: str = MUST
    body: bytes | None = None
    then: str = "keep"
    method: str = "GET"
    never: bytes = b"poison"
    lines: tuple[str, ...] = ()
    executed: int = 1
    fields: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    interim: tuple[int, ...] | None = None


def sound(cases: Sequence[Case] | Sequence[Answer], known: Mapping[str, str], least: int) -> None:
    """A table has so many cases at least, each with a name of its own and a rule, and `known` speaks of those."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names) >= least
    assert set(known) <= set(names)
    assert all(case.level in (MUST, POLICY, SHOULD) and case.rule for case in cases)


def marked(cases: Sequence[Case] | Sequence[Answer], known: Mapping[str, str]) -> list[object]:
    """The places of the cases, for `parametrize`; those that are `known` not to be as the rule has it have to fail."""
    return [
        pytest.param(
            number,
            id=case.name,
            marks=[pytest.mark.xfail(strict=True, reason=known[case.name])] if case.name in known else [],
        )
        for number, case in enumerate(cases)
    ]
