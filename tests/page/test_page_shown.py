"""What the page shows of a door, in a real browser: every panel with its numbers, and that they change."""

from __future__ import annotations

import re

import pytest
import scene
from eyes import PHONE
from stand_in import StandIn

pytestmark = [pytest.mark.debian, pytest.mark.timeout(120)]


def figure(page, word):
    return page.locator(".figures > div", has=page.locator("dt", has_text=re.compile(f"^{word}$"))).locator(".figure")


def row(page, table, text):
    return page.get_by_role("table", name=table, exact=True).get_by_role("row").filter(has_text=text)


@pytest.fixture
def door():
    with StandIn() as one:
        yield one


@pytest.fixture
def page(door, eyes):
    one = eyes(door.url)
    one.get_by_role("table", name="Backends of app").wait_for()
    return one


def test_the_numbers_of_this_moment_are_shown_and_change(page):
    shown = figure(page, "Requests")
    before = shown.inner_text()
    assert 200 < float(before) < 700
    page.wait_for_function("before => document.querySelector('.figure').innerText !== before", arg=before)
    assert re.fullmatch(r"\d+\.?\d*", figure(page, "Latency p99").inner_text())
    assert figure(page, "Connections").inner_text().isdigit()


def test_each_backend_says_its_state_share_and_load_in_words(page):
    for address, *words in (
        ("127.0.0.1:8001", "up", "45 %", "4 of 4", "182", "62.0 ms", "Weight 2"),
        ("127.0.0.1:8003", "down", "its health check fails: connection refused", "213"),
        ("127.0.0.1:8005", "draining", "the operator drains it", "Undrain"),
        ("127.0.0.1:8006", "backup"),
    ):
        text = row(page, "Backends of app", address).inner_text()
        assert [word for word in words if word not in text] == [], text
    text = row(page, "Backends of search", "10.0.3.12:9200").inner_text()
    assert "probing" in text and "breaker probing" in text and "reset" in text
    assert "disabled" in row(page, "Backends of search", "10.0.3.13:9200").inner_text()


def test_what_needs_attention_comes_first_and_worst_first(page):
    notices = page.get_by_role("status", name="What needs attention")
    first = notices.locator("p").first.inner_text()
    assert first == "127.0.0.1:8003 of app is down: its health check fails: connection refused"
    notices.get_by_role("button", name="more").click()
    assert "the certificate of docs ends in 9 days" in notices.inner_text().lower()
    assert "2 waiting for a backend of app" in notices.inner_text()


def test_nothing_needs_attention_when_all_is_well(eyes):
    with StandIn() as door:
        well = {
            **scene.upstreams()[0],
            "waiting": 0,
            "backends": [scene.backend("127.0.0.1:1"), scene.backend("127.0.0.1:2")],
        }
        door.upstreams = lambda: [well]
        page = eyes(door.url)
        notices = page.get_by_role("status", name="What needs attention")
        page.wait_for_function("() => document.querySelectorAll('#certificates tbody tr').length > 1")
        assert "down" not in notices.inner_text()


def test_limits_show_their_rates_and_who_is_refused_most(page):
    page.wait_for_function("() => /4\\.0/.test(document.querySelector('#limits table').innerText)")  # refused a second
    text = row(page, "Limits", "per_ip").inner_text()
    assert "10/s, burst 20" in text and "410" in text
    assert "6/min, burst 3" in row(page, "Limits", "login").inner_text()
    assert "4 at a time" in row(page, "Limits", "uploads").inner_text()
    keys = page.get_by_role("table", name="Keys that were refused").locator("tbody tr").all_inner_texts()
    assert "203.0.113.9" in keys[0] and "1,841" in keys[0]
    assert "2001:db8:71:4::/64" in keys[1] and "3 s ago" in keys[1]


def test_errors_come_with_their_reason_and_the_new_ones_on_top(page, door):
    first = page.get_by_role("table", name="Recent errors").locator("tbody tr").first
    assert "refuses the connection" in first.inner_text() and "502" in first.inner_text()
    new = {**scene.brief(3, door.at), "reason": "the moon is in the wrong house", "request_id": "feed"}
    door.more.append(("errors", {"errors": [new]}))
    page.get_by_text("the moon is in the wrong house").wait_for()
    assert "moon" in first.inner_text()


def test_the_slowest_are_listed_slowest_first(page):
    rows = page.get_by_role("table", name="Slowest exchanges").locator("tbody tr").all_inner_texts()
    assert rows[0].startswith("2.41 s") and rows[1].startswith("1.86 s") and len(rows) == 10


