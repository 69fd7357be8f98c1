"""Conversations: what filters do to answers: gzip, character sets, a pace, trailers, parts, redirects."""

from __future__ import annotations

import gzip
import zlib

import pytest
from stage import SOLO

TEXT = b"Content-Type: text/plain\r\n"
GZIP = b"Accept-Encoding: gzip\r\n"
LONG = b"The same line again and again.\n" * 100


@pytest.fixture
def filtered(opened):
    """Opens a door whose one route says `more`."""
    return lambda more: opened(SOLO + more + "\n")


def asked(door, more=b"", target=b"/", method=b"GET"):
    client = door.client()
    client.says(b"%b %b HTTP/1.1\r\nHost: door\r\n%b\r\n" % (method, target, more))
    return client


# --- compression ---------------------------------------------------------------------------------------------------


def test_a_text_is_compressed_for_who_takes_it(filtered):
    door = filtered("compress = true")
    client = asked(door, GZIP)
    door.backend().answers(LONG, TEXT + b'ETag: "a"\r\nAccept-Ranges: bytes\r\n')
    answer = client.answer()
    assert gzip.decompress(answer.body) == LONG and answer["content-encoding"] == b"gzip"
    assert answer["etag"] == b'W/"a"' and answer["vary"] == b"Accept-Encoding"
    assert not answer["content-length"] and not answer["accept-ranges"]


@pytest.mark.parametrize(
    ("request_fields", "answer_fields", "body"),
    [
        (b"", TEXT, LONG),
        (b"Accept-Encoding: gzip;q=0\r\n", TEXT, LONG),
        (b"Accept-Encoding: notgzip\r\n", TEXT, LONG),
        (GZIP, b"Content-Type: image/png\r\n", LONG),
        (GZIP, b"", LONG),
        (GZIP, TEXT, b"short"),
        (GZIP, TEXT + b"Content-Encoding: br\r\n", LONG),
    ],
)
def test_what_is_not_compressed(filtered, request_fields, answer_fields, body):
    door = filtered("compress = true")
    client = asked(door, request_fields)
    door.backend().answers(body, answer_fields)
    answer = client.answer()
    assert answer.body == body and answer["content-encoding"] != b"gzip"
    assert answer["content-length"] == b"%d" % len(body)


@pytest.mark.parametrize(("status", "changed"), [(b"404 Not Found", True), (b"500 Error", False), (b"206 Part", False)])
def test_only_some_statuses_are_compressed(filtered, status, changed):
    door = filtered("compress = true")
    client = asked(door, GZIP)
    door.backend().answers(LONG, TEXT, status)
    assert (client.answer()["content-encoding"] == b"gzip") is changed


def test_a_head_says_the_same(filtered):
    door = filtered("compress = true")
    client = asked(door, GZIP, method=b"HEAD")
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9999\r\n\r\n")
    answer = client.answer("HEAD")
    assert answer["content-encoding"] == b"gzip" and answer.body == b"" and not answer["content-length"]


def test_an_event_stream_is_not_kept_back(filtered):
    door = filtered('compress = {types = ["text/event-stream"]}')
    client = asked(door, GZIP)
    backend = door.backend()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.heard()
    unpacker = zlib.decompressobj(31)
    for word in (b"data: one\n\n", b"data: two\n\n"):
        backend.says(b"%x\r\n%b\r\n" % (len(word), word))
        size, _, rest = client.heard().partition(b"\r\n")
        assert unpacker.decompress(rest[: int(size, 16)]) == word


def test_requests_of_a_proxy_and_of_old_clients(filtered):
    door = filtered('compress = {proxied = ["private"], unless = ["MSIE"]}')
    for fields, control, changed in (
        (b"Via: 1.1 x\r\n", b"Cache-Control: public\r\n", False),
        (b"Via: 1.1 x\r\n", b"Cache-Control: private\r\n", True),
        (b"User-Agent: MSIE 6\r\n", b"", False),
        (b"", b"", True),
    ):
        client = asked(door, GZIP + fields)
        door.backend().answers(LONG, TEXT + control)
        assert (client.answer()["content-encoding"] == b"gzip") is changed


def test_a_client_of_1_0_gets_it_plain(filtered):
    door = filtered("compress = true")
    client = door.client()
    client.says(b"GET / HTTP/1.0\r\nHost: door\r\nAccept-Encoding: gzip\r\n\r\n")
    door.backend().answers(LONG, TEXT)
    assert client.answer().body == LONG


