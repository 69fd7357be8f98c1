"""The pid file and the error log."""

from __future__ import annotations

import logging
import os
import re

import pytest

from proxy.process import log, pidfile


def test_it_is_written_read_and_removed_by_its_owner_only(tmp_path):
    path = str(tmp_path / "pid")
    pidfile.write(path)
    assert pidfile.read(path) == os.getpid()
    assert os.listdir(tmp_path) == ["pid"]
    pidfile.remove(path)
    assert not os.path.exists(path)
    (tmp_path / "pid").write_text("1\n")
    pidfile.remove(path)
    assert os.path.exists(path)


@pytest.mark.parametrize("text", ["", "no number", "-1", "0"])
def test_anything_else_is_refused_with_a_sentence(tmp_path, text):
    path = tmp_path / "pid"
    with pytest.raises(ValueError, match="does not run"):
        pidfile.read(str(path))
    path.write_text(text)
    with pytest.raises(ValueError, match="no process id"):
        pidfile.read(str(path))


def test_the_error_log_writes_lines_and_follows_a_rotation(tmp_path):
    path = tmp_path / "error.log"
    handler = log.ErrorLog(str(path))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.warning("first of %d", 2)
    path.rename(tmp_path / "old.log")
    handler.reopen()
    logger.error("second")
    handler.move("off")
    logger.error("never")
    handler.close()
    line = rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} \[warning\] {os.getpid()}: first of 2\n"
    assert re.fullmatch(line, (tmp_path / "old.log").read_text())
    assert path.read_text().endswith("second\n") and path.read_text().count("\n") == 1


def test_an_error_log_that_cannot_be_opened_leaves_the_old_one(tmp_path):
    path = tmp_path / "error.log"
    handler = log.ErrorLog(str(path))
    with pytest.raises(OSError):
        handler.move(str(tmp_path / "nowhere" / "error.log"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.error("still here")
    handler.close()
    assert "still here" in path.read_text()
