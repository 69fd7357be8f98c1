"""What the page's modules make of numbers and events, tried in the browser that they are written for."""

from __future__ import annotations

import pytest
from stand_in import StandIn

pytestmark = [pytest.mark.debian, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def module(chromium):
    """`module(name, expression)`: an expression about a module of the page, which it calls `it`."""
    with StandIn() as door:
        page = chromium.new_page()
        page.goto(door.url + "static/vendor/NOTICE.txt")  # of this origin, and no page

        def tell(name, expression):
            told = f"const it = await import('/static/{name}.js'); return {expression};"
            return page.evaluate(f"async () => {{ {told} }}")

        yield tell
        page.close()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("rate(null)", "–"),
        ("rate(0)", "0"),
        ("rate(0.01)", "<0.1"),
        ("rate(0.44)", "0.4"),
        ("rate(99.96)", "100"),
        ("rate(1204.4)", "1,204"),
        ("seconds(undefined)", "–"),
        ("seconds(0)", "0 ms"),
        ("seconds(0.0000001)", "1 µs"),
        ("seconds(0.00042)", "420 µs"),
        ("seconds(0.0009996)", "1.00 ms"),
        ("seconds(0.01234)", "12.3 ms"),
        ("seconds(0.9996)", "1.00 s"),
        ("seconds(9.996)", "10.0 s"),
        ("seconds(125)", "2 min 5 s"),
        ("bytes(999)", "999 B"),
        ("bytes(999.7)", "1.00 kB"),
        ("bytes(1240000)", "1.24 MB"),
        ("bytes(999_999_999)", "1.00 GB"),
        ("span(59.9)", "59 s"),
        ("span(3661)", "1 h 1 min"),
        ("span(90000)", "1 d 1 h"),
        ("part(0.001)", "<1 %"),
        ("part(0)", "0 %"),
        ("part(0.335)", "34 %"),
        ("many(1, 'backend')", "1 backend"),
        ("many(0, 'backend')", "0 backends"),
        ("sentence('it is so')", "It is so"),
        ("sentence('')", ""),
    ],
)
def test_numbers_are_written_as_people_read_them(module, call, text):
    assert module("words", f"it.{call}") == text


def test_samples_are_kept_once_each_and_no_longer_than_ten_minutes(module):
    heard = """(() => { const tick = (at) => ({ sample: { at }, limits: [] });
      let p = it.after(it.EMPTY, 'hello', { state: {}, history: [{ at: 1 }, { at: 2 }] }, 0);
      p = it.after(p, 'tick', tick(3), 1);
      p = it.after(p, 'hello', { state: {}, history: [{ at: 2 }, { at: 3 }, { at: 4 }] }, 2);
      const some = p.samples.map((one) => one.at);
      for (let at = 5; at < 900; at += 1) p = it.after(p, 'tick', tick(at), at);
      return [some, p.samples.length, p.charged.length]; })()"""
    assert module("picture", heard) == [[1, 2, 3, 4], 600, 11]


def test_a_limits_rate_is_of_the_last_seconds_and_never_negative(module):
    def rate(first, last):
        past = f"[{{at: 10, counts: {{x: {{rejected: {first}}}}}}}, {{at: 14, counts: {{x: {{rejected: {last}}}}}}}]"
        return module("picture", f"it.limitRate({past}, 'x', 'rejected')")

    assert rate(100, 120) == 5
    assert rate(100, 0) == 0  # it was started anew
    assert module("picture", "it.limitRate([], 'x', 'rejected')") is None
    assert module("picture", "it.limitRate([{at: 1, counts: {}}], 'x', 'rejected')") is None


def test_an_error_that_is_heard_twice_is_shown_once(module):
    heard = """(() => { const one = (at) => ({ request_id: 'a', at });
      const p = it.learned(it.EMPTY, { errors: [one(2), one(1)] });
      return it.after(p, 'errors', { errors: [one(3), one(2)] }, 0).errors.map((error) => error.at); })()"""
    assert module("picture", heard) == [3, 2, 1]


def test_when_the_stream_breaks_what_was_known_stays(module):
    told = "it.lost({ ...it.EMPTY, link: 'live', samples: [{ at: 1 }] }, 3)"
    found = module("picture", told)
    assert (found["link"], found["tries"], found["samples"]) == ("lost", 3, [{"at": 1}])


def test_a_dead_worker_of_an_application_needs_attention(module):
    app = "{ name: 'shop', workers: [{ name: 'shop-1', state: 'serving' }, { name: 'shop-2', state: 'broken' }] }"
    found = module("picture", f"it.notices({{ ...it.EMPTY, apps: [{app}] }})")
    assert [one["text"] for one in found] == ["worker shop-2 of shop is dead, and is tried again"]


def test_seconds_that_were_missed_are_a_hole_and_not_a_line(module):
    columns = module("chart", "it.columnsOf([{at: 1, n: 5}, {at: 2, n: 6}, {at: 9, n: 7}], [{of: (one) => one.n}])")
    assert columns == [[1, 2, 3, 9], [5, 6, None, 7]]
