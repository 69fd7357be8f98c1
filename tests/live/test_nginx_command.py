"""`frontgate nginx` as a whole: its texts and exit codes, its signals, its logs, and PROXY headers."""

from __future__ import annotations

import os
import re
import signal
import socket

import pytest
from certificates import certify, trusting
from door import until
from front import Front

PLAIN = 'server { listen 127.0.0.1:{port}; location / { return 200 "$uri"; } }'


def test_what_is_tested_and_dumped():
    front = Front(PLAIN)
    found = front.run("-t")
    assert (found.returncode, found.stdout) == (0, "")
    path = front.folder / "nginx.conf"
    assert found.stderr == (
        f"nginx: the configuration file {path} syntax is ok\nnginx: configuration file {path} test is successful\n"
    )
    assert front.run("-tq").stderr == ""
    assert front.run("-Tq").stdout == f"# configuration file {path}:\n{path.read_text()}\n"
    assert front.text("error.log") == "" and (front.folder / "error.log").exists()


def test_a_bad_configuration():
    front = Front("server { listen 127.0.0.1:{port};\n lisen 80; }")
    for words in ((), ("-t",), ("-s", "stop")):
        found = front.run(*words)
        assert found.returncode == 1
        line = f'[emerg] unknown directive "lisen" (did you mean "listen"?) in {front.folder}/nginx.conf:6\n'
        assert found.stderr.startswith(f"nginx: {line}")
    assert "test failed" in front.run("-t").stderr
    assert re.search(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[emerg\] \d+#\d+: unknown directive", front.text("error.log"))


def test_what_shows_only_when_a_worker_is_made():
    front = Front("server { listen 127.0.0.1:{port}; location ~ (x { return 200; } }")
    found = front.run()
    assert found.returncode == 1
    assert found.stderr.startswith("nginx: [emerg] ") and "regular expression" in found.stderr
    assert "[emerg]" in front.text("error.log") and not (front.folder / "nginx.pid").exists()
    assert front.run("-t").returncode == 1


def test_nobody_to_signal():
    front = Front(PLAIN)
    found = front.run("-s", "reload")
    assert found.returncode == 1
    assert found.stderr == f'nginx: [error] open() "{front.folder}/nginx.pid" failed (2: No such file or directory)\n'
    (front.folder / "nginx.pid").write_text("nonsense\n")
    assert (
        front.run("-s", "quit").stderr
        == f'nginx: [error] invalid PID number "nonsense" in "{front.folder}/nginx.pid"\n'
    )


def test_an_address_that_is_taken():
    front = Front(PLAIN)
    with socket.create_server(("127.0.0.1", front.port)):
        found = front.run()
    assert found.returncode == 1
    assert f"nginx: [emerg] bind() to 127.0.0.1:{front.port} failed (98: Address already in use)" in found.stderr


def test_in_the_foreground():
    with Front(PLAIN) as front:
        assert front.process.pid == front.pid
        assert front.ask("/a").endswith(b"\r\n\r\n/a")
        front.process.send_signal(signal.SIGQUIT)
        assert front.process.wait(10.0) == 0
        assert not (front.folder / "nginx.pid").exists()
        assert front.text("stdout") == ""
        assert '"GET /a HTTP/1.0" 200 2 "-" "-"\n' in front.text("access.log")


def test_a_daemon_and_its_signals():
    front = Front(PLAIN, "daemon on;")
    try:
        assert front.run().returncode == 0
        first = front.pid
        assert front.ask("/a").endswith(b"/a")
        front.write(PLAIN.replace("$uri", "new $uri"), "daemon on;")
        assert front.run("-s", "reload").returncode == 0
        until(lambda: front.ask("/b").endswith(b"new /b"), 10.0, "the reload")
        (front.folder / "access.log").rename(front.folder / "old.log")
        assert front.run("-s", "reopen").returncode == 0
        until(lambda: (front.folder / "access.log").exists(), 10.0, "the new log")
        assert front.pid == first
        assert front.run("-s", "stop").returncode == 0
        until(lambda: not (front.folder / "nginx.pid").exists(), 10.0, "the end")
    finally:
        front.__exit__()


def test_a_reload_that_fails_changes_nothing():
    with Front(PLAIN) as front:
        front.write("server { listen 127.0.0.1:{port}; nonsense on; }")
        os.kill(front.pid, signal.SIGHUP)
        until(lambda: "[emerg]" in front.text("error.log"), 10.0, "what is wrong")
        assert f'unknown directive "nonsense" in {front.folder}/nginx.conf:5\n' in front.text("error.log")
        assert front.ask("/a").endswith(b"/a")


def test_a_reload_onto_an_address_that_is_taken():
    with Front(PLAIN) as front, socket.create_server(("127.0.0.1", front.other)):
        front.write(PLAIN.replace("{port}", "{other}"))
        os.kill(front.pid, signal.SIGHUP)
        words = (
            f"[emerg] {front.pid}#{front.pid}: bind() to 127.0.0.1:{front.other} failed (98: Address already in use)"
        )
        until(lambda: words in front.text("error.log"), 10.0, "why not")
        assert front.ask("/a").endswith(b"/a")


def test_a_log_that_cannot_be_opened():
    with Front(PLAIN) as front:
        front.write("server { listen unix:{folder}/s; access_log nowhere/x.log; } " + PLAIN)
        words = f'open() "{front.folder}/nowhere/x.log" failed (2: No such file or directory)'
        tried = front.run("-t")
        assert tried.returncode == 1 and tried.stderr.startswith(f"nginx: [emerg] {words}\n")
        os.kill(front.pid, signal.SIGHUP)
        until(lambda: f"#{front.pid}: {words}\n" in front.text("error.log"), 10.0, "why not")
        assert front.ask("/a").endswith(b"/a")


@pytest.mark.root
def test_logs_where_only_root_may_open_any():
    conf = "server { listen 127.0.0.1:{port}; root {folder}; access_log {log}; error_log own.log; }"
    with Front(conf.replace("{log}", "one.log"), "daemon off; user nobody;") as front:
        assert front.folder.stat().st_mode & 0o077 == 0
        assert front.run("-t").returncode == 0
        front.ask("/a")
        until(lambda: "GET /a " in front.text("one.log"), 5.0, "its line")
        assert "/a" in front.text("own.log")
        for name in ("one.log", "own.log"):
            (front.folder / name).rename(front.folder / f"old-{name}")
        os.kill(front.pid, signal.SIGUSR1)
        until(lambda: (front.folder / "own.log").exists(), 5.0, "the new log")

        def moved():
            front.ask("/b")
            return "GET /b " in front.text("one.log") and "/b" in front.text("own.log")

        until(moved, 5.0, "lines in the new logs")
        front.write(conf.replace("{log}", "two.log"), "daemon off; user nobody;")
        os.kill(front.pid, signal.SIGHUP)

        def reloaded():
            front.ask("/c")
            return "GET /c " in front.text("two.log")

        until(reloaded, 10.0, "lines where the new configuration says")


def test_another_program_takes_over():
    with Front(PLAIN + "server { listen unix:{folder}/s; return 204; }") as front:
        first = front.pid
        os.kill(first, signal.SIGUSR2)
        until(lambda: (front.folder / "nginx.pid.oldbin").exists(), 20.0, "the old one's new name")
        until(lambda: (front.folder / "nginx.pid").exists(), 20.0, "the new one")
        assert front.text("nginx.pid.oldbin") == f"{first}\n" and front.pid != first
        os.kill(first, signal.SIGQUIT)
        assert front.process.wait(10.0) == 0
        assert not (front.folder / "nginx.pid.oldbin").exists()
        assert front.ask("/a").endswith(b"/a")
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(front.folder / "s"))
            wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert wire.recv(100).startswith(b"HTTP/1.1 204")


