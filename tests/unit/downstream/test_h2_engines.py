"""Unit tests of which engine speaks HTTP/2 (proxy.downstream.h2.engines)."""

from __future__ import annotations

import pytest

from proxy.downstream.h2 import engines


def test_the_first_that_is_there_unless_another_is_named(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {"jh2": "second best", "h2": "third"})
    assert engines.chosen("auto") == "second best" and engines.chosen("h2") == "third"
    with pytest.raises(ValueError, match="pip install ngh2"):
        engines.chosen("ngh2")


def test_without_any_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {})
    with pytest.raises(ValueError, match=r"pip install \"frontgate\[http2\]\""):
        engines.chosen("auto")


def test_what_is_missing_is_left_out(monkeypatch):
    monkeypatch.setattr(engines, "NAMES", {"nobody_has_this": "by_h2", **engines.NAMES})
    assert "nobody_has_this" not in engines.found()
