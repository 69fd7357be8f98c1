"""The page of a real door, under traffic: its numbers move, its buttons work, and what it says is so."""

from __future__ import annotations

import http.client
import re
import threading

import pytest
from door import Door, backend, saying, until

pytestmark = [pytest.mark.debian, pytest.mark.timeout(180)]

CONFIG = """
workers = 2
[listen.web]
address = "127.0.0.1:{port}"
[limit.per_ip]
key = "address"
rate = "1r/m"
[upstream.app]
balance = "round_robin"
servers = ["127.0.0.1:{one}", "127.0.0.1:{two}"]
[upstream.gone]
servers = ["127.0.0.1:1"]
[site.shop]
names = ["localhost"]
[[site.shop.route]]
path = "/limited"
upstream = "app"
limits = ["per_ip"]
[[site.shop.route]]
path = "/gone"
upstream = "gone"
[[site.shop.route]]
path = "/"
upstream = "app"
"""


@pytest.fixture
def running():
    with backend(saying(b"one")) as one, backend(saying(b"two")) as two, Door(CONFIG, one=one, two=two) as door:
        door.one, door.two = one, two
        yield door


@pytest.fixture
def traffic(running):
    """Some requests each second, until the test is over; gives what the backends said last, newest last."""
    over, heard = threading.Event(), []

    def ask():
        wire = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        while not over.wait(0.02):
            wire.request("GET", "/", headers={"Host": "localhost"})
            heard.append(wire.getresponse().read())
        wire.close()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    yield heard
    over.set()
    thread.join(10)


def home(running):
    return f"http://127.0.0.1:{running.admin}/"


def figure(page, word):
    return page.locator(".figures > div", has=page.locator("dt", has_text=re.compile(f"^{word}$"))).locator(".figure")


def test_numbers_move_under_traffic(running, traffic, eyes):
    page = eyes(home(running))
    until(lambda: float(figure(page, "Requests").inner_text()) > 5, 15, "requests on the page")
    until(lambda: re.fullmatch(r"[\d.]+", figure(page, "Latency p50").inner_text()), 10, "a latency")
    rows = page.get_by_role("table", name="Backends of app").locator("tbody tr")
    until(lambda: "50 %" in rows.first.inner_text() and "50 %" in rows.nth(1).inner_text(), 20, "equal shares")
    assert page.get_by_role("table", name="Workers").locator("tbody tr").count() == 2


def test_drain_and_undrain_by_button_take_the_traffic_away_and_give_it_back(running, traffic, eyes):
    page = eyes(home(running))
    address = f"127.0.0.1:{running.one}"
    page.get_by_role("button", name=f"Drain {address}", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    page.get_by_role("dialog").locator(".done").wait_for()
    assert address in page.get_by_role("dialog").locator(".done").inner_text()
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()

    def only_two():
        mark = len(traffic)
        until(lambda: len(traffic) > mark + 10, 10)
        return set(traffic[mark + 1 :]) == {b"two"}

    until(only_two, 15, "no request at the drained backend")
    page.get_by_role("table", name="Backends of app").get_by_text("draining").wait_for()
    page.get_by_role("button", name=f"Undrain {address}").click()
    page.get_by_role("dialog").get_by_role("button", name="Undrain").click()
    page.get_by_role("dialog").locator(".done").wait_for()
    mark = len(traffic)
    until(lambda: b"one" in traffic[mark:], 10, "requests at the backend again")


def test_a_weight_set_on_the_page_moves_the_share(running, traffic, eyes):
    page = eyes(home(running))
    address = f"127.0.0.1:{running.one}"
    page.get_by_role("button", name=f"Weight of {address}, now 1").click()
    page.get_by_label("Weight, 1 to 1000").fill("9")
    page.get_by_role("button", name="Set weight").click()
    page.get_by_role("dialog").locator(".done").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=f"Weight of {address}, now 9").wait_for()

    def most_at_one():
        mark = len(traffic)
        until(lambda: len(traffic) > mark + 40, 20)
        return traffic[mark:].count(b"one") >= 32

    until(most_at_one, 30, "nine of ten at the heavier one")


