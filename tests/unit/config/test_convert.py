"""`frontgate convert`: the TOML that means the same, and comments for what could not be carried over."""

from __future__ import annotations

import tomllib

from proxy.config import convert, reading, toml
from proxy.config.effective import effective
from proxy.config.model import Model

TEXT = """
daemon off;
events { }
http {
    log_format f '"$uri" ä';
    access_log a.log f if=$arg_x;
    map $host $m { default 1; }
    fastcgi_buffers 8 4k;
    server { listen 8080; location / { return 200 "a\\"b\\n"; } location ~ ^/(?<x>\\d+) { return 204; } }
}
"""

SMALL = """
user nobody;
worker_processes 2;
events { worker_connections 1024; }
http {
  limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;
  upstream app { least_conn; server 127.0.0.1:8001 weight=2 max_fails=3 fail_timeout=30s; server 127.0.0.1:8002; }
  server { listen 18080; server_name example.com; return 301 https://$host$request_uri; }
  server {
    listen 18443; server_name example.com www.example.com;
    client_max_body_size 10m;
    location /static/ { alias /var/www/static/; expires 30d; }
    location / {
      limit_req zone=one burst=20 nodelay;
      proxy_pass http://app;
      proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_read_timeout 60s;
    }
  }
}
"""


def converted(tmp_path, text):
    path = tmp_path / "nginx.conf"
    path.write_text(text)
    return path, convert.converted(str(path))


def test_it_loads_and_means_the_same(tmp_path):
    path, text = converted(tmp_path, TEXT)
    assert f'#   {path}:8: unknown directive "fastcgi_buffers"' in text
    other = tmp_path / "frontgate.toml"
    other.write_text(text)
    wanted, _, warnings = reading.load(str(path), lenient=True)
    assert effective(toml.read(other)) == effective(wanted)
    assert len(warnings) == 1


def test_what_is_said_alike_is_said_once(tmp_path):
    path, text = converted(tmp_path, SMALL)
    found = tomllib.loads(text)
    assert effective(Model.model_validate(found)) == effective(reading.load(str(path))[0])
    assert len(text.splitlines()) < 110
    assert list(found["site"]) == ["example-com", "example-com-2"]
    static, app, rest = found["site"]["example-com-2"]["route"]
    assert static == {"path": "/static/", "alias": "/var/www/static/", "expires": "30d"}
    assert app["limits"] == [{"name": "one", "burst": 20, "nodelay": True}]
    assert set(app) == {"path", "upstream", "limits", "proxy"}
    assert rest == {"match": "named", "path": "rest", "files": str(tmp_path / "html")}
    assert found["upstream"]["app"]["servers"][1] == "127.0.0.1:8002"
    assert found["limit"]["one"]["status"] == 503


def test_tables_say_where_they_come_from(tmp_path):
    text = converted(tmp_path, SMALL)[1]
    assert "[upstream.app]  # nginx.conf:7" in text
    assert 'port-18080 = { address = "0.0.0.0:18080", backlog = 511 }  # nginx.conf:8' in text
    assert "[[site.example-com-2.route]]  # nginx.conf:13" in text


def test_names_of_sites_are_their_own(tmp_path):
    servers = ["a.b", "a-b", "~^x$", '""', "_", "*.c.d"]
    blocks = " ".join(f"server {{ listen {8000 + at}; server_name {name}; }}" for at, name in enumerate(servers))
    found = tomllib.loads(converted(tmp_path, f"events {{}} http {{ {blocks} }}")[1])
    assert list(found["site"]) == ["a-b", "a-b-2", "server-3", "server-4", "server-5", "c-d"]


def test_a_listener_knows_its_default_site_by_its_new_name(tmp_path):
    text = "server { listen 80; server_name a; } server { listen 80 default_server; server_name b; }"
    found = tomllib.loads(converted(tmp_path, f"events {{}} http {{ {text} }}")[1])
    assert found["listen"]["port-80"]["default"] == "b"


def test_which_language_a_file_is_in(tmp_path):
    assert reading.is_nginx("x/nginx.conf") and not reading.is_nginx("frontgate.toml")
    path = tmp_path / "odd.toml"
    path.write_text("events { } http { server { listen 8080; } }")
    model, source, _ = reading.load(str(path), nginx=True)
    assert model.log.style == "nginx" and source.file == str(path)
