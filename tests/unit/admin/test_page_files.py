"""The files of the dashboard as they are packed: whole, of known origin, and in need of nobody else."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from proxy.admin.static_files import FOLDER, POLICY, files

# As the npm registry's releases have them; what is changed there needs a new version in NOTICE.txt.
VENDORED = {
    "htm-preact-standalone.js": "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7",
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
OURS = sorted(path for path in FOLDER.iterdir() if path.suffix in (".js", ".css", ".html", ".svg"))


def test_what_others_wrote_is_as_they_released_it_and_named_with_its_licence():
    found = {path.name: path for path in (FOLDER / "vendor").iterdir() if path.name != "NOTICE.txt"}
    assert {name: sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == VENDORED
    notice = (FOLDER / "vendor" / "NOTICE.txt").read_text()
    for words in (
        *VENDORED,
        "htm 3.1.1",
        "uPlot 1.6.32",
        "The MIT License",
        "Apache License",
        "Leon Sorokin",
        "Jason Miller",
        "Copyright 2018 Google Inc.",
    ):
        assert words in notice, words


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere(path):
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//cdn|@import|@font-face", text)


def test_the_page_has_no_script_or_style_of_its_own_so_that_the_policy_can_forbid_them():
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=|javascript:", page)
    assert "'unsafe" not in POLICY and "default-src 'none'" in POLICY and "require-trusted-types-for 'script'" in POLICY
    for path in OURS:
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|new Function|document\.write", path.read_text()), (
            path
        )


def test_every_file_that_is_named_is_there_and_every_one_there_is_named():
    there = files()
    page = (FOLDER / "index.html").read_text()
    named = {f"/{path}" for path in re.findall(r'(?:src|href)="(static/[^"]+)"', page)}
    for path in OURS:
        text = path.read_text()
        named |= {f"/static/{one}" for one in re.findall(r'from "\./([^"]+)"', text)}
        named |= {f"/{one}" for one in re.findall(r'src="(static/[^"]+)"', text)}
    assert named <= set(there)
    assert set(there) - named == {"/", "/static/index.html", "/static/vendor/NOTICE.txt"}


def test_files_are_short_enough_to_be_read():
    for path in OURS:
        assert path.read_text().count("\n") <= 400, path
