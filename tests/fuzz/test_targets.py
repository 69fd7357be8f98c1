"""The fuzz targets under Hypothesis: bytes of any kind, and messages with a few changes.

FRONTGATE_FUZZ_EXAMPLES says how many of each (60 by default: a few seconds in all).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType

import paths
import pytest
import seeds
import target_chunks
import target_config
import target_line
import target_request
import target_response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FRONTGATE_FUZZ_EXAMPLES", "60"))


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Iterator[None]:
    """Other tests have a stage of their own."""
    yield
    paths.leave_nothing()


TARGETS = [target_chunks, target_line, target_request, target_response, target_config]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_seeds(target: ModuleType) -> None:
    for seed in target.SEEDS:
        for end in range(len(seed) + 1):
            target.one(seed[:end])
    assert len(target.SEEDS) > 1


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_anything(target: ModuleType) -> None:
    words = getattr(target, "WORDS", seeds.WORDS)
    tried = []

    @settings(
        max_examples=EXAMPLES * 5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES < 1000
    )
    @given(st.one_of(seeds.mutated(target.SEEDS, words), st.binary(max_size=200)))
    def run(data: bytes) -> None:
        target.one(data)
        tried.append(data)

    run()
    assert len(tried) >= EXAMPLES
