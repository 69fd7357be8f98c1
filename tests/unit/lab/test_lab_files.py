"""Files that a study writes: whole, and nothing else is harmed."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from proxy.lab import files


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a"
    path.write_text("old and longer")
    before = path.open()
    files.write(path, "new")
    assert path.read_text() == "new" and before.read() == "old and longer"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_written_to_and_stays(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(path.read_bytes()))
    reader.start()
    files.write(path, "told")
    reader.join(10)
    assert heard == [b"told"] and stat.S_ISFIFO(path.stat().st_mode)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    files.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_what_cannot_be_written_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        files.write(tmp_path / "nowhere" / "a", "x")
    with pytest.raises(ValueError, match="cannot be written"):
        files.write(tmp_path, "x")
    assert not list(tmp_path.iterdir())
