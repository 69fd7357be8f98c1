"""`frontgate completion`: what a shell needs to complete the command line."""

from __future__ import annotations

import argparse
from typing import Any, Final

import shtab

SHELLS: Final = {
    "bash": "frontgate completion bash > ~/.local/share/bash-completion/completions/frontgate",
    "zsh": "frontgate completion zsh > ~/.zfunc/_frontgate, with ~/.zfunc in fpath",
}


def words(commands: Any) -> None:
    """What the command takes."""
    text = "print what bash or zsh needs to complete commands and options"
    ways = "; ".join(f"for {shell}: {way}" for shell, way in SHELLS.items())
    command = commands.add_parser("completion", help=text, description=f"{text}; {ways}")
    command.add_argument("shell", choices=[*SHELLS])
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Print the script."""
    print(shtab.complete(asked.whole, asked.shell))
    return 0