def test_what_a_backend_has_compressed_is_unpacked(filtered):
    door = filtered("decompress = true")
    packed = gzip.compress(LONG)
    for fields, body, coding in ((b"", LONG, b""), (GZIP, packed, b"gzip")):
        client = asked(door, fields)
        door.backend().answers(packed, TEXT + b"Content-Encoding: gzip\r\n")
        answer = client.answer()
        assert answer.body == body and answer["content-encoding"] == coding


@pytest.mark.parametrize("broken", [b"this is no gzip", gzip.compress(LONG, mtime=0)[:-5]])
def test_what_cannot_be_unpacked_breaks_off(filtered, broken):
    door = filtered("decompress = true")
    client = asked(door)
    door.backend().answers(broken, TEXT + b"Content-Encoding: gzip\r\n")
    assert client.aborted


# --- parts ---------------------------------------------------------------------------------------------------------


def test_parts_of_a_backends_answer_when_that_is_wanted(filtered):
    door = filtered("force_ranges = true")
    client = asked(door, b"Range: bytes=2-4\r\n")
    door.backend().answers(b"0123456789")
    answer = client.answer()
    assert (answer.status, answer.body, answer["content-range"]) == (206, b"234", b"bytes 2-4/10")
    client = asked(door, b"Range: bytes=20-\r\n")
    door.backend().answers(b"0123456789")
    answer = client.answer()
    assert answer.status == 416 and answer["content-range"] == b"bytes */10"
    client = asked(door, b"Range: bytes=0-1,4-5\r\n")
    door.backend().answers(b"0123456789")
    assert client.answer().body == b"0123456789"


def test_a_part_is_cut_out_of_what_comes_in_pieces(filtered):
    door = filtered("force_ranges = true")
    client = asked(door, b"Range: bytes=3-5\r\n")
    backend = door.backend()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01")
    for piece in (b"23", b"4", b"56", b"789"):
        backend.says(piece)
    assert client.answer().body == b"345"


def test_a_backends_answer_is_not_cut_otherwise(filtered):
    door = filtered("compress = true")
    client = asked(door, b"Range: bytes=2-4\r\n")
    door.backend().answers(b"0123456789", b"Accept-Ranges: none\r\n")
    answer = client.answer()
    assert (answer.status, answer.body, answer["accept-ranges"]) == (200, b"0123456789", b"none")


# --- character sets and texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"text/plain", b"text/plain; charset=utf-8"),
        (b"text/plain; charset=koi8-r", b"text/plain; charset=koi8-r"),
        (b"image/png", b"image/png"),
    ],
)
def test_a_character_set_is_said(filtered, said, expected):
    door = filtered('charset = "utf-8"')
    client = asked(door)
    door.backend().answers(b"x", b"Content-Type: %b\r\n" % said)
    assert client.answer()["content-type"] == expected


def test_parts_are_not_recoded_and_keep_their_boundary(filtered):
    door = filtered('charset = {name = "a", source = "b", override = true, types = ["*"], maps = {"b a" = {58="59"}}}')
    client = asked(door)
    door.backend().answers(b"--1--X", b"Content-Type: multipart/byteranges; boundary=1\r\n")
    answer = client.answer()
    assert answer["content-type"] == b"multipart/byteranges; boundary=1" and answer.body == b"--1--X"


def test_a_text_is_recoded_even_between_two_bytes_of_a_character(filtered):
    door = filtered('charset = {name = "windows-1251", source = "utf-8"}')
    client = asked(door)
    text = "где".encode()
    backend = door.backend()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n" + text[:3])
    backend.says(text[3:])
    assert client.answer().body.decode("cp1251") == "где"


def test_a_table_of_the_configuration(filtered):
    door = filtered('charset = {name = "a", source = "b", maps = {"b a" = {58 = "59"}}}')
    client = asked(door)
    door.backend().answers(b"XYZ", TEXT)
    answer = client.answer()
    assert answer.body == b"YYZ" and answer["content-length"] == b"3"


def test_texts_are_replaced_even_across_pieces(filtered):
    door = filtered('substitute = {replace = [["internal.lan", "$host"]], once = false, types = ["text/plain"]}')
    client = asked(door)
    backend = door.backend()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n\r\n-INTERNAL.lan-int")
    backend.says(b"ernal.lan-int-")
    backend.says(b"x")
    assert client.answer().body == b"-door-door-int-x"


# --- pace ----------------------------------------------------------------------------------------------------------


def test_an_answer_goes_at_its_pace_and_frees_its_backend(filtered):
    door = filtered('pace = "1000"')
    client = asked(door)
    door.backend().answers(b"x" * 3000)
    assert door.state().taken == door.state().settled and not door.finished
    first = client.heard().partition(b"\r\n\r\n")[2]
    assert first == b"x" * 1000
    door.wait(1.0, step=0.05)
    assert 900 <= len(client.told) <= 1000
    door.wait(1.1, step=0.05)
    assert len(client.heard()) == 2000 and door.finished


