"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# Examples are the same in every run, so that a failure is one for everybody; no deadline, for some machines are slow.
settings.register_profile("house", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("house")
