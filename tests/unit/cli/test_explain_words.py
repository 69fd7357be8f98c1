"""What `frontgate explain` prints: nothing that a terminal would obey, wherever a client has put it."""

from __future__ import annotations

import json

import pytest

from proxy.cli import explain
from proxy.cli.line import Line

EVIL = "x\x1b]0;owned\x07\x9b2J\r\u202e"
BRIEF = {
    "request_id": EVIL, "at": 0.0, "worker": 0, "method": EVIL, "target": EVIL, "host": EVIL, "client": EVIL,
    "site": "s", "route": EVIL, "status": 502, "seconds": 0.1, "backend": EVIL, "reason": EVIL,
}  # fmt: skip
CANDIDATE = {
    "address": EVIL, "state": "up", "in_flight": 0, "weight": 1, "fails": 0, "tried": True, "why": EVIL, "chosen": True,
}  # fmt: skip
WHOLE = {
    **BRIEF, "started": 0.0, "protocol": EVIL, "sentence": EVIL, "limits": EVIL, "limit": EVIL,
    "queue": {"seconds": 1.0}, "bytes_in": 0, "bytes_out": 0,
    "picks": [{"after": 0.0, "strategy": "s", "chosen": EVIL, "why": EVIL, "candidates": [CANDIDATE], "left_out": 1}],
    "tries": [], "timeline": [{"after": 0.0, "what": EVIL}],
}  # fmt: skip


@pytest.mark.parametrize("words", [("id",), ("id", "--json"), (), ("--json",)])
def test_a_terminal_is_given_nothing_to_obey(tmp_path, monkeypatch, capsys, words):
    path = tmp_path / "frontgate.toml"
    path.write_text('[admin]\nlisten = "127.0.0.1:9"\n')
    answer = WHOLE if "id" in words else {"exchanges": [BRIEF]}
    monkeypatch.setattr(Line, "ask", lambda line, path: json.loads(json.dumps(answer)))
    parser = explain.argparse.ArgumentParser()
    explain.words(parser.add_subparsers())
    asked = parser.parse_args(["explain", "-c", str(path), *words])
    assert asked.do(asked) == 0
    text = capsys.readouterr().out
    assert "owned" in text and all(sign.isprintable() or sign == "\n" for sign in text)
