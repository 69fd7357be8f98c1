"""The frames of `frontgate top`, made from what the door would say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from proxy.cli.frame import bar, chart, clipped, frame, painted, part, plain, rate, seconds
from proxy.cli.view import ASCII, ORDERS, UNICODE, View

LATENCY = {"p50": 0.0112, "p90": 0.02, "p99": 0.0621, "mean": 0.014}
NEVER = {"p50": None, "p90": None, "p99": None, "mean": None}


def backend(address, **more):
    return {
        "address": address,
        "state": "up",
        "why": "",
        "weight": 1,
        "configured_weight": 1,
        "drained": False,
        "in_flight": 0,
        "max_conns": 0,
        "failures": 0,
        "rate": 0.0,
        "share": None,
        "latency": NEVER,
        "breaker": "closed",
        **more,
    }


def sample(requests, **more):
    return {
        "requests": requests,
        "classes": {"5xx": 3},
        "latency": LATENCY,
        "in_flight": 7,
        "waiting": 2,
        "rejected": 4.0,
        "connections": 55,
        **more,
    }


def view(**more):
    given = View()
    given.hear("hello", {"state": {}, "history": [sample(10), sample(20)]})
    given.hear(
        "tick",
        {
            "sample": sample(100),
            "state": {"version": "1.2.3", "uptime": 3700, "restarts": 1, "reload": {"good": True, "at": 0}},
            "sites": [],
            "upstreams": [
                {
                    "name": "app",
                    "balance": "least_conn",
                    "waiting": 2,
                    "retries": 1,
                    "backends": [
                        backend("127.0.0.1:8001", in_flight=3, max_conns=4, rate=50.0, share=0.5, latency=LATENCY),
                        backend("127.0.0.1:8002", state="down", failures=12),
                        backend(
                            "unix:/run/app/a-very-long-name/worker-4.sock", in_flight=1, rate=90.0, share=0.5, weight=3
                        ),
                    ],
                }
            ],
            "limits": [
                {
                    "name": "per_ip",
                    "passed": 100,
                    "delayed": 1,
                    "rejected": 9,
                    "keys": [{"key": "203.0.113.9", "rejected": 9}],
                }
            ],
            "workers": [{"slot": 0, "pid": 4711, "connections": 55, "uptime": 60}],
        },
    )
    given.hear(
        "errors", {"errors": [{"at": 0, "status": 502, "method": "GET", "target": "/x", "reason": "it is down"}]}
    )
    for name, value in more.items():
        setattr(given, name, value)
    return given


def shown(given, width=120, height=60):
    return [painted(line, colour=False) for line in frame(given, width, height)]


def test_a_frame_says_all_there_is():
    text = "\n".join(shown(view()))
    for words in (
        "frontgate 1.2.3",
        "up 1 h 1 min",
        "1 worker",
        "1 restart",
        "100 requests/s",
        "3 % answered 5xx",
        "11.2 ms p50",
        "62.1 ms p99",
        "7 in flight",
        "2 waiting",
        "4.0 refused/s",
        "55 connections",
        "least_conn",
        "3 of 4",
        "down",
        "50 %",
        "per_ip",
        "203.0.113.9",
        "process 4711",
        "502 GET /x",
        "it is down",
        "q quit",
        "s sort: configured",
    ):
        assert words in text, words


@given(some.integers(1, 200), some.integers(1, 60))
def test_a_frame_fits_every_terminal(width, height):
    lines = shown(view(trouble="nobody answers", message="drain?"), width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)


def test_a_narrow_terminal_keeps_the_backends_and_their_states():
    text = "\n".join(shown(view(), 40, 40))
    assert "127.0.0.1:8002" in text and "down" in text and "worker-4.sock" in text
    assert "WEIGHT" not in text and "P50" not in text
    assert "WEIGHT" in "\n".join(shown(view(), 140, 40))


def test_backends_are_sorted_by_what_is_chosen():
    def first(order):
        return view(order=ORDERS.index(order)).backends()[0][1]["address"]

    assert first("configured") == "127.0.0.1:8001"
    assert first("in flight") == "127.0.0.1:8001"
    assert first("requests").startswith("unix:")
    assert first("failed") == "127.0.0.1:8002"
    assert first("p99") == "127.0.0.1:8001"


def test_choosing_goes_from_line_to_line_and_stops_at_the_ends():
    given = view()
    assert given.chosen_backend() is None
    for expected in ("127.0.0.1:8001", "127.0.0.1:8002"):
        given.move(1)
        assert given.chosen_backend()["address"] == expected
    given.move(9)
    assert given.chosen_backend()["address"].startswith("unix:")
    given.move(-9)
    assert given.chosen == ("app", "127.0.0.1:8001")
    assert any(line.startswith("> 127.0.0.1:8001") for line in shown(given))
    given.upstreams = []
    given.move(1)
    assert given.chosen is None


def test_what_others_have_written_cannot_command_the_terminal():
    given = view()
    given.errors[0] |= {"target": "/\x1b[2J\x07\r\n\u202e", "reason": "\x9b31m"}
    text = "".join(painted(line, colour=False) for line in frame(given, 200, 60))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", text)
    assert plain("a\x1bb\n") == "a?b?"


def test_colour_is_only_added_and_never_the_only_sign():
    plainly = shown(view())
    coloured = [painted(line, colour=True) for line in frame(view(), 120, 60)]
    assert any("\x1b[31m" in line for line in coloured)
    assert [re.sub(r"\x1b\[\d*m", "", line).rstrip() for line in coloured] == plainly


def test_a_terminal_without_unicode_gets_signs_that_it_has():
    assert "\n".join(shown(view(marks=ASCII))).isascii()
    assert bar(0.5, 4, ASCII) == "##.."
    assert chart([0, 5, 10], 2, ASCII) == "+@"


def test_a_door_that_is_gone_is_said_and_what_was_known_stays():
    text = "\n".join(shown(view(trouble="nobody answers at 127.0.0.1:9000")))
    assert "no news: nobody answers" in text and "127.0.0.1:8001" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rate(None), "-"),
        (rate(0), "0"),
        (rate(0.01), "<0.1"),
        (rate(12.34), "12.3"),
        (rate(1204.4), "1204"),
        (seconds(None), "-"),
        (seconds(0.00042), "420 us"),
        (seconds(0.0123), "12.3 ms"),
        (seconds(0.4), "400 ms"),
        (seconds(0.9996), "1 s"),
        (seconds(1.24), "1.24 s"),
        (seconds(125), "2 min 5 s"),
        (part(None), "-"),
        (part(0.335), "34 %"),
        (bar(0, 4, UNICODE), "····"),
        (bar(0.01, 4, UNICODE), "█···"),
        (bar(7, 4, UNICODE), "████"),
        (chart([], 9, UNICODE), ""),
        (chart([0, 0], 9, UNICODE), "▁▁"),
        (clipped("unix:/run/a.sock", 8), "~/a.sock"[:1] + "/a.sock"[-7:]),
    ],
)
def test_words(text, expected):
    assert text == expected
