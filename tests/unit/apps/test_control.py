"""How commands reach an application, and that no two have one folder."""

from __future__ import annotations

import asyncio
import os

import pytest

from proxy.apps.control import Control, Taken, ask_to_restart, control_socket, free, lock


def test_a_folder_has_one_owner(tmp_path):
    folder = str(tmp_path)
    assert free(folder)
    held = lock(folder)
    assert not free(folder)
    with pytest.raises(Taken, match=f"in use by process {os.getpid()}"):
        lock(folder)
    os.close(held)
    assert free(folder)


@pytest.mark.parametrize("problem", ["", "left with exit code 3"])
def test_who_asks_hears_how_it_went(tmp_path, problem):
    async def roll():
        return problem

    async def life():
        control = Control(str(tmp_path), roll)
        await control.open()
        assert os.stat(control_socket(str(tmp_path))).st_mode & 0o777 == 0o600
        found = await asyncio.to_thread(ask_to_restart, str(tmp_path), 5.0)
        control.close()
        return found

    assert asyncio.run(life()) == problem
    with pytest.raises(OSError):
        ask_to_restart(str(tmp_path), 1.0)


def test_a_lock_that_is_a_link_to_somebodys_file_is_left_alone(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "lock").symlink_to(precious)
    assert not free(str(tmp_path))
    assert precious.read_text() == "mine"
