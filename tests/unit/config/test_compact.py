"""What `convert` leaves out and says once does not change what a configuration means."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.compact import compact
from proxy.config.convert import plain, short
from proxy.config.effective import effective
from proxy.config.model import Model
from proxy.config.nginx import reader

HERE = Path(__file__).parents[3]
CORPUS = [*sorted((HERE / "tests/side/conf").glob("*.conf")), HERE / "config/nginx.conf"]

ANYWHERE = (
    "gzip on;", "gzip off;", "gzip on; gzip_types a/b;", "gzip_vary on; gunzip on;",
    "gzip_static on; gzip_proxied any;",
    "expires 1h;", "expires off;", "error_page 404 /e;", "charset utf-8;", "etag off;", "index a b;", "autoindex on;",
    "client_max_body_size 2m;", "client_max_body_size 0;", "client_body_timeout 7s;", "send_timeout 9s;",
    "keepalive_timeout 3s;", "root /r;", "types { a/b c; }", "default_type a/b;", "access_log off;",
    "log_not_found off;", "proxy_ssl_name a;",
    "set_real_ip_from 10.0.0.0/8;", "set_real_ip_from 11.0.0.0/8;", "limit_req zone=z burst=2;", "limit_conn c 3;",
    "limit_req_status 429;", "auth_basic r; auth_basic_user_file /u;", "deny all;", "satisfy any;", "limit_rate 1k;",
    "add_header A b;", "proxy_read_timeout 5s;", "proxy_connect_timeout 2s;", "proxy_set_header A $proxy_port;",
    "proxy_set_header A b;", "proxy_http_version 1.0;", "proxy_hide_header X-A;", "proxy_intercept_errors on;",
    "proxy_bind 127.0.0.1;", "proxy_bind off;", "proxy_socket_keepalive on;",
    "proxy_ignore_headers X-Accel-Redirect;", "proxy_buffering off;", "proxy_request_buffering off;",
    "proxy_redirect off;", "proxy_next_upstream error;", "absolute_redirect off;", "resolver 127.0.0.1;",
)  # fmt: skip
SERVERS = ("client_header_timeout 4s;", "underscores_in_headers on;", "keepalive_requests 5;", "return 301 /x$uri;")
ENDS = ("", "proxy_pass http://127.0.0.1:1;", "proxy_pass http://u/x;", "proxy_pass https://u;", "return 204;")


def tables(tmp_path, text):
    path = tmp_path / "nginx.conf"
    path.write_text(text)
    return plain(reader.read(path, f"{tmp_path}/", lenient=True).model)


def same(found):
    """Whether tables mean the same when they are compacted."""
    wanted = effective(Model.model_validate(copy.deepcopy(found)))
    compact(found)
    return effective(Model.model_validate(found)) == wanted


def filled(path):
    """A configuration of the corpus that can be read here."""
    text = path.read_text().replace("include /etc/nginx/mime.types;", "")
    text = re.sub(r"%%([PB])(\d)%%", lambda found: f"{18 if found[1] == 'P' else 19}08{found[2]}", text)
    text = re.sub(r"%%[A-Z]+%%", "/files", text)
    return text if path.name == "nginx.conf" else f"events {{}} http {{ {text} }}"


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_means_the_same(tmp_path, path):
    found = tables(tmp_path, filled(path))
    assert same(copy.deepcopy(found))
    assert len(str(short(found))) < 0.6 * len(str(found))


def some(words, most):
    return st.lists(st.sampled_from(words), max_size=most, unique_by=lambda text: text.split()[0]).map(" ".join)


LOCATIONS = st.lists(st.tuples(some(ANYWHERE, 5), st.sampled_from(ENDS)), max_size=4)
BLOCKS = st.lists(st.tuples(some((*ANYWHERE, *SERVERS), 6), LOCATIONS), min_size=1, max_size=3)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some(ANYWHERE, 6), BLOCKS)
def test_any_configuration_means_the_same(tmp_path, outer, blocks):
    servers = []
    for at, (inner, locations) in enumerate(blocks):
        paths = [f"location /{index} {{ {said} {end} }}" for index, (said, end) in enumerate(locations)]
        servers.append(f"server {{ listen {8000 + at}; server_name s{at}; {inner} {' '.join(paths)} }}")
    zones = "limit_req_zone $uri zone=z:1m rate=1r/s; limit_conn_zone $uri zone=c:1m;"
    text = f"events {{}} http {{ {zones} upstream u {{ server 127.0.0.1:2; }} {outer} {' '.join(servers)} }}"
    assert same(tables(tmp_path, text))


SITE = {
    "listen": {"web": {"address": "127.0.0.1:80"}},
    "upstream": {"app": {"servers": ["127.0.0.1:1"]}},
}


def model(*routes, **site):
    return effective(Model.model_validate({**SITE, "site": {"s": {"default": True, "route": [*routes], **site}}}))


APP = {"path": "/", "upstream": "app"}
FILES = {"path": "/f", "files": "/f"}


@pytest.mark.parametrize(
    "said",
    [
        {"max_body": 5},
        {"timeouts": {"read": 5}},
        {"proxy": {"version": "1.0"}},
        {"connection": {"unkept": ["msie6"]}},
        {"compress": True},
        {"real_ip": {"trust": ["10.0.0.0/8"]}},
    ],
    ids=lambda said: next(iter(said)),
)
def test_a_word_of_the_site_means_the_same_as_one_of_each_route(said):
    assert model({**APP, **said}, {**FILES, **said}, **said) == model(APP, FILES, **said)
    assert model(APP, FILES) != model(APP, FILES, **said)
    assert model({**APP, **said}, FILES) != model(APP, FILES)


def test_what_matters_to_no_one_does_not_count():
    assert model({**FILES, "timeouts": {"read": 5}}) == model(FILES)
    assert model({**FILES, "compress": {"on": False, "level": 9}}) == model(FILES)
    assert model({**FILES, "precompressed": True, "compress": {"on": False, "vary": False}}) != model(
        {**FILES, "precompressed": True}
    )
    assert model({**APP, "proxy": {"identity": False, "port": 80}}) == model({**APP, "proxy": {"identity": False}})
    told = {"identity": False, "method": "$proxy_port"}
    assert model({**APP, "proxy": {**told, "port": 80}}) != model({**APP, "proxy": told})


def test_who_is_silent_is_not_told_what_others_say(tmp_path):
    inner = "location /a { expires 1h; } location /b { expires 1h; } location /c {}"
    found = tables(tmp_path, f"events {{}} http {{ server {{ listen 80; {inner} }} }}")
    compact(found)
    (site,) = found["site"].values()
    assert "expires" not in site
    assert [one.get("expires") for one in site["route"]] == ["1h", "1h", None, None]


def test_what_would_mean_something_else_is_written_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("proxy.config.convert.compact", lambda tables: tables["http"].pop("dialect"))
    found = tables(tmp_path, "events {} http { server { listen 80; } }")
    assert short(found) == found and found["http"]["dialect"] == "nginx"
