"""`frontgate lab`: study balancing with the policies of production; each study is a module with `words`."""

from __future__ import annotations

from typing import Any, Final

from proxy.cli.lab import limits, live, replay, simulate

STUDIES: Final = (
    simulate.words,
    live.words,
    replay.words,
    limits.words,
)


def words(commands: Any) -> None:
    """What the command takes."""
    text = "study balancing with the policies of production"
    lab = commands.add_parser("lab", help=text, description=text)
    studies = lab.add_subparsers(dest="study", required=True, metavar="STUDY")
    for study in STUDIES:
        study(studies)
