"""The fuzz targets under atheris, where it can be had: guided by what the program does with each input.

FRONTGATE_FUZZ_SECONDS says for how long each target is tried, by different inputs each time. Without it each gets
FRONTGATE_FUZZ_RUNS inputs (2000 by default: a second or two), always the same ones: what CI runs must not go by luck.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = ["target_chunks", "target_line", "target_request", "target_response", "target_config"]
SECONDS = os.environ.get("FRONTGATE_FUZZ_SECONDS", "")
RUNS = os.environ.get("FRONTGATE_FUZZ_RUNS", "2000")
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris: make fuzz")


@pytest.mark.timeout(int(SECONDS or 0) + 120 + int(RUNS) // 40)
@pytest.mark.parametrize("target", TARGETS)
def test_target(target: str, tmp_path: Path) -> None:
    length = [f"-max_total_time={SECONDS}"] if SECONDS else [f"-runs={RUNS}", "-seed=1"]
    command = [sys.executable, str(Path(__file__).with_name("with_atheris.py")), target, *length]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    found = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert ran.returncode == 0 and not found, f"{found}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    assert "Done " in ran.stderr
