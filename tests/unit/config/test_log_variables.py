"""The variables that the configuration accepts are those that there are getters for."""

from __future__ import annotations

import pytest

from proxy.config.words import LOG_PREFIXES, LOG_VARIABLES, log_format
from proxy.policy.variables import KNOWN, PREFIXES


def test_there_are_getters_for_exactly_what_the_configuration_accepts() -> None:
    assert set(KNOWN) == LOG_VARIABLES
    assert set(PREFIXES) == set(LOG_PREFIXES)


def test_everything_known_is_accepted() -> None:
    form = " ".join([f"${word}" for word in sorted(LOG_VARIABLES)] + [f"${{{start}x}}" for start in LOG_PREFIXES])
    assert log_format(form) == form


@pytest.mark.parametrize("form", ["$bogus", "$status$", "a ${Status}", "$http_", "$cookie_", "$statusx"])
def test_everything_else_is_refused_or_plain_text(form: str) -> None:
    if form == "$status$":
        assert log_format(form) == form  # a dollar alone is a dollar
    else:
        with pytest.raises(ValueError, match="must not have the unknown variable"):
            log_format(form)