def test_sites_workers_certificates_and_application_workers_are_shown(page):
    assert "61.2 GB" in row(page, "Sites", "shop.example.com").inner_text()
    assert "1,204,118" in row(page, "Workers", "820").inner_text()
    assert "61 days left" in row(page, "Certificates", "shop").inner_text()
    assert "9 days left" in row(page, "Certificates", "docs").inner_text()
    assert row(page, "Certificates", "still to come").inner_text().startswith("new")
    worker = row(page, "Application workers of shop", "902").inner_text()
    assert "starting" in worker and "83.6 MB" in worker
    assert "1 rolled back" in page.locator("#apps").inner_text()


def test_charts_say_what_they_show_to_who_cannot_see_them(page):
    label = page.get_by_role("img", name=re.compile("^Latency")).get_attribute("aria-label")
    assert re.fullmatch(r"Latency: p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms", label)
    assert page.locator("canvas").count() == 3


def test_a_chart_is_drawn_and_shows_the_past_under_the_pointer(page):
    page.wait_for_function("""() => { const c = document.querySelector('canvas');
        const points = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return points.filter((value, place) => place % 4 === 3 && value > 0).length > 5000; }""")
    box = page.locator(".canvas .u-over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.wait_for_function("() => /\\d\\d:\\d\\d:\\d\\d/.test(document.querySelector('.when').innerText)")
    others = page.locator(".when").all_inner_texts()
    assert len(set(others)) == 1  # all charts show the same second


def test_the_time_shown_can_be_chosen(page):
    page.get_by_role("radio", name="1 min").check()
    assert page.get_by_role("radio", name="1 min").is_checked()


def test_an_exchange_is_explained_from_a_row_and_by_its_id(page, door):
    page.get_by_role("table", name="Recent errors").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name="Why this backend")
    dialog.get_by_text("took 412 ms").wait_for()
    text = dialog.inner_text()
    for words in (
        "Choice 1 of 2",
        "0 in flight per weight 1 is the least of 4",
        "✓ picked",
        "full: 4 of 4",
        "tried before",
        "2 attempts",
        "connect failed",
        "waits in the queue of app",
        "31.0 ms",
    ):
        assert words in text, words
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.get_by_label("Request ID").fill(f" {scene.slowest(door.at)[0]['request_id']} ")
    page.keyboard.press("Enter")
    dialog.get_by_text("took 412 ms").wait_for()


def test_an_exchange_that_is_not_kept_is_said_to_be_gone(page, eyes):
    eyes.excuse("404")
    page.get_by_label("Request ID").fill("nonsense/../x")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text("That exchange is no longer kept").wait_for()


def test_what_is_in_flight_is_looked_up_when_asked_for(page):
    panel = page.locator("#live")
    panel.get_by_role("button", name="Show").click()
    rows = panel.locator("tbody tr")
    panel.get_by_text("/api/reports/yearly").wait_for()
    assert "at backend" in rows.first.inner_text() and "not chosen yet" in rows.nth(1).inner_text()


def test_the_configuration_shows_the_line_that_each_value_came_from(page):
    panel = page.locator("#configuration")
    panel.get_by_role("button", name="Show").click()
    panel.get_by_text("frontgate.toml:21").wait_for()
    assert "zone" not in panel.inner_text() and "(secret)" in panel.inner_text()
    panel.get_by_label("defaults too").check()
    panel.get_by_label("Keys with").fill("upstream.app")
    texts = panel.locator("tbody tr").all_inner_texts()
    assert len(texts) == 2 and "default" in texts[1]


def test_words_of_others_are_shown_as_words(eyes):
    evil = "<img src=x onerror=alert(1)>"
    with StandIn() as door:
        door.upstreams = lambda: [{**scene.upstreams()[0], "backends": [scene.backend(evil, state="down", why=evil)]}]
        page = eyes(door.url)
        page.get_by_role("table", name="Backends of app").get_by_text(evil).first.wait_for()
        assert page.locator("img[src=x]").count() == 0


def test_a_phone_has_the_whole_page_in_its_width(door, eyes):
    page = eyes(door.url, size=PHONE)
    page.get_by_role("table", name="Backends of app").wait_for()
    page.locator("#live").get_by_role("button", name="Show").click()
    page.locator("#configuration").get_by_role("button", name="Show").click()
    page.get_by_text("frontgate.toml:21").wait_for()
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function("() => document.documentElement.scrollWidth <= window.innerWidth")
