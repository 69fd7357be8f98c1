"""What pip builds is compiled and says so; without a compiler the source runs and says so."""

from __future__ import annotations

import os
import subprocess
import sys

from door import ROOT, UNDER_TEST


def version(folder: str) -> str:
    """What --version says of the package in a folder."""
    command = [sys.executable, "-P", "-m", "proxy.cli", "--version"]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True, check=True
    ).stdout


def test_the_source_says_that_it_is_not_compiled() -> None:
    assert version(str(ROOT)).endswith("(plain Python)\n")


def test_what_is_under_test_is_what_it_was_meant_to_be() -> None:
    """A build that fell back to plain Python would pass all other tests."""
    assert version(UNDER_TEST).endswith("(plain Python)\n" if str(ROOT) == UNDER_TEST else "(compiled)\n")
