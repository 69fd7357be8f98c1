"""Fuzz target: the reader of frontgate.toml gives a Model or sentences, whatever the file holds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import seeds

from proxy.config import check, toml

SEEDS = seeds.CONFIGS
WORDS = seeds.CONFIG_WORDS
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
FILE = FOLDER / "frontgate.toml"
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def one(data: bytes) -> None:
    """Read one file."""
    FILE.write_bytes(data)
    try:
        model, source = toml.load(FILE)
    except toml.ConfigError as error:
        assert error.errors and str(error)
        last = data.count(b"\n") + 1
        assert all(0 <= problem.line <= last and problem.sentence for problem in error.errors), str(error)
        return
    for problem in (*check.problems(model, source), *check.warnings(model, source)):
        assert str(problem)
