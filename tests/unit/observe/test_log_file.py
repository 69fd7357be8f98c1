"""A log never stops a request: full disks, closed pipes, pipes that nobody reads."""

from __future__ import annotations

import os
import signal

import pytest

from proxy.observe.log_file import FULL, LogFile


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def impatient():
    """Fails what blocks for two seconds."""

    def late(*_):
        raise AssertionError("it blocks")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_lines_go_out_at_a_flush(tmp_path):
    file = LogFile(str(tmp_path / "a.log"))
    file.write(b"one\n")
    file.write(b"two\n")
    assert (tmp_path / "a.log").read_bytes() == b""
    file.flush()
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n" and file.dropped == 0
    file.write(b"three\n")
    file.close()
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\nthree\n"


def test_two_append_to_one(tmp_path):
    one, other = LogFile(str(tmp_path / "a")), LogFile(str(tmp_path / "a"))
    for number in range(10):
        for file in (one, other):
            file.write(b"%d\n" % number)
            file.flush()
    assert len((tmp_path / "a").read_bytes().splitlines()) == 20


def test_reopening_after_a_rotation(tmp_path):
    file = LogFile(str(tmp_path / "a"))
    file.write(b"old\n")
    file.flush()
    os.rename(tmp_path / "a", tmp_path / "b")
    before = open_files()
    file.reopen()
    file.write(b"new\n")
    file.flush()
    assert (tmp_path / "a").read_bytes() == b"new\n" and (tmp_path / "b").read_bytes() == b"old\n"
    assert open_files() == before


def test_reopening_where_there_is_no_folder_any_more(tmp_path):
    """Only the first opening may raise: a worker that serves must not stop for its log."""
    (tmp_path / "logs").mkdir()
    file = LogFile(str(tmp_path / "logs" / "a"))
    os.rename(tmp_path / "logs", tmp_path / "moved")
    file.reopen()
    file.write(b"kept\n")
    file.flush()
    file.close()


def test_the_first_opening_raises(tmp_path):
    with pytest.raises(OSError):
        LogFile(str(tmp_path / "nowhere" / "a"))


def test_a_full_disk_drops_and_leaks_nothing():
    file = LogFile("/dev/full")
    before = open_files()
    for _ in range(50):
        file.write(b"line\n")
        file.flush()
    assert open_files() <= before + 1
    assert sum(len(line) for line in file._lines) == 250 and file.dropped == 0
    file.write(b"x" * FULL + b"\n")
    file.flush()
    assert file.dropped == 51 and not file._lines
    file.close()


def test_a_pipe_that_nobody_reads(impatient):
    reader, writer = os.pipe()
    file = LogFile("-")
    file._fd, file._regular = writer, False
    try:
        for _ in range(100):
            file.write(b"x" * 9999 + b"\n")
        for _ in range(5):
            file.flush()
        file.write(b"y" * 200000 + b"\n")
        file.flush()
        assert file._lines or file.dropped
    finally:
        os.close(reader)
        os.close(writer)


def test_a_pipe_that_is_closed(impatient):
    reader, writer = os.pipe()
    os.close(reader)
    file = LogFile("-")
    file._fd, file._regular = writer, False
    file.write(b"x\n")
    file.flush()
    file.flush()
    os.close(writer)
