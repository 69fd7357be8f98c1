"""Listings: columns, sizes, names that mean something in HTML or JSON, and names that are no text."""

from __future__ import annotations

import json

from proxy.http import listing
from proxy.http.listing import Entry

WHEN = 1_600_000_000


def line(entry, **words):
    page = listing.html(b"/", [entry], **{"exact": True, "local": False, "utf8": False} | words)
    return page.split(b"\r\n")[4]


def test_columns_of_a_page():
    assert line(Entry(b"a", "file", 12, WHEN)) == b'<a href="a">a</a>%b 13-Sep-2020 12:26 %19d' % (b" " * 49, 12)
    assert line(Entry(b"d", "directory", 0, WHEN)).endswith(
        b"/</a>" + b" " * 48 + b" 13-Sep-2020 12:26 " + b"-".rjust(19)
    )


def test_sizes_that_are_not_exact():
    sizes = {
        9999: b"   9999",
        10000: b"    10K",
        1 << 20: b"     1M",
        (1 << 20) * 3 // 2: b"     2M",
        1 << 30: b"     1G",
    }
    for size, text in sizes.items():
        assert line(Entry(b"a", "file", size, WHEN), exact=False).endswith(b"12:26 " + text)


def test_long_names_are_cut_between_characters():
    name = "ф".encode() * 60
    assert "ф".encode() * 47 + b"..&gt;</a> " in line(Entry(name, "file", 0, WHEN), utf8=True)
    assert name[:47] + b"..&gt;</a> " in line(Entry(name, "file", 0, WHEN))
    assert b"&lt;" * 47 + b"..&gt;" in line(Entry(b"<" * 60, "file", 0, WHEN))
    assert b"\xff\xfe</a>" in line(Entry(b"\xff\xfe", "file", 0, WHEN), utf8=True)


def test_json_is_json():
    entries = [Entry(b'a"\\\n\x01', "file", 3, WHEN), Entry(b"d", "directory", 0, WHEN), Entry(b"p", "other", 0, WHEN)]
    found = json.loads(listing.json(entries))
    assert [one["name"] for one in found] == ['a"\\\n\x01', "d", "p"]
    assert found[0]["size"] == 3 and "size" not in found[1]
    assert json.loads(listing.json([])) == []
    assert listing.json([], b"call").startswith(b"/* callback */\r\ncall([")


def test_names_of_callbacks():
    assert listing.callback_name(b"a.b_1") == b"a.b_1" and listing.callback_name(b"") == b""
    assert listing.callback_name(b"alert(1)") is None and listing.callback_name(b"a" * 129) is None
