"""`frontgate lab live` measures what the simulation foresees, for the strategies that the documentation has figures of.

Rules: service times are long beside what a busy machine adds, both sides have the same arrivals and services, and the
tail is left to the figures in docs/lab.md: one late wake-up of thirty would be the p99.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from door import ROOT, UNDER_TEST

LONG = ("--service", "det:250ms", "--requests", "30", "--warmup", "0", "--json", "-")


@pytest.mark.parametrize(
    "words", [("round_robin",), ("least_conn",), ("round_robin", "--max-conns", "1")], ids=["turns", "least", "queue"]
)
def test_it_takes_as_long_as_the_simulation_says(words: tuple[str, ...]) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-m", "proxy.cli", "lab", "live", "--strategy", *words, *LONG],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": UNDER_TEST}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    measured, predicted = found["measured"], found["predicted"]
    assert measured["answered"] == predicted["answered"] == 30 and not measured["failed"] and found["complete"]
    assert measured["latency_ms"]["p50"] > 250.0 and found["overhead_ms"] > 0.0
    assert all(abs(found["difference_percent"][name]) < 15.0 for name in ("p50", "p90")), found
