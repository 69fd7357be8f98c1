"""What a lenient reading leaves out never opens what was shut."""

from __future__ import annotations

import pytest

from proxy.config.nginx import reader
from proxy.config.source import ConfigError

FRAME = "events {}\nhttp {\nserver { listen 127.0.0.1:8080; root /srv; %s } }\n"


@pytest.fixture
def read(tmp_path):
    """Reads a server with these locations leniently: its routes by path, and the warnings."""

    def make(text, lenient=True):
        path = tmp_path / "nginx.conf"
        path.write_text(FRAME % text)
        reading = reader.read(path, str(tmp_path), lenient=lenient)
        reader.load(path, str(tmp_path), lenient=lenient)  # its tables are valid
        (site,) = reading.model["site"].values()
        return {one["path"]: one for one in site["route"]}, [str(one) for one in reading.warnings]

    return make


@pytest.mark.parametrize(
    "text",
    [
        "fastcgi_pass unix:/x; include_nothing 1;",
        "uwsgi_pass a:1;",
        "grpc_pass grpc://a;",
        "memcached_pass a:1;",
        "js_content main.hello;",
        "content_by_lua_file a.lua;",
        "perl main::run;",
        "empty_gif;",
        "alias /srv/x; fastcgi_pass a:1;",
        "xslt_stylesheet a.xslt;",
        "image_filter resize 10 10;",
        "ssi on;",
        "proxy_pass http://127.0.0.1:1; ssi on;",
        "stub_status; fastcgi_pass a:1;",
    ],
)
def test_a_location_that_loses_who_answers_answers_502(read, text):
    routes, warnings = read(f"location /x {{ {text} }}")
    route = routes["/x"]
    assert route["reply"]["status"] == 502
    assert not {"files", "alias", "upstream", "url", "stub_status"} & set(route)
    assert any("is answered with 502" in one for one in warnings)


def test_blocks_have_it_too_and_locations_inside_do_not(read):
    text = """
    location /x { fastcgi_pass a:1; if ($arg_a) { gzip on; } limit_except GET { deny all; }
        location /x/files/ { } location /x/none { image_filter off; } }
    location /y { proxy_pass http://127.0.0.1:1; if ($arg_a) { uwsgi_pass a:1; } }
    location /z { uwsgi_pass a:1; if ($arg_a) { proxy_pass http://127.0.0.1:1; } }
    """
    routes, _ = read(text)
    named = [one for one in routes.values() if one["match"] == "named" and one["path"] != "server-1"]
    assert [(one.get("reply", {}).get("status"), "upstream" in one) for one in named] == [
        (502, False), (502, False), (502, False), (None, True)
    ]  # fmt: skip
    assert [sorted({"files", "reply"} & set(one)) for one in routes["/x"]["route"]] == [["files"], ["files"]]
    assert "upstream" in routes["/y"] and routes["/z"]["reply"]["status"] == 502


@pytest.mark.parametrize(
    "text",
    [
        'auth_jwt "closed";',
        "auth_digest realm;",
        "access_by_lua_block { }",
        "dney all;",
        "retrun 403;",
        "internl;",
        "disable_symlinks on;",
        "limit_zone one;",
        "modsecurity on;",
        "proxy_passs http://127.0.0.1:1;",
    ],
)
def test_what_says_who_may_come_in_is_never_left_out(read, text):
    with pytest.raises(ConfigError):
        read(f"location /x {{ {text} }}")


def test_the_rest_is_left_out_with_a_warning(read):
    routes, warnings = read("fastcgi_buffers 8 4k; location /x { brotli on; fastcgi_index index.php; }")
    assert routes["/x"]["files"] == "/srv" and len(warnings) == 3
    with pytest.raises(ConfigError):
        read("location /x { brotli on; }", lenient=False)
