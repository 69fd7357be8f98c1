"""`frontgate convert`: the TOML that means the same, and comments for what could not be carried over."""

from __future__ import annotations

from proxy.config import convert, reading, toml

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


def test_it_loads_and_means_the_same(tmp_path):
    path = tmp_path / "nginx.conf"
    path.write_text(TEXT)
    text = convert.converted(str(path))
    assert f'#   {path}:8: unknown directive "fastcgi_buffers"' in text
    other = tmp_path / "frontgate.toml"
    other.write_text(text)
    found = toml.read(other)
    wanted, _, warnings = reading.load(str(path), lenient=True)
    assert found == wanted
    assert len(warnings) == 1


def test_which_language_a_file_is_in(tmp_path):
    assert reading.is_nginx("x/nginx.conf") and not reading.is_nginx("frontgate.toml")
    path = tmp_path / "odd.toml"
    path.write_text("events { } http { server { listen 8080; } }")
    model, source, _ = reading.load(str(path), nginx=True)
    assert model.log.style == "nginx" and source.file == str(path)
