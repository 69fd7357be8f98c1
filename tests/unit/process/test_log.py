"""The error log: where it writes, and who may read it."""

from __future__ import annotations

import logging
import os
import stat

import pytest

from proxy.process.log import ErrorLog


def record(words):
    return logging.LogRecord("frontgate", logging.WARNING, __file__, 1, words, (), None)


@pytest.fixture
def mask():
    """With a mask that takes nothing away, the mode is what was asked for."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_world_may_not_read_it(tmp_path, mask):
    path = tmp_path / "error.log"
    log = ErrorLog(str(path))
    log.emit(record("one"))
    path.rename(tmp_path / "old.log")
    log.reopen()
    log.emit(record("two"))
    log.move("-")
    for name, words in (("old.log", "one"), ("error.log", "two")):
        file = tmp_path / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert file.read_text().endswith(f"[warning] {os.getpid()}: {words}\n")


def test_a_file_that_is_there_keeps_its_mode_and_its_lines(tmp_path):
    path = tmp_path / "error.log"
    path.write_text("before\n")
    path.chmod(0o600)
    log = ErrorLog(str(path))
    log.emit(record("after"))
    log.move("off")
    log.emit(record("unheard"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["before", "after"]
