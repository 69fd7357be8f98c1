"""The page and its connection: it says when it is silent or gone, comes back by itself, and asks for a token."""

from __future__ import annotations

import pytest
from stand_in import TOKEN, StandIn

pytestmark = [pytest.mark.debian, pytest.mark.timeout(120)]


@pytest.fixture
def door():
    with StandIn() as one:
        yield one


def news(page, word, timeout=15_000):
    page.locator(".news").get_by_text(word, exact=True).wait_for(timeout=timeout)


def test_silence_is_called_stale_and_then_no_connection(door, eyes):
    page = eyes(door.url)
    news(page, "Live")
    door.silent.set()
    news(page, "Stale")
    assert "trying again" in page.locator(".news").inner_text()
    news(page, "No connection")
    page.locator("main.old").wait_for()
    door.silent.clear()
    news(page, "Live")
    page.wait_for_function("() => !document.querySelector('main.old')")


def test_a_door_that_is_gone_is_found_again(door, eyes):
    eyes.excuse("Failed to load resource", "net::ERR")
    page = eyes(door.url)
    news(page, "Live")
    door.gone.set()
    news(page, "No connection")
    before = page.locator(".figure").first.inner_text()
    assert before != "–"  # what was known stays
    door.gone.clear()
    news(page, "Live")
    page.wait_for_function("before => document.querySelector('.figure').innerText !== before", arg=before)


def test_what_failed_meanwhile_is_asked_for_when_the_door_is_back(door, eyes):
    eyes.excuse("Failed to load resource", "net::ERR")
    page = eyes(door.url)
    news(page, "Live")
    door.gone.set()
    news(page, "No connection")
    with page.expect_response(lambda answer: "/api/v1/errors" in answer.url):
        door.gone.clear()
    news(page, "Live")


def test_before_anything_is_known_nothing_is_claimed(eyes):
    with StandIn() as door:
        door.silent.set()
        page = eyes(door.url)
        page.get_by_text("Listening …").wait_for()
        assert page.get_by_text("No upstream is configured").count() == 0
        door.silent.clear()
        page.get_by_role("table", name="Backends of app").wait_for()


def test_a_token_is_asked_for_where_one_is_needed(eyes):
    eyes.excuse("401")
    with StandIn(token=True) as door:
        page = eyes(door.url)
        field = page.get_by_label("Token")
        field.wait_for()
        assert page.evaluate("document.activeElement.id") == "token"
        assert field.get_attribute("type") == "password"
        field.fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("That is not the token").wait_for()
        assert field.get_attribute("aria-invalid") == "true"
        field.fill(TOKEN)
        page.keyboard.press("Enter")
        news(page, "Live")
        kept = page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie + location.href")
        assert TOKEN not in kept and "frontgate_session" not in kept  # scripts cannot read it
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Token").wait_for()


def test_a_session_that_ends_leads_back_to_the_token(eyes):
    eyes.excuse("401", "Failed to load resource", "net::ERR")
    with StandIn(token=True) as door:
        page = eyes(door.url)
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        news(page, "Live")
        page.context.clear_cookies()
        door.gone.set()
        news(page, "No connection")
        door.gone.clear()
        page.get_by_label("Token").wait_for()