def test_another_program_that_leaves_again():
    with Front(PLAIN + "server { listen unix:{folder}/s; return 204; }") as front:
        os.kill(front.pid, signal.SIGUSR2)
        until(lambda: (front.folder / "nginx.pid.oldbin").exists(), 20.0, "the old one's new name")
        until(lambda: (front.folder / "nginx.pid").exists(), 20.0, "the new one")
        os.kill(front.pid, signal.SIGQUIT)
        until(lambda: not (front.folder / "nginx.pid.oldbin").exists(), 10.0, "the old one's name")
        assert front.pid == front.process.pid and (front.folder / "s").exists()
        assert front.ask("/a").endswith(b"/a")
        front.process.terminate()
        assert front.process.wait(10.0) == 0
        assert not (front.folder / "s").exists()


def test_another_program_that_cannot_start():
    with Front(PLAIN) as front:
        front.write("nonsense;")
        os.kill(front.pid, signal.SIGUSR2)
        until(lambda: "the new program" in front.text("error.log"), 20.0, "its end")
        until(lambda: (front.folder / "nginx.pid").exists(), 10.0, "its name")
        assert front.pid == front.process.pid
        assert front.ask("/a").endswith(b"/a")


def test_connections_of_before_a_reload_end_when_they_are_to():
    with Front(PLAIN, "daemon off; worker_shutdown_timeout 10ms;") as front, front.wire() as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.recv(1000)
        os.kill(front.pid, signal.SIGHUP)
        assert wire.recv(1000) == b""