def test_a_client_that_goes_meanwhile_is_forgotten(filtered):
    door = filtered('pace = "1000"')
    client = asked(door)
    door.backend().answers(b"x" * 3000)
    client.resets()
    door.wait(5)
    assert door.fault == "client_left"


def test_a_backend_that_sends_on_is_held(filtered):
    door = filtered('pace = {rate = "$arg_rate", after = "500"}')
    client = asked(door, target=b"/?rate=1k")
    backend = door.backend()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 10000)
    assert not backend.wire.reading and len(client.heard().partition(b"\r\n\r\n")[2]) == 1524
    door.wait(10, step=0.1)
    assert backend.wire.reading
    client = asked(door, target=b"/?rate=0")
    door.backend().answers(b"x" * 3000)
    assert len(client.answer().body) == 3000


def test_a_slow_client_holds_what_goes_at_a_pace(filtered):
    door = filtered('pace = "1m"')
    client = asked(door)
    client.jammed = True
    backend = door.backend()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n")
    for _ in range(40):
        if backend.wire.reading:
            backend.says(b"x" * 200_000)
        door.wait(0.2, step=0.1)
    assert len(client.buffer) < 1_600_000 and not backend.wire.reading


@pytest.mark.parametrize(
    ("script", "first"),
    [
        ("{set = 'limit_rate', to = '500'}", 500),
        ("{set = 'limit_rate', to = '0'}", 3000),
        ("{set = 'limit_rate', to = '0.1'}", 1000),
        ("{set = 'limit_rate', to = '99999999999999999999'}", 1000),
        ("{set = 'limit_rate', to = '500'}, {set = 'limit_rate', to = 'x'}", 500),
    ],
)
def test_steps_may_say_a_rate_and_what_is_none_changes_nothing(filtered, script, first):
    door = filtered(f'pace = "1000"\nscript = [{script}]')
    client = asked(door)
    door.backend().answers(b"x" * 3000)
    assert len(client.heard().partition(b"\r\n\r\n")[2]) == first


# --- fields and redirects ------------------------------------------------------------------------------------------


def test_trailers_are_known_when_the_body_is_whole(filtered):
    door = filtered('add_trailers = [{name = "X-Sum", value = "$upstream_status $sent_http_x_a"}]')
    client = asked(door)
    door.backend().answers(b"body", b"X-A: b\r\n")
    assert client.heard().endswith(b"4\r\nbody\r\n0\r\nX-Sum: 200 b\r\n\r\n")
    client = door.client()
    client.says(b"GET / HTTP/1.0\r\nHost: door\r\n\r\n")
    door.backend().answers(b"body")
    assert client.heard().endswith(b"\r\n\r\nbody")


def test_expires(filtered):
    door = filtered('expires = "1h"')
    for status, said in ((b"200 OK", b"max-age=3600"), (b"404 Not Found", b"old")):
        client = asked(door)
        door.backend().answers(b"x", b"Cache-Control: old\r\n", status)
        assert client.answer()["cache-control"] == said


def test_our_own_redirects_are_made_absolute(filtered):
    script = 'script = [{if = "$uri = /there", do = [{return = 302, to = "/here"}]}]\nredirects.absolute = true'
    door = filtered(script)
    client = asked(door, target=b"/there")
    assert client.answer()["location"] == b"http://door/here"
    client = asked(door, target=b"/other")
    door.backend().answers(b"", b"Location: /theirs\r\n", b"302 Found")
    assert client.answer()["location"] == b"/theirs"


def test_a_value_that_is_empty_takes_the_tag_away(filtered):
    door = filtered('add_headers = [{name = "ETag", value = ""}, {name = "X-Sent", value = "$sent_http_x_b"}]')
    client = asked(door)
    door.backend().answers(b"x", b'ETag: "a"\r\nX-B: c\r\n')
    answer = client.answer()
    assert not answer["etag"] and answer["x-sent"] == b"c"


def test_bodies_go_through_filters_in_their_order(filtered):
    """What is replaced is replaced before it is compressed, and parts are cut before neither."""
    door = filtered('compress = {min_length = 0}\nsubstitute = {replace = [["a", "b"]], types = ["text/plain"]}')
    client = asked(door, GZIP)
    door.backend().answers(b"a text", TEXT)
    assert gzip.decompress(client.answer().body) == b"b text"
