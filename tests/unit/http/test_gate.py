"""Unit tests of what counts the frames of HTTP/2 (proxy.http.gate)."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from proxy.http.gate import CONTROL, DATA, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM, Bucket, Gate


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def test_a_bucket_gives_back_with_time():
    bucket = Bucket(2, 1.0, 10.0)
    assert [bucket.take(1, 10.0) for _ in range(3)] == [True, True, False]
    assert bucket.take(1, 12.0) and not bucket.take(1, 12.0)
    bucket.give(5)
    assert bucket.take(1, 12.0)


def test_control_frames_have_a_burst_and_a_rate():
    gate = Gate(0.0)
    assert gate.look(PREFACE + frame(PING, 0, 0, b"12345678") * CONTROL, 0.0)
    assert gate.look(frame(PING, 0, 0, b"12345678") * 100, 1.0)
    assert not gate.look(frame(PING, 0, 0, b"12345678"), 1.0) and gate.flood == "control"


def test_bodies_are_no_flood_and_empty_parts_of_them_are():
    gate = Gate(0.0)
    assert gate.look(PREFACE + frame(DATA, 0, 1, b"x" * 300) * 5000 + frame(DATA, 1, 1, b"") * 5000, 0.0)
    assert not gate.look(frame(DATA, 0, 1, b"") * 1001, 0.0)


def test_windows_are_earned_by_what_was_sent():
    gate = Gate(0.0)
    window = frame(8, 0, 0, struct.pack(">I", 1))
    assert gate.look(PREFACE + window * 1000, 0.0)
    gate.sent(1024 * 500)
    assert gate.look(window * 500, 0.0)
    assert not gate.look(window, 0.0) and gate.flood == "window_update"


def test_frames_on_streams_that_are_over():
    for kind in (HEADERS, DATA):
        gate = Gate(0.0)
        assert gate.look(PREFACE + frame(HEADERS, 5, 1) + frame(HEADERS, 5, 3), 0.0)
        assert gate.look(frame(kind, 5, 1, b"x"), 0.0), "nobody has said that it is over"
        gate.close(3)
        assert not gate.look(frame(kind, 5, 3, b"x"), 0.0) and gate.wrong == 5


def test_fields_on_streams_that_were_left_out():
    gate = Gate(0.0)
    assert gate.look(PREFACE + frame(HEADERS, 5, 1) + frame(HEADERS, 5, 7), 0.0)
    assert not gate.look(frame(HEADERS, 5, 5), 0.0) and gate.wrong == 1


def test_what_is_remembered_is_bounded():
    gate = Gate(0.0)
    for number in range(1, 2001, 2):
        gate.close(number)
        gate.spare(number)
    for latest in (gate.ended, gate.spared):
        kept = [number for number in range(1, 2001) if number in latest]
        assert 256 <= len(kept) <= 512 and kept[-1] == 1999 and kept == list(range(kept[0], 2001, 2))


@given(st.lists(st.integers(min_value=1, max_value=40)), st.integers(min_value=0, max_value=60))
def test_it_does_not_matter_in_what_pieces_frames_come(cuts, pings):
    some = frame(PING, 0, 0, b"12345678") + frame(RST_STREAM, 0, 1, b"1234") + frame(DATA, 0, 1, b"x")
    data = PREFACE + some * pings
    data += frame(PRIORITY, 0, 0, b"12345")
    gate, at = Gate(0.0), 0
    found = True
    for cut in cuts:
        found = found and gate.look(data[at : at + cut], 0.0)
        at += cut
    assert found is (at < len(data) - 5) or at >= len(data) - 5
    if found:
        assert not gate.look(data[at:], 0.0) or at > len(data) - 14
