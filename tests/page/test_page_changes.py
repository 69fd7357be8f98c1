"""What an operator does on the page: asked once more, sent once, and the door's own words shown."""

from __future__ import annotations

import pytest
from stand_in import StandIn

pytestmark = [pytest.mark.debian, pytest.mark.timeout(120)]
APP = "/api/v1/upstreams/app/backends"
SEARCH = "/api/v1/upstreams/search/backends"


@pytest.fixture
def door():
    with StandIn() as one:
        yield one


@pytest.fixture
def page(door, eyes):
    one = eyes(door.url)
    one.get_by_role("table", name="Backends of app").wait_for()
    return one


def test_drain_is_asked_once_more_and_its_result_is_shown(page, door):
    page.get_by_role("button", name="Drain 127.0.0.1:8001").click()
    dialog = page.get_by_role("dialog", name="Drain 127.0.0.1:8001?")
    assert "4 requests in flight there are finished" in dialog.inner_text()
    assert "45 %" in dialog.inner_text()
    assert door.changes == []
    dialog.get_by_role("button", name="Drain").click()
    dialog.get_by_text("drain is done").wait_for()
    assert "It holds until frontgate restarts." in dialog.inner_text()
    assert door.changes == [(f"{APP}/127.0.0.1%3A8001/drain", {})]
    dialog.get_by_role("button", name="Close").last.click()
    dialog.wait_for(state="detached")


def test_the_focus_rests_on_what_harms_nobody_and_returns_to_the_button(page, door):
    button = page.get_by_role("button", name="Drain 127.0.0.1:8002")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    assert page.evaluate("document.activeElement.innerText") == "Cancel"
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Drain 127.0.0.1:8002"
    assert door.changes == []


def test_cancel_and_a_click_beside_the_dialog_change_nothing(page, door):
    page.get_by_role("button", name="Undrain 127.0.0.1:8005").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Undrain 127.0.0.1:8005").click()
    page.get_by_role("dialog").wait_for()
    page.mouse.click(10, 400)
    page.get_by_role("dialog").wait_for(state="detached")
    assert door.changes == []


def test_the_weight_is_a_whole_number_and_its_share_is_foretold(page, door):
    page.get_by_role("button", name="Weight of unix:/run/app/worker-4.sock, now 3").click()
    dialog = page.get_by_role("dialog")
    weight = dialog.get_by_label("Weight, 1 to 1000")
    assert page.evaluate("document.activeElement.id") == "weight"
    for wrong in ("", "0", "1001", "1.5"):
        weight.fill(wrong)
        dialog.get_by_role("button", name="Set weight").click()
        assert weight.evaluate("field => !field.validity.valid")
    assert door.changes == []
    weight.fill("7")
    assert "a fair share of 70 %" in dialog.inner_text()  # beside 2 and 1
    dialog.get_by_role("button", name="Set weight").click()
    dialog.get_by_text("weight is done").wait_for()
    assert door.changes == [(f"{APP}/unix%3A%2Frun%2Fapp%2Fworker-4.sock/weight", {"weight": 7})]


def test_a_changed_weight_can_go_back_to_the_configured_one(page, door):
    page.get_by_role("button", name="Weight of unix:/run/app/worker-4.sock, now 3").click()
    page.get_by_role("button", name="Back to 1").click()
    page.get_by_text("weight is done").first.wait_for()
    assert door.changes[0][1] == {"weight": None}


@pytest.mark.parametrize(
    ("button", "confirm", "path"),
    [
        ("Undrain 127.0.0.1:8005", "Undrain", f"{APP}/127.0.0.1%3A8005/undrain"),
        ("Enable 10.0.3.13:9200", "Enable", f"{SEARCH}/10.0.3.13%3A9200/enable"),
        ("Reset the breaker of 10.0.3.12:9200", "Reset", f"{SEARCH}/10.0.3.12%3A9200/breaker/reset"),
        ("Renew the certificate of shop", "Renew", "/api/v1/certificates/shop/renew"),
        ("Reload", "Reload", "/api/v1/reload"),
    ],
)
def test_each_button_does_what_it_says(page, door, button, confirm, path):
    page.get_by_role("button", name=button).click()
    page.get_by_role("dialog").get_by_role("button", name=confirm, exact=True).click()
    page.get_by_role("dialog").locator(".done").wait_for()
    assert door.changes == [(path, {})]


def test_a_refusal_is_shown_with_its_reason_and_can_be_tried_again(page, door, eyes):
    eyes.excuse("409")
    door.refusal = "the moon is in the wrong house"
    page.get_by_role("button", name="Drain 127.0.0.1:8001").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Drain").click()
    dialog.get_by_text("The moon is in the wrong house.").wait_for()
    door.refusal = ""
    dialog.get_by_role("button", name="Drain").click()
    dialog.get_by_text("drain is done").wait_for()


def test_draining_the_last_one_is_warned_of(eyes):
    with StandIn() as door:
        one = {**door.upstreams()[0]}
        one["backends"] = one["backends"][:1] + one["backends"][2:3]
        door.upstreams = lambda: [one]
        page = eyes(door.url)
        page.get_by_role("button", name="Drain 127.0.0.1:8001").click()
        page.get_by_text("No other backend of app takes requests: clients will be refused.").wait_for()


def test_what_somebody_else_has_changed_is_told(page, door):
    door.more.append(("change", {"sentence": "upstream app: 127.0.0.1:8002 is drained"}))
    page.get_by_role("status", name="Changes").get_by_text("Upstream app: 127.0.0.1:8002 is drained").wait_for()
    door.more.append(("reload", {"good": False, "at": door.at}))
    page.get_by_role("status", name="Changes").get_by_text("The new configuration is refused").wait_for()


def test_who_may_only_read_cannot_press_what_changes(eyes):
    with StandIn(rights="read") as door:
        page = eyes(door.url)
        page.get_by_role("table", name="Backends of app").wait_for()
        for name in ("Drain 127.0.0.1:8001", "Weight of 127.0.0.1:8001", "Reload", "Renew the certificate of shop"):
            assert page.get_by_role("button", name=name).is_disabled(), name
        assert page.get_by_role("button", name="Explain").first.is_enabled()
