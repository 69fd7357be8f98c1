"""What all tests share.

Rules: whoever lacks something that a test needs skips it and says so. With FRONTGATE_SKIPS=none, as in CI, a skip is a
failure, except of what only root may do: that runs with `sudo make test-root`.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Examples are the same in every run, so that a failure is one for everybody; no deadline, for some machines are slow.
settings.register_profile("house", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("house")

ROOT_ONLY = "only root may become somebody else: sudo make test-root"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs root for anybody else."""
    if os.geteuid() and item.get_closest_marker("root"):
        pytest.skip(ROOT_ONLY)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for what was skipped, where nothing may be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("FRONTGATE_SKIPS") != "none" or reporter is None:
        return
    skipped = [report for report in reporter.stats.get("skipped", ()) if ROOT_ONLY not in str(report.longrepr)]
    for report in skipped:
        reporter.write_line(f"SKIPPED, and nothing may be: {report.nodeid}: {report.longrepr}", red=True)
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
