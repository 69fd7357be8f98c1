"""What the slices of files and of filters over answers make of an nginx.conf."""

from __future__ import annotations

import pytest

from proxy.config.model import Model
from proxy.config.nginx import reader
from proxy.config.source import ConfigError

FRAME = "events {}\nhttp {\n%s\nserver { listen 127.0.0.1:8080; %s location %s { %s } }\n}\n"


@pytest.fixture
def read(tmp_path):
    """Reads directives of http, server and location, and gives the location's table."""

    def make(location="", server="", http="", path="/"):
        (tmp_path / "nginx.conf").write_text(FRAME % (http, server, path, location))
        reading = reader.read(tmp_path / "nginx.conf", "/srv")
        Model.model_validate(reading.model)
        (site,) = reading.model["site"].values()
        return site["route"][0]

    return make


def refused(read, *parts):
    with pytest.raises(ConfigError) as told:
        read(*parts)
    return told.value.errors[0].sentence


def test_a_location_answers_with_files_unless_something_else_does(read):
    assert read()["files"] == "/srv/html"
    assert read("root /a/;")["files"] == "/a"
    assert read("", "root b;")["files"] == "/srv/b"
    table = read("proxy_pass http://127.0.0.1:1;", "root b;")
    assert "files" not in table and table["root"] == "/srv/b"


def test_an_alias_stands_for_the_path_of_its_location(read):
    table = read("alias /x/;", path="/i/")
    assert (table["alias"], table["alias_for"]) == ("/x/", "/i/") and "files" not in table
    table = read("alias /x/$1;", path="~ ^/i/(.*)$")
    assert (table["alias"], table["alias_for"]) == ("/x/$1", "")
    inner = read("alias /x/; location /i/j { add_header A b; }", path="/i/")["route"][0]
    assert (inner["alias"], inner["alias_for"]) == ("/x/", "/i/")


def test_types_of_a_level_are_all_there_are(read):
    assert read()["types"] == {"html": "text/html", "gif": "image/gif", "jpg": "image/jpeg"}
    table = read("types { text/x a B; text/y c; }", "types { text/z z; }")
    assert table["types"] == {"a": "text/x", "b": "text/x", "c": "text/y"} and table["known_types"] is False
    assert read("types { }", "types { text/z z; }")["types"] == {}


def test_try_files_is_not_inherited(read):
    assert read("try_files $uri $uri/ =404;")["try"] == ["$uri", "$uri/", "=404"]
    assert "try" not in read("", "try_files $uri =404;")
    assert "invalid code" in refused(read, "try_files $uri =x;")


def test_a_location_with_a_slash_is_missed_without_it_only_when_it_is_passed_on(read):
    assert read("proxy_pass http://127.0.0.1:1;", path="/a/")["slash"] is True
    assert "slash" not in read("", path="/a/")


def test_expires(read):
    assert read("expires modified +24h;")["expires"] == "modified +24h"
    assert read("expires $arg_e;")["expires"] == "$arg_e"
    assert "expires" in refused(read, "expires soon;")


def test_gzip_has_nginxs_defaults(read):
    assert read()["compress"] == {
        "on": False,
        "types": ["text/html"],
        "level": 1,
        "min_length": 20,
        "http": "1.1",
        "vary": False,
        "proxied": ["off"],
        "unless": [],
    }
    table = read("gzip on; gzip_types a/b c/d; gzip_proxied any; gzip_disable msie6 x;")["compress"]
    assert table["on"] and table["types"] == ["text/html", "a/b", "c/d"] and table["proxied"] == ["any"]
    assert table["unless"][0].startswith("MSIE") and table["unless"][1] == "x"


def test_charset_maps_hold_both_ways(read):
    table = read("charset A; source_charset B;", http="charset_map B A { 58 59; }")["charset"]
    assert table["maps"] == {"b a": {"58": "59"}, "a b": {"59": "58"}} and table["source"] == "B"
    assert "charset" not in read("charset off;", "charset utf-8;")


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("", ["A", "B", "C"]),
        ("add_header_inherit on;", ["C"]),
        ("add_header_inherit merge;", ["A", "B", "C"]),
        ("add_header_inherit off;", ["C"]),
    ],
)
def test_fields_are_inherited_as_is_said(read, how, names):
    table = read(f"{how} add_header C 3;", "add_header_inherit merge; add_header B 2;", "add_header A 1;")
    assert [field["name"] for field in table["add_headers"]] == names


def test_a_path_that_means_something_in_toml(read):
    table = read("alias /x/;", path='"/a?b#c%d/"')
    assert table["path"] == "/a%3Fb%23c%25d/" == table["alias_for"]
