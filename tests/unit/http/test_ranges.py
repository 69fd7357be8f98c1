"""Range fields: which parts are meant, and when the whole is sent instead."""

from __future__ import annotations

import pytest

from proxy.http import ranges


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"bytes=0-9", [(0, 10)]),
        (b"BYTES=0-9", [(0, 10)]),
        (b"bytes=990-", [(990, 1000)]),
        (b"bytes=990-5000", [(990, 1000)]),
        (b"bytes=-10", [(990, 1000)]),
        (b"bytes=-5000", [(0, 1000)]),
        (b"bytes= 1 - 2 , 4-5", [(1, 3), (4, 6)]),
        (b"bytes=0-0,-1,5000-", [(0, 1), (999, 1000)]),
        (b"items=0-9", None),
        (b"bytes=", None),
        (b"bytes=1000-", ranges.UNSATISFIABLE),
        (b"bytes=x-", ranges.UNSATISFIABLE),
        (b"bytes=5", ranges.UNSATISFIABLE),
        (b"bytes=5-x", ranges.UNSATISFIABLE),
        (b"bytes=9-5 3-4", ranges.UNSATISFIABLE),
        (b"bytes=9-5", ranges.UNSATISFIABLE),
        (b"bytes=-0", ranges.UNSATISFIABLE),
        (b"bytes=99999999999999999999-", ranges.UNSATISFIABLE),
        (b"bytes=0-99999999999999999999", ranges.UNSATISFIABLE),
        (b"bytes=0-999,0-999", None),
        (b"bytes=0-1" + b",0-1" * 100, None),
    ],
)
def test_what_is_asked_for(value, parts):
    assert ranges.asked(value, 1000) == parts


def test_no_more_parts_than_wanted():
    assert ranges.asked(b"bytes=0-1,3-4", 1000, 2) == [(0, 2), (3, 5)]
    assert ranges.asked(b"bytes=0-1,3-4,6-7", 1000, 2) is None
    assert ranges.asked(b"bytes=0-1", 1000, 0) is None


def test_nothing_of_nothing():
    assert ranges.asked(b"bytes=0-1", 0) is None
    assert ranges.asked(b"bytes=-1", 0) is None
