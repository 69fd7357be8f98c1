"""What is cut out of bodies on their way."""

from __future__ import annotations

from types import SimpleNamespace

from proxy.content.parts import Sliced


def test_what_stands_behind_a_body_stays_there():
    told = []
    sliced = Sliced(SimpleNamespace(body=lambda *words: told.append(words)), [(1, 3)])
    sliced.body(b"abc", False)
    sliced.body(b"def", True, b"X-Sum: 1\r\n")
    assert told == [(b"bc", False, b""), (b"", True, b"X-Sum: 1\r\n")]
