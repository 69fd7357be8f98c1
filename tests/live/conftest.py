"""Which of these tests run a second time, on what pip builds (`make test-built`).

Rules: a build differs from the source in the modules that setup.py compiles (HOT), which a request passes, and where
others meet these. What is about all else is tried on the source alone, and its file stands here with the reason, but
for tests that are marked `built`. The other files, tests/abuse and tests/side are tried on both.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

COMMANDS = "commands and what they print or write"
CHILDREN = "the master, its children and their signals; what that means for requests: test_farewells, test_http2_life"
WORKERS = "an application's workers, which the supervisor minds"
INTERPRETED = {
    "test_acme.py": "certificates that the keeper orders",
    "test_acme_caddy.py": "certificates that the keeper orders",
    "test_admin_api.py": "the admin door, which the keeper answers",
    "test_certificates.py": "files of certificates, which the master reads",
    "test_examples.py": "configurations that are read and answer; what they say is done is tried by the others",
    "test_lab_accuracy.py": "what is measured of a simulation",
    "test_lab_live.py": COMMANDS,
    "test_lab_watch.py": "what the laboratory draws in a terminal",
    "test_nginx_command.py": COMMANDS,
    "test_package.py": "what is in the archives",
    "test_process.py": CHILDREN,
    "test_redis.py": "the way to Redis, on a connection of interpreted code",
    "test_redis_arithmetic.py": "a script that Redis runs",
    "test_resilience.py": "the applications' own library, which is no part of the package",
    "test_resilience_redis.py": "the applications' own library, which is no part of the package",
    "test_run.py": WORKERS,
    "test_systemd.py": CHILDREN,
    "test_top.py": COMMANDS,
    "test_upgrade.py": CHILDREN,
}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is no test of the build, where a build is under test."""
    if "FRONTGATE_UNDER_TEST" not in os.environ:
        return
    gone = [name for name in INTERPRETED if not (HERE / name).exists()]
    assert not gone, f"there is no {gone}"
    out = [
        item
        for item in items
        if item.path.parent == HERE and item.path.name in INTERPRETED and not item.get_closest_marker("built")
    ]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in set(out)]