def test_how_long_connections_last():
    conf = (
        "server { listen 127.0.0.1:{port}; keepalive_requests 3; keepalive_timeout 60 20;"
        "location / { return 200; } location /bye { keepalive_timeout 0; return 200; } }"
    )
    with Front(conf) as front:
        one = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        found = front.ask(one * 5)
        assert found.count(b"HTTP/1.1 200") == 3 and found.count(b"Connection: close") == 1
        assert b"Keep-Alive: timeout=20" in found
        assert front.ask(one.replace(b"/ ", b"/bye ") * 2).count(b"HTTP/1.1 200") == 1


def test_lines_are_there_when_the_answer_is_and_know_of_pipelines():
    conf = (
        "log_format f '$uri $pipe $request_length $bytes_sent';"
        "server { listen 127.0.0.1:{port}; access_log {folder}/$arg_log.log f; return 200 ab; }"
    )
    with Front(conf) as front:
        head = b"GET /?log=x HTTP/1.1\r\nHost: a\r\n"
        found = front.ask(head + b"\r\n" + head + b"Connection: close\r\n\r\n")
        sizes = [len(part) for part in re.split(rb"(?<=ab)(?=HTTP)", found)]
        until(lambda: front.text("x.log").count("\n") == 2, 5.0, "both lines")
        assert front.text("x.log") == f"/ . {len(head) + 2} {sizes[0]}\n/ p {len(head) + 21} {sizes[1]}\n"


def test_errors_go_where_the_location_says():
    conf = (
        "server { listen 127.0.0.1:{port}; server_name door; root {folder};"
        "location /own { error_log own.log; } location / { } }"
    )
    with Front(conf) as front:
        assert b" 404 " in front.ask("/own/nothing")
        assert b" 404 " in front.ask("/other")
        assert re.search(
            rf'\[error\] \d+#\d+: \*\d+ open\(\) "{front.folder}/own/nothing" failed \(2: No such file or directory\), '
            r'client: 127.0.0.1, server: door, request: "GET /own/nothing HTTP/1.0", host: "localhost"\n',
            front.text("own.log"),
        )
        assert "/other" in front.text("error.log") and "/own/" not in front.text("error.log")


PROXIED = b"PROXY TCP4 192.0.2.1 192.0.2.2 123 456\r\n"


def test_a_header_before_everything_else():
    words = "return 200 '$proxy_protocol_addr $proxy_protocol_port $remote_addr';"
    with Front("server { listen 127.0.0.1:{port} proxy_protocol; " + words + "}") as front:
        for cut in (0, 1, 10, len(PROXIED) - 1, len(PROXIED)):
            with front.wire() as wire:
                wire.sendall(PROXIED[:cut])
                wire.sendall(PROXIED[cut:] + b"GET / HTTP/1.0\r\n\r\n")
                found = b"".join(iter(lambda wire=wire: wire.recv(4096), b""))
                assert found.endswith(b"192.0.2.1 123 127.0.0.1"), cut
        assert front.ask("/") == b""
        until(lambda: "broken PROXY protocol header" in front.text("error.log"), 5.0, "what was wrong")


def test_a_header_before_tls(tmp_path):
    certify(tmp_path)
    conf = f"ssl_certificate {tmp_path}/tls.pem; ssl_certificate_key {tmp_path}/tls.key;"
    conf += "return 200 '$proxy_protocol_addr $scheme';"
    with Front("server { listen 127.0.0.1:{port} proxy_protocol ssl; " + conf + "}") as front:
        wire = front.wire()
        wire.sendall(PROXIED)
        with trusting().wrap_socket(wire) as secured:
            secured.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"".join(iter(lambda: secured.recv(4096), b"")).endswith(b"192.0.2.1 https")
