"""What all tests share.

Rules: whoever lacks something that a test needs skips it and says so. With FRONTGATE_SKIPS=none, as in CI, a skip is a
failure, except of what only root may do: that runs with `sudo make test-root`. Several processes run tests at a time
(`make test`); what fills the machine, or measures it, has it for itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Examples are the same in every run, so that a failure is one for everybody; no deadline, for some machines are slow.
settings.register_profile("house", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("house")

TESTS = Path(__file__).parent
# Tests, or folders of them, that want the whole machine.
ALONE = (TESTS / "soak", TESTS / "abuse", TESTS / "fuzz", TESTS / "live" / "test_http2_attacks.py")
ROOT_ONLY = "only root may become somebody else: sudo make test-root"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs root for anybody else."""
    if os.geteuid() and item.get_closest_marker("root"):
        pytest.skip(ROOT_ONLY)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """The level that an ErrorLog sets is undone: it is the root's, and what is logged in the next test hangs on it."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@contextlib.contextmanager
def turn(run: int, alone: bool) -> Iterator[None]:
    """While a test runs: nobody else's may, if it wants to be alone, and else none of those that do.

    `run` is the process that all who run tests come from. Whoever waits for the room holds the door, so that those who
    want to be alone get their turn.
    """
    with (
        open(Path(tempfile.gettempdir(), f"frontgate-tests-{run}-door"), "wb") as door,
        open(Path(tempfile.gettempdir(), f"frontgate-tests-{run}-room"), "wb") as room,
    ):
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the timeout of the test begins
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for one's turn, where several processes run tests."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with turn(os.getppid(), any(place in (item.path, *item.path.parents) for place in ALONE)):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for what was skipped, where nothing may be; leave no locks behind."""
    for lock in Path(tempfile.gettempdir()).glob(f"frontgate-tests-{os.getpid()}-*"):
        lock.unlink(missing_ok=True)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("FRONTGATE_SKIPS") != "none" or reporter is None:
        return
    skipped = [report for report in reporter.stats.get("skipped", ()) if ROOT_ONLY not in str(report.longrepr)]
    for report in skipped:
        reporter.write_line(f"SKIPPED, and nothing may be: {report.nodeid}: {report.longrepr}", red=True)
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
