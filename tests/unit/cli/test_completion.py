"""The scripts for shells name every command, and shells understand them."""

from __future__ import annotations

import argparse
import shutil
import subprocess

import pytest

from proxy import cli


def commands() -> set[str]:
    """All there are."""
    found = next(one for one in cli.parser()._actions if isinstance(one, argparse._SubParsersAction))
    return set(found.choices)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_script_names_every_command_and_can_be_read(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in commands())
    program = shutil.which(shell)
    if program is not None:
        read = subprocess.run([program, "-n"], input=script, text=True, capture_output=True)
        assert (read.returncode, read.stderr) == (0, "")


def test_files_are_completed_behind_c(capsys):
    cli.main(["completion", "bash"])
    assert "_shtab_frontgate_serve__c_COMPGEN=_shtab_compgen_files" in capsys.readouterr().out


def test_every_command_says_what_it_is_for():
    found = next(one for one in cli.parser()._actions if isinstance(one, argparse._SubParsersAction))
    told = {one.dest for one in found._choices_actions if one.help}
    assert told == commands()
