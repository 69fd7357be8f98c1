"""What results of checks make of a backend."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.health import Check, Health
from proxy.policy.standing import ILL, UNCHECKED, UNPROVEN, WELL

CHECK = Check(rise=2, fall=3)
MANDATORY = CHECK._replace(mandatory=True)


def after(health, results):
    """The states after each of some results: "+" good, "-" bad."""
    found = []
    for result in results:
        before = health.state
        changed = health.heard(result == "+")
        assert changed == (health.state != before)
        found.append(health.state)
    return found


def test_the_first_result_decides():
    assert Health(CHECK).state == UNCHECKED
    assert after(Health(CHECK), "+") == [WELL]
    assert after(Health(CHECK), "-") == [ILL]


def test_one_bad_result_changes_nothing_and_a_good_one_forgives_it():
    assert after(Health(CHECK), "+--+--+---") == [WELL] * 9 + [ILL]


def test_rising_again_takes_good_results_in_a_row():
    assert after(Health(CHECK), "-+-+-++") == [ILL] * 6 + [WELL]


def test_mandatory_gets_nothing_before_its_first_good_result():
    health = Health(MANDATORY)
    assert health.state == UNPROVEN and not health.up
    assert after(health, "-----+--") == [UNPROVEN] * 5 + [WELL] * 3
    assert health.up
    assert after(health, "-") == [ILL]


@pytest.mark.parametrize(("state", "results", "found"), [(WELL, "--", WELL), (ILL, "+", ILL)])
def test_who_takes_over_goes_on_from_what_was_found(state, results, found):
    for check in (CHECK, MANDATORY):
        assert after(Health(check, state, fresh=False), results)[-1] == found


def test_another_check_keeps_the_state_until_its_first_result():
    health = Health(CHECK, WELL)
    assert health.state == WELL
    assert after(health, "-") == [ILL]
    assert after(Health(CHECK, ILL), "+") == [WELL]
    assert after(Health(CHECK, WELL), "+--") == [WELL] * 3  # it has had its say


@pytest.mark.parametrize(
    ("check", "state", "fresh", "found"),
    [
        (MANDATORY, WELL, True, WELL),
        (MANDATORY, ILL, True, UNPROVEN),
        (MANDATORY, ILL, False, ILL),
        (MANDATORY, UNPROVEN, False, UNPROVEN),
        (MANDATORY, UNCHECKED, False, UNPROVEN),
        (CHECK, UNPROVEN, False, UNCHECKED),
        (CHECK, UNPROVEN, True, UNCHECKED),
    ],
)
def test_what_is_made_of_a_state_of_before(check, state, fresh, found):
    assert Health(check, state, fresh).state == found


@given(st.text("+-", min_size=1, max_size=60), st.integers(1, 4), st.integers(1, 4))
def test_states_are_those_of_the_last_long_enough_row(results, rise, fall):
    states = after(Health(Check(rise=rise, fall=fall)), results)
    for end in range(1, len(results) + 1):
        seen = results[:end]
        if seen.endswith("+" * rise):
            assert states[end - 1] == WELL
        elif seen.endswith("-" * fall):
            assert states[end - 1] == ILL
        elif end > 1:
            assert states[end - 1] == states[end - 2]


def test_statuses_are_ranges_with_both_ends():
    check = Check(statuses=((200, 204), (301, 301)))
    assert [status for status in range(100, 600) if check.accepts(status)] == [200, 201, 202, 203, 204, 301]
    assert Check().accepts(399) and not Check().accepts(400) and not Check().accepts(199)


def test_bodies_are_searched_as_text():
    check = Check(body=re.compile("état: (ok|bien)$"))
    assert check.matches("tout va. état: bien".encode())
    assert not check.matches("état: mal".encode())
    assert not check.matches(b"\xe9tat: ok")
    assert Check().matches(b"anything")


def test_pauses_are_spread_around_the_interval():
    check = Check(interval=10.0, jitter=0.2)
    assert (check.pause(0.0), check.pause(0.5), check.pause(1.0)) == pytest.approx((8.0, 10.0, 12.0))
    assert Check(interval=10.0, jitter=0.0).pause(0.9) == 10.0


def test_equal_checks_are_equal():
    assert Check("/h", body=re.compile("ok")) == Check("/h", body=re.compile("ok"))
    assert Check("/h", body=re.compile("ok")) != Check("/h", body=re.compile("OK"))
