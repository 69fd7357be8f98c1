"""The files of access logs: when lines are written, which files are shared, and what a reload does."""

from __future__ import annotations

from collections import deque

import pytest

from proxy.observe.log_files import MOST, LogFiles


class Loop:
    """Keeps what is to be called in the next turn."""

    def __init__(self):
        self.calls = deque()

    def soon(self, call):
        self.calls.append(call)

    def turn(self):
        for _ in range(len(self.calls)):
            self.calls.popleft()()


@pytest.fixture
def loop():
    return Loop()


def test_prompt_lines_go_out_together_at_the_end_of_the_turn(tmp_path, loop):
    path = tmp_path / "a.log"
    files = LogFiles(loop.soon)
    write = files.prompt(str(path))
    write(b"1\n")
    write(b"2\n")
    assert path.read_bytes() == b"" and len(loop.calls) == 1
    loop.turn()
    assert path.read_bytes() == b"1\n2\n"
    write(b"3\n")
    loop.turn()
    assert path.read_bytes() == b"1\n2\n3\n"


def test_a_buffer_fills_or_its_time_comes(tmp_path, loop):
    path = tmp_path / "a.log"
    files = LogFiles(loop.soon)
    write = files.buffered(str(path), 10, 2.0)
    write(b"12345\n")
    files.flush(100.0)
    assert path.read_bytes() == b""
    write(b"67890\n")
    files.flush(100.1)
    assert path.read_bytes() == b"12345\n67890\n"
    write(b"x\n")
    files.flush(101.0)
    files.flush(102.9)
    assert path.read_bytes() == b"12345\n67890\n"
    files.flush(103.0)
    assert path.read_bytes() == b"12345\n67890\nx\n"
    write(b"y\n")
    files.close()
    assert path.read_bytes().endswith(b"y\n")


def test_a_file_is_open_once(tmp_path, loop):
    files = LogFiles(loop.soon)
    assert files.file(str(tmp_path / "a")) is files.file(str(tmp_path / "a"))


def test_names_that_come_with_requests(tmp_path, loop):
    files = LogFiles(loop.soon)
    for number in range(MOST + 5):
        files.named(f"{tmp_path}/{number}.log", b"line\n", 1000)
    for bad in (f"{tmp_path}/../x.log", f"{tmp_path}/a\0b", f"{tmp_path}/nowhere/x.log", f"{tmp_path}/.."):
        files.named(bad, b"line\n")
    loop.turn()
    files.close()
    assert sorted(tmp_path.rglob("*.log")) == sorted(tmp_path / f"{number}.log" for number in range(MOST + 5))
    assert all(path.read_bytes() == b"line\n" for path in tmp_path.glob("*.log"))


def test_which_names_stay_open(tmp_path, loop):
    files, folder = LogFiles(loop.soon), tmp_path / "a"
    folder.mkdir()

    def write(name):
        files.named(f"{folder}/{name}", b"line\n", 2, 2)
        loop.turn()

    for name in ("old", "old", "once", "kept", "kept"):
        write(name)
    folder.rename(tmp_path / "b")
    for name in ("old", "once", "kept"):
        write(name)
    counts = {path.name: path.read_bytes().count(b"line") for path in (tmp_path / "b").iterdir()}
    assert counts == {"old": 2, "once": 1, "kept": 3}


def test_reopening(tmp_path, loop):
    files = LogFiles(loop.soon)
    write = files.prompt(str(tmp_path / "a.log"))
    write(b"before\n")
    (tmp_path / "a.log").rename(tmp_path / "old.log")
    files.reopen()
    write(b"after\n")
    files.flush(0.0)
    assert (tmp_path / "old.log").read_bytes() == b"before\n"
    assert (tmp_path / "a.log").read_bytes() == b"after\n"


def test_a_reload_keeps_what_both_name_and_writes_what_only_the_old_one_did(tmp_path, loop):
    old = LogFiles(loop.soon)
    kept, gone = old.prompt(str(tmp_path / "kept")), old.prompt(str(tmp_path / "gone"))
    new = LogFiles(loop.soon, old)
    assert new.file(str(tmp_path / "kept")) is old.file(str(tmp_path / "kept"))
    old.retire(new)
    kept(b"1\n")
    gone(b"2\n")
    new.flush(0.0)
    assert (tmp_path / "kept").read_bytes() == b"1\n" and (tmp_path / "gone").read_bytes() == b"2\n"


def test_the_door_s_log_goes_on_in_the_next_one(tmp_path, loop):
    old = LogFiles(loop.soon)
    write = old.standard(str(tmp_path / "old"))
    new = LogFiles(loop.soon, old)
    new.standard(str(tmp_path / "new"))
    old.retire(new)
    write(b"late\n")
    new.flush(0.0)
    assert (tmp_path / "new").read_bytes() == b"late\n"
