"""Where frames and events end, wherever what carries them is cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from proxy.http.events import Events
from proxy.http.frames import Frames, closing


def frame(opcode, size):
    """A server's frame."""
    if size < 126:
        return bytes((0x80 | opcode, size)) + bytes(size)
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + bytes(size)
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + bytes(size)


sizes = st.one_of(st.integers(0, 300), st.sampled_from((125, 126, 65535, 65536)))
cuts = st.lists(st.integers(0, 1 << 17), max_size=20)


@given(st.lists(st.builds(frame, st.sampled_from((0, 1, 2, 9, 10)), st.integers(0, 125)) | st.builds(
    frame, st.sampled_from((0, 1, 2)), sizes), max_size=6), cuts)  # fmt: skip
def test_ends_of_frames_are_found_wherever_they_are_cut(frames, where):
    whole = b"".join(frames)
    ends = {sum(map(len, frames[: number + 1])) for number in range(len(frames))}
    cut = sorted({0, len(whole), *(one % (len(whole) + 1) for one in where)})
    follower = Frames()
    for begin, end in itertools.pairwise(cut):
        found = follower.feed(whole[begin:end])
        first = min((one for one in ends if begin < one <= end), default=None)
        assert (begin + found if found >= 0 else None) == first
        assert follower.between == (end in ends) and not follower.lost and not follower.closed


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_anything_may_come(parts):
    follower = Frames()
    for part in parts:
        found = follower.feed(part)
        assert found == -1 or 0 < found <= len(part)
        assert not (follower.lost and follower.between)


def test_nothing_that_no_server_sends_is_followed():
    for wrong in (b"\x81\x80", b"\x83\x00", b"\x8b\x00", b"\x88\x7e\x00\x7e"):
        follower = Frames()
        follower.feed(wrong)
        assert follower.lost and not follower.between


def test_a_close_frame_is_seen():
    follower = Frames()
    follower.feed(closing(1000, b"bye")[:2])
    assert follower.closed and not follower.between
    assert closing(1001) == b"\x88\x02\x03\xe9" and closing(1012, b"x") == b"\x88\x03\x03\xf4x"


def lines(text):
    """Where events end, by a reader that takes one line after the other."""
    at, ends = 0, set()
    while at < len(text):
        begin = at
        while at < len(text) and text[at] not in b"\r\n":
            at += 1
        if at == len(text):
            break
        empty = at == begin
        at += 2 if text[at : at + 2] == b"\r\n" else 1
        if empty:
            ends.add(at)
    return ends


@given(st.text("a\r\n", max_size=14), st.integers(0, 14))
def test_ends_of_events_are_found_wherever_they_are_cut(text, where):
    whole = b"a" + text.encode()
    where = 1 + where % len(whole)
    follower = Events()
    for at in range(where):
        follower.feed(whole[at : at + 1])
    found = follower.first(whole[where:])
    assert (where + found if found >= 0 else None) == min((end for end in lines(whole) if end > where), default=None)
    assert follower.between == (where in lines(whole[:where]))


def test_a_stream_that_has_not_begun_may_end():
    assert Events().between
