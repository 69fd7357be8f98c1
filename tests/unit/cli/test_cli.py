"""The command line, with good words and bad."""

from __future__ import annotations

import json
import os
import socket
import threading

import pytest

import proxy
from proxy import cli
from proxy.cli import tables

GOOD = """
[listen.web]
address = "127.0.0.1:8080"
[upstream.app]
servers = ["127.0.0.1:8001"]
[site.s]
default = true
[[site.s.route]]
path = "/"
upstream = "app"
"""
STATUS = {
    "version": "1.2.3",
    "uptime": 3725,
    "reload": {"good": False, "at": 0},
    "workers": [{"slot": 0, "pid": 4711, "connections": 5}],
    "upstreams": {
        "app": {
            "backends": [
                {"address": "unix:/run/a", "state": "up", "weight": 1, "in_flight": 2, "requests": 300, "failures": 0}
            ]
        }
    },
    "limits": {},
    "certificates": [
        {"site": "one", "certificate": "acme:a-1", "ends": 1800000000, "ordered": True},
        {"site": "two", "certificate": "/a.pem", "ends": None, "ordered": False},
    ],
    "sites": {"s": {"requests": {"2xx": 300}}},
}


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "frontgate.toml"
        path.write_text(text)
        return str(path)

    return written


def test_version_and_usage(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"frontgate {proxy.__version__} (plain Python)\n"


@pytest.mark.parametrize(
    "words", [[], ["dance"], ["serve"], ["check"], ["reload"], ["status"], ["check", "-c"], ["serve", "-c", "x", "y"]]
)
def test_words_that_make_no_command_are_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    assert "usage: frontgate" in capsys.readouterr().err


def test_the_help_says_what_is_told_when(capsys):
    with pytest.raises(SystemExit):
        cli.main(["check", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "every mistake in the file at once, then what only the system knows" in words


def test_check_says_ok(write, capsys):
    path = write(GOOD)
    assert cli.main(["check", "-c", path]) == 0
    assert capsys.readouterr() == (f"{path}: ok\n", "")


def test_check_warns_and_still_says_ok(write, capsys):
    path = write(GOOD + '[upstream.spare]\nservers = ["127.0.0.1:8002"]\n')
    assert cli.main(["check", "-c", path]) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: ok\n"
    assert err.startswith(f"{path}:11: ") and "spare" in err and err.endswith("(warning)\n")


@pytest.mark.parametrize("command", ["check", "serve"])
def test_all_problems_are_told_with_their_lines(command, write, capsys):
    path = write(GOOD.replace("8080", "http").replace('"app"\n', '"ap"\n') + "\n[limit.l]\nrat = 1\nrate = 1\n")
    assert cli.main([command, "-c", path]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and all(line.startswith(f"{path}:") for line in lines)
    assert lines[0].startswith(f"{path}:3: address must end in a port")


@pytest.mark.parametrize("command", ["check", "serve", "status", "reload"])
def test_a_file_that_is_not_there(command, tmp_path, capsys):
    path = str(tmp_path / "missing.toml")
    assert cli.main([command, "-c", path]) == 1
    assert capsys.readouterr().err == f"{path}: no such file: name another with -c FILE\n"


def test_serve_names_the_busy_port(write, capsys):
    with socket.create_server(("127.0.0.1", 0)) as owner:
        address = f"127.0.0.1:{owner.getsockname()[1]}"
        assert cli.main(["serve", "-c", write(GOOD.replace("127.0.0.1:8080", address))]) == 1
    words = f"frontgate: cannot listen on {address}: another program listens there; stop it or change the address\n"
    assert capsys.readouterr().err == words


def test_schema_is_json(capsys):
    assert cli.main(["schema"]) == 0
    assert "upstream" in json.loads(capsys.readouterr().out)["properties"]


def test_signals_need_a_running_master(write, tmp_path, capsys):
    assert cli.main(["stop", "-c", write(GOOD)]) == 1
    assert "has no pid" in capsys.readouterr().err
    missing = str(tmp_path / "pid")
    assert cli.main(["stop", "-c", write(f'pid = "pid"\n{GOOD}')]) == 1
    assert f"there is no file {missing}" in capsys.readouterr().err
    gone = os.fork() or os._exit(0)
    os.waitpid(gone, 0)
    (tmp_path / "pid").write_text(f"{gone}\n")
    assert cli.main(["reload", "--pid", missing]) == 1
    assert f"there is no process {gone}" in capsys.readouterr().err


def test_status_needs_an_admin_door_that_answers(write, capsys):
    assert cli.main(["status", "-c", write(GOOD)]) == 1
    assert "[admin]" in capsys.readouterr().err
    assert cli.main(["status", "-c", write(GOOD + '[admin]\nlisten = "unix:nobody.sock"\n')]) == 1
    assert "nobody answers at the admin door unix:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(STATUS).encode(), 0, ""),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", 1, "answers 404"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", 1, "not answer in JSON"),
        (b"HTTP/1.0 200 OK\r\n\r\n[]", 1, "something else"),
        (b"SSH-2.0\r\n\r\n", 1, "nobody answers"),
    ],
)
def test_status_prints_what_the_door_says(answer, code, words, write, capsys):
    with socket.create_server(("127.0.0.1", 0)) as door:

        def reply():
            wire, _ = door.accept()
            with wire:
                wire.recv(65536)
                wire.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        path = write(f'{GOOD}[admin]\nlisten = "127.0.0.1:{door.getsockname()[1]}"\n')
        assert cli.main(["status", "-c", path]) == code
        thread.join(5)
    out, err = capsys.readouterr()
    assert words in err
    if code == 0:
        assert out.startswith("frontgate 1.2.3, up 1 h 2 min, configuration REFUSED at ")
        assert "app       unix:/run/a  up          1          2       300         0\n" in out
        assert "one   acme:a-1     2027-01-15\ntwo   /a.pem       -\n" in out


def test_durations_for_people():
    assert [tables.uptime(n) for n in (0, 59.9, 60, 3599, 86400, 200000)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "1 d 0 h",
        "2 d 7 h",
    ]
