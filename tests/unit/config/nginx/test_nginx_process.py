"""What nginx.conf says of processes, listeners, logs and connections, as tables of the Model."""

from __future__ import annotations

import os

import pytest

from proxy.config.nginx import reader
from proxy.config.source import ConfigError


@pytest.fixture
def read(tmp_path):
    """The Model of a configuration whose http block holds this text, and the Reading."""

    def read(http="server { }", main="", **more):
        path = tmp_path / "nginx.conf"
        path.write_text(f"{main}\nevents {{ }}\nhttp {{\n{http}\n}}\n")
        model, _, reading = reader.load(str(path), f"{tmp_path}/", **more)
        return model, reading

    return read


def problems(read, *texts, **more):
    with pytest.raises(ConfigError) as caught:
        read(*texts, **more)
    return [problem.sentence for problem in caught.value.errors]


# --- processes --------------------------------------------------------------------------------------------------------


def test_nginx_defaults(read, tmp_path):
    model, _ = read()
    assert model.daemon and model.workers == 1 and model.pid == f"{tmp_path}/logs/nginx.pid"
    assert model.log.error == f"{tmp_path}/logs/error.log" and model.log.level == "error" and model.log.style == "nginx"
    assert model.http.dialect == "nginx" and model.http.max_body == 1 << 20 and model.http.min_rate == 0
    assert model.timeouts.shutdown > 86400 and model.http.renew is None
    [site] = model.site.values()
    assert site.logs[0].path == f"{tmp_path}/logs/access.log" and site.logs[0].format == "nginx"


def test_processes(read, tmp_path):
    main = "daemon off; pid run/x.pid; worker_processes auto; worker_shutdown_timeout 10ms; env A=b;"
    model, _ = read(main=main)
    assert not model.daemon and model.workers is None and model.pid == f"{tmp_path}/run/x.pid"
    assert model.timeouts.shutdown == model.http.renew == 0.01