def test_an_error_is_shown_with_its_reason_and_explained(running, eyes):
    page = eyes(home(running))
    page.get_by_role("table", name="Backends of app").wait_for()
    assert running.get("/gone").status == 502
    row = page.get_by_role("table", name="Recent errors").get_by_role("row").filter(has_text="/gone")
    row.wait_for()
    assert "502" in row.inner_text() and "127.0.0.1:1" in row.inner_text()
    row.get_by_role("button").click()
    page.get_by_role("dialog").locator(".lead").wait_for()
    text = page.get_by_role("dialog").inner_text()
    assert "/gone" in text and "127.0.0.1:1" in text


def test_who_is_limited_is_named(running, eyes):
    page = eyes(home(running))
    page.get_by_role("table", name="Backends of app").wait_for()
    statuses = [running.get("/limited").status for _ in range(6)]
    assert len({*statuses}) == 2
    page.get_by_role("table", name="Keys that were refused").get_by_text("127.0.0.1").wait_for()


APP = """
workers = 1
[listen.web]
address = "127.0.0.1:{port}"
[app.main]
app = "page_app:app"
workers = 2
app_dir = "{folder}"
[site.shop]
names = ["localhost"]
[[site.shop.route]]
path = "/"
upstream = "main"
"""
PROGRAM = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
"""


def test_the_workers_of_an_application_are_shown(eyes):
    pytest.importorskip("uvicorn", reason="no uvicorn: pip install uvicorn")
    door = Door(APP, wait=False)
    (door.folder / "page_app.py").write_text(PROGRAM)
    eyes.excuse("Failed to load resource", "net::ERR")  # the door goes before the page does
    with door:
        until(lambda: door.get().body == b"ok", 30, "the application")
        page = eyes(home(door))
        table = page.get_by_role("table", name="Application workers of main")
        table.wait_for()
        until(lambda: table.get_by_text("serving").count() == 2, 20, "both workers")


def test_a_token_lets_the_browser_in(eyes):
    eyes.excuse("401", "Failed to load resource", "net::ERR")  # the door goes before the page does
    with backend(saying(b"one")) as one, backend(saying(b"two")) as two:
        config = CONFIG + '[admin]\nlisten = "127.0.0.1:{admin}"\ntoken = "{folder}/token"\n'
        door = Door(config, one=one, two=two, wait=False)
        (door.folder / "token").write_text("a token that is long enough to be one\n")
        (door.folder / "token").chmod(0o600)
        with door:
            until(door.up, 20)
            page = eyes(home(door))
            page.get_by_label("Token").fill("a token that is long enough to be one")
            page.keyboard.press("Enter")
            page.get_by_role("table", name="Backends of app").wait_for()
            page.locator(".news").get_by_text("Live").wait_for()


def test_the_page_comes_back_when_the_door_was_started_anew(running, eyes):
    eyes.excuse("Failed to load resource", "net::ERR")
    page = eyes(home(running))
    page.locator(".news").get_by_text("Live").wait_for()
    running.stop()
    page.locator(".news").get_by_text("No connection").wait_for()
    with running:
        page.locator(".news").get_by_text("Live").wait_for()


def test_what_the_page_gets_is_dressed_for_strangers_and_not_fetched_twice(running):
    for path, kind in (
        ("/", "text/html"),
        ("/static/app.js", "text/javascript"),
        ("/static/style.css", "text/css"),
        ("/static/icon.svg", "image/svg+xml"),
        ("/static/vendor/NOTICE.txt", "text/plain"),
    ):
        answer = running.get_admin(path)
        assert answer.status == 200 and answer.headers["Content-Type"].startswith(kind), path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "'unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        wire = http.client.HTTPConnection("127.0.0.1", running.admin, timeout=10)
        wire.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
        assert wire.getresponse().status == 304, path
        wire.close()
    assert running.get_admin("/static/../server.py").status == 404
