"""Fixtures of test files whose tests share one door: what one case leaves behind in it, the next ones meet.

Rules: the configuration is the file's CONFIG. Behind the door stands the `recorder`, or the fixture that the file's
BEHIND names.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from door import backend
from wires import CleanDoor, Recorder


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    """The backend's notes."""
    return Recorder()


@pytest.fixture(scope="module")
def door(request: pytest.FixtureRequest) -> Iterator[CleanDoor]:
    """The door of a test file."""
    behind = request.getfixturevalue(getattr(request.module, "BEHIND", "recorder"))
    with backend(behind) as port, CleanDoor(request.module.CONFIG, backend=port) as door:
        yield door
