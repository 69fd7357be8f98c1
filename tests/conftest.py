"""What all tests share.

Rules: whoever lacks something that a test needs skips it and says so. With FRONTGATE_SKIPS=none, as in CI, a skip is a
failure, except of what only root may do: that runs with `sudo make test-root`. Several processes run tests at a time
(`make test`, see `turns`).
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from turns import ByDoors, alone, forget_turns, place, turn

# Examples are the same in every run, so that a failure is one for everybody; no deadline, for some machines are slow.
EXAMPLES = int(os.environ.get("FRONTGATE_EXAMPLES", "200"))
settings.register_profile("house", derandomize=True, deadline=None, max_examples=EXAMPLES, database=None)
settings.load_profile("house")
if hasattr(providers, "_get_local_constants"):  # from 6.131 on
    # Literals of whichever modules of ours are loaded just then would be among the examples: what another test imports,
    # and every change of the program, would make them others.
    providers._get_local_constants = providers.Constants

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:  # by nohup, or a shell's &; what tests start would ignore it too
        signal.signal(number, lambda *_: None)

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests into the order in which they run best."""
    items.sort(key=place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByDoors | None:
    """How `make test` has tests distributed; any other way that is asked for is xdist's own affair."""
    return ByDoors(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the timeout of the test begins
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for one's turn, where several processes run tests."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with turn(os.getppid(), alone(item.path)):
        return (yield)


def pytest_collection_finish() -> None:
    """What all tests together have loaded stays: else each `gc.collect` of a test, of which some do hundreds, takes a
    second to look at it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for what was skipped, where nothing may be; leave no locks behind."""
    forget_turns()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("FRONTGATE_SKIPS") != "none" or reporter is None:
        return
    skipped = [report for report in reporter.stats.get("skipped", ()) if ROOT_ONLY not in str(report.longrepr)]
    for report in skipped:
        reporter.write_line(f"SKIPPED, and nothing may be: {report.nodeid}: {report.longrepr}", red=True)
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
