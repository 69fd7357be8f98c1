"""Requests that RFC 9110, RFC 9112 and our policy judge, against a running door and a backend that reads strictly."""

from __future__ import annotations

import socket

import cases_fields
import cases_framing
import cases_lines
import pytest
from cases import Case, marked, sound
from configs import plain
from wires import CleanDoor, Cut, Recorder, Response, Wire, read_response

CONFIG = plain('[timeouts]\nclient_body = "2s"\n[http]\nmax_body = "64k"')
CASES: list[Case] = [*cases_lines.CASES, *cases_framing.CASES, *cases_fields.CASES]

# What is not as the rule has it, and why.
KNOWN: dict[str, str] = {}


def test_the_tables() -> None:
    sound(CASES, KNOWN, 150)


@pytest.mark.parametrize("number", marked(CASES, KNOWN))
def test_request(number: int, door: CleanDoor, recorder: Recorder) -> None:
    case = CASES[number]
    recorder.requests.clear()
    recorder.wrong.clear()
    with door.client(5.0) as wire:
        wire.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found = converse(case, wire)
        judge(case, found, list(recorder.requests))
        after(case, wire, found)
    assert recorder.wrong == []
    assert not [request for request in recorder.requests if request.target == b"/smuggled"]
    with door.client(5.0) as wire:
        assert wire.get("/victim").body == b"/victim"


def converse(case: Case, wire: Wire) -> list[Response]:
    """Send the parts; all answers that come, at most as many as may come."""
    first: list[int] = []
    for number, part in enumerate(case.parts):
        if number and case.waits:
            assert wire.line() == b"HTTP/1.1 100 Continue" and not wire.line()
            first.append(100)
        wire.send(part)
    found: list[Response] = []
    for place, allowed in enumerate(case.answers):
        try:
            answer = read_response(wire, "HEAD" if place in case.heads else "GET")
        except Cut:
            break
        assert answer.status in allowed, f"{case.rule}: answer {place + 1} is {answer!r}"
        found.append(answer)
    if found:
        found[0].interim[:0] = first
    return found


def judge(case: Case, found: list[Response], requests: list[object]) -> None:
    """Whether what came and what the backend saw is what the rule says."""
    assert found, f"{case.rule}: closed without an answer"
    assert len(found) == len(case.answers) or found[-1].status >= 400, f"{case.rule}: {found}"
    seen = [request.target for request in requests]  # type: ignore[attr-defined]
    own = [target for target, answer in zip(case.targets, found, strict=False) if answer.status == 200]
    assert seen == own, f"{case.rule}: the backend saw {seen}, answers are {found}"
    if case.interim is not None:
        assert tuple(found[0].interim) == case.interim
    if found[0].status != 200:
        return
    first: Recorder = requests[0]  # type: ignore[assignment]
    if case.body is not None:
        assert first.body == case.body, case.rule  # type: ignore[attr-defined]
    for name, values in case.fields.items():
        assert tuple(first.all(name)) == values, f"{case.rule}: {name} is {first.all(name)}"  # type: ignore[attr-defined]


def after(case: Case, wire: Wire, found: list[Response]) -> None:
    """The connection is closed, or good for one more request."""
    last = found[-1]
    announced = last.get("connection") == b"close"
    if case.closes or announced or (last.status == 400 and case.closes is None):
        assert wire.ended(), f"{case.rule}: more came, or it stayed open: {wire.begun!r}"
        assert announced, "it closes without saying so"
    else:
        assert wire.get("/marker").body == b"/marker", case.rule
