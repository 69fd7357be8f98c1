"""How a path becomes the name of a file, and which names climb out of their folder."""

from __future__ import annotations

import pytest

from proxy.policy.folder import Folder, climbs
from proxy.policy.template import Vocabulary

WORDS = Vocabulary({"x": lambda exchange: exchange}, {})  # the exchange of these tests is the value of $x


def folder(root, **words):
    return Folder(WORDS.template(root), **words)


def test_a_root_is_followed_by_the_whole_path():
    assert folder("/srv").file(b"", b"/a/b") == folder("/srv/").file(b"", b"/a/b") == b"/srv/a/b"
    assert folder("/srv").file(b"", b"neighbour") == b"/srv/neighbour"


def test_an_alias_stands_for_the_beginning():
    assert folder("/srv/", alias=True, cut=3).file(b"", b"/i/a") == b"/srv/a"
    assert folder("/srv/", alias=True, cut=2).file(b"", b"/i../a") is None
    assert folder("/srv/x", alias=True, whole=True).file(b"", b"/i/a") == b"/srv/x"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"a", b"/srv/a/f"), (b"..", None), (b"a/../..", None), (b"\0", None), (b"..a", b"/srv/..a/f")],
)
def test_variables_do_not_lead_out(value, expected):
    assert folder("/srv/$x").file(value, b"/f") == expected


def test_what_is_written_may_climb():
    assert folder("/srv/$x/../y").base(b"a") == b"/srv/a/../y"


def test_segments_that_climb():
    assert climbs(b"/a/../b") and climbs(b"..") and climbs(b"/..") and not climbs(b"/a..b/c..")
