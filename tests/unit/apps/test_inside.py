"""What is said when an application's server is not installed."""

from __future__ import annotations

import sys

import pytest

from proxy.apps import inside


@pytest.mark.parametrize(
    ("server", "module", "remedy"),
    [
        ("uvicorn", "uvicorn", 'pip install "frontgate[run]"'),
        ("gunicorn", "uvicorn_worker", "pip install uvicorn-worker"),
        ("asgi", "gunicorn", 'pip install "gunicorn>=23"'),
        ("look", "gunicorn", 'pip install "gunicorn>=23"'),
    ],
)
def test_a_server_that_is_missing_is_named_with_its_remedy(monkeypatch, server, module, remedy):
    monkeypatch.setattr(inside, "find_spec", lambda name: None if name == module else object())
    assert inside.lacking(server) == f"{module} is not installed for {sys.executable}: {remedy}"


def test_nothing_is_said_when_all_is_there():
    assert inside.lacking("uvicorn") == inside.lacking("gunicorn") == ""