def test_a_user_is_for_root_only(read, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    model, reading = read(main="user nobody;")
    assert model.user is None
    assert "makes sense only if" in str(reading.warnings[0])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert read()[0].user == "nobody"
    model, _ = read(main="user root daemon;")
    assert (model.user, model.group) == ("root", "daemon")


def test_what_is_wrong_with_processes(read):
    assert problems(read, main="worker_processes many;") == ['"worker_processes" directive invalid number "many"']
    assert problems(read, main="daemon maybe;")
    assert problems(read, main="pid a; pid b;")


# --- listeners --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "addresses"),
    [
        ("8080", ["0.0.0.0:8080"]),
        ("*:8080", ["0.0.0.0:8080"]),
        ("127.0.0.1", ["127.0.0.1:80"]),
        ("127.0.0.1:8080", ["127.0.0.1:8080"]),
        ("localhost:8080", ["localhost:8080"]),
        ("[::]:8080", ["[::]:8080"]),
        ("[::1]", ["[::1]:80"]),
        ("[::]:8080 ipv6only=off", ["[::]:8080", "0.0.0.0:8080"]),
        ("unix:/run/x.sock", ["unix:/run/x.sock"]),
        ("127.0.0.1:8080-8082", ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082"]),
        ("8080 reuseport deferred backlog=7 rcvbuf=8k so_keepalive=30m::10 fastopen=3 bind setfib=1", ["0.0.0.0:8080"]),
    ],
)
def test_addresses(read, words, addresses):
    model, _ = read(f"server {{ listen {words}; }}")
    assert [one.address for one in model.listen.values()] == addresses
    [site] = model.site.values()
    assert list(site.listen) == list(model.listen)


def test_without_listen(read):
    model, _ = read()
    assert [one.address for one in model.listen.values()] == ["0.0.0.0:80" if os.geteuid() == 0 else "0.0.0.0:8000"]


def test_several_servers_at_one_address(read):
    model, _ = read(
        "server { listen 8080; server_name a; } server { listen 8080 default_server backlog=9; listen 8081; }"
        "server { listen 127.0.0.1:8080 proxy_protocol; server_name a; }"
    )
    first, second = model.listen["port-8080"], model.listen["127.0.0.1-8080"]
    assert first.default == "server-2" and first.backlog == 9 and not first.proxy_protocol
    assert second.default is None and second.proxy_protocol and second.backlog == 511


def test_a_name_that_is_taken(read):
    _, reading = read("server { listen 8080; server_name a; } server { listen 8080; server_name a b; }")
    assert [warning.sentence for warning in reading.warnings] == [
        'conflicting server name "a" on 0.0.0.0:8080, ignored'
    ]


@pytest.mark.parametrize(
    "http",
    [
        "server { listen 8080 http2; listen 8081 http2; } server { listen 8082 http2; }",
        "http2 on; server { listen 8080; } server { listen 8081; }",
        "server { listen 8080; http2 on; }",
    ],
)
def test_http2_is_spoken_where_it_is_said(read, http):
    model, reading = read(http + " server { listen 8090; http2 off; }")
    spoken = {name: bool(one.http2) for name, one in model.listen.items()}
    assert not reading.warnings and spoken.pop("port-8090") is False and all(spoken.values())


def test_http2_streams_of_a_connection(read):
    model, _ = read("server { listen 8080; http2 on; http2_max_concurrent_streams 7; }")
    assert [site.http.streams for site in model.site.values()] == [7]


@pytest.mark.parametrize(
    ("servers", "sentence"),
    [
        ("server { listen 8080; listen *:8080; }", "a duplicate listen *:8080"),
        (
            "server { listen 8080 default_server; } server { listen 8080 default_server; }",
            "a duplicate default server for 0.0.0.0:8080",
        ),
        ("server { listen 70000; }", 'invalid port in "70000" of the "listen" directive'),
        ("server { listen 8080-8070; }", 'invalid port in "8080-8070" of the "listen" directive'),
        ("server { listen 8080 nonsense; }", 'invalid parameter "nonsense"'),
        ("server { listen 8080 backlog=0; }", 'invalid parameter "backlog=0"'),
        ("server { listen 8080 ipv6only=on; }", 'ipv6only is not supported on addr "8080"'),
        ("server { listen 1.2.3.400:80; }", 'host not found in "1.2.3.400:80" of the "listen" directive'),
        ("server { listen 8080 quic; }", 'the "quic" parameter is not supported (frontgate has no HTTP/3)'),
    ],
)
def test_what_is_wrong_with_listeners(read, servers, sentence):
    assert problems(read, servers) == [sentence]


# --- logs -------------------------------------------------------------------------------------------------------------


def test_error_logs(read, tmp_path):
    main = "error_log e.log notice; error_log stderr; error_log syslog:server=127.0.0.1,tag=x crit;"
    model, _ = read("server { location /a { error_log a.log debug_http; } location /b { } }", main)
    assert (model.log.error, model.log.level) == (f"{tmp_path}/e.log", "notice")
    assert [(one.path, one.level) for one in model.log.errors] == [("-", "error"), ("", "critical")]
    assert model.log.errors[1].syslog.server == "127.0.0.1:514" and model.log.errors[1].syslog.tag == "x"
    [site] = model.site.values()
    assert [one.path for one in site.route[0].error_logs] == [f"{tmp_path}/a.log"]
    assert site.route[0].error_logs[0].level == "debug" and site.route[1].error_logs is None


def test_access_logs(read, tmp_path):
    model, _ = read(
        "log_format f escape=json '$uri' ' $status';"
        "access_log h.log f buffer=1k flush=2s if=$arg_a;"
        "server { location /in { }"
        "location /own { access_log $host.log; access_log syslog:server=unix:/s,nohostname f; }"
        "location /off { access_log off; } }"
    )
    assert model.log.formats["f"].text == "$uri $status" and model.log.formats["f"].escape == "json"
    inherited, own, off = next(iter(model.site.values())).route[:3]
    [one] = inherited.logs
    assert (one.path, one.format, one.buffer, one.flush, one.if_) == (f"{tmp_path}/h.log", "f", 1024, 2.0, "$arg_a")
    assert own.logs[0].path == "$host.log" and own.logs[0].format == "nginx"
    assert own.logs[1].syslog.nohostname and own.logs[1].syslog.tag == "nginx"
    assert off.logs == ()


@pytest.mark.parametrize(
    ("http", "sentence"),
    [
        ("access_log x nope; server { }", 'unknown log format "nope"'),
        ("log_format a b; log_format a c; server { }", 'duplicate "log_format" name "a"'),
        ("log_format a escape=xml b; server { }", 'unknown log format escaping "xml"'),
        ("log_format a $nonsense; server { }", 'unknown "nonsense" variable'),
        ("access_log x combined buffer=x; server { }", '"access_log" directive invalid value "x"'),
        ("access_log x combined nonsense; server { }", 'invalid parameter "nonsense"'),
        ("access_log syslog:tag=x; server { }", "no syslog server specified"),
        ("error_log x loud; server { }", 'invalid log level "loud"'),
    ],
)
def test_what_is_wrong_with_logs(read, http, sentence):
    assert sentence in problems(read, http)


# --- connections ------------------------------------------------------------------------------------------------------


def test_connections(read):
    model, _ = read(
        "keepalive_timeout 10s 20s; client_header_timeout 3s; large_client_header_buffers 2 1k; max_headers 7;"
        "server { underscores_in_headers on; merge_slashes off; keepalive_requests 5;"
        "location /a { keepalive_timeout 0; send_timeout 9s; } location /b { keepalive_time 1m; } }",
        "frontgate_bare_lf on;",
    )
    assert model.http.bare_lf == "accept"
    [site] = model.site.values()
    assert (site.http.max_head, site.http.max_target, site.http.max_fields, site.http.max_requests) == (
        2048,
        1024,
        7,
        5,
    )
    assert site.http.underscores and site.http.unusual_names == "drop" and not site.http.merge_slashes
    assert (site.timeouts.client_header, site.timeouts.client_idle) == (3.0, 10.0)
    first, second = site.route[:2]
    assert not first.connection.keep and first.timeouts.send == 9.0
    assert second.connection.tell == 20 and second.connection.seconds == 60.0 and second.connection.requests == 5


def test_the_toml_of_it_loads(read, tmp_path):
    """What `frontgate convert` writes is what would be served."""
    from_nginx, reading = read("server { listen 8080; listen unix:/x; location / { return 204; } }", "daemon off;")
    tables = reader.read(reading.files.main, f"{tmp_path}/").model
    assert type(from_nginx).model_validate(tables) == from_nginx
