"""`frontgate lab replay` and `frontgate lab limits`: options, files, and what they print."""

from __future__ import annotations

import io
import json
import sys
import tomllib

import pytest

from proxy import cli
from proxy.observe.log_line import NGINX

TIMES = NGINX + " $msec $request_time $upstream_response_time $upstream_addr"
LINE = (
    '{client} - - [23/Nov/2026:20:45:01 +0000] "GET {path} HTTP/1.1" 200 1 "-" "-" {end:.3f} {time} {time} {address}\n'
)
DOOR = """
[listen.web]
address = "127.0.0.1:8080"
[site.a]
names = ["a"]
[[site.a.route]]
path = "/"
upstream = "app"
{limits}
[upstream.app]
balance = "least_conn"
max_fails = 5
servers = ["127.0.0.1:1", {{ address = "127.0.0.1:2", weight = 2 }}]
[log.formats]
times = '''{form}'''
"""


@pytest.fixture
def log(tmp_path):
    """A log of nginx: four requests of 0.5 s at two backends, ten times, from two clients."""
    path = tmp_path / "access.log"
    path.write_text(
        "".join(
            LINE.format(
                client=f"192.0.2.{number % 2}", end=1.7e9 + number * 0.25, time="0.500", path="/ab"[: number % 3],
                address=f"127.0.0.1:{number % 2 + 1}",
            )
            for number in range(40)
        )
    )  # fmt: skip
    return str(path)


def told(capsys, *words):
    """What a study says as JSON."""
    assert cli.main(["lab", *words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_replay_with_the_backends_of_the_log(capsys, log):
    found = told(capsys, "replay", log, "--format", TIMES, "--service-places", "1")
    assert set(found["strategies"]) >= {"round_robin", "least_conn", "random_two", "peak_ewma", "ip_hash", "hash"}
    assert found["scenario"]["upstream"]["servers"] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert found["scenario"]["backends"] == [{"concurrency": 1}] * 2
    assert found["as_logged"]["latency_ms"]["p99"] == 500.0 == found["as_logged"]["request_ms"]["p50"]
    assert found["strategies"]["round_robin"]["latency_ms"]["p99"] == 500.0
    assert found["log"]["requests"] == 40 and found["log"]["service_places"] == 1
    one = told(capsys, "replay", log, "--format", TIMES, "--strategy", "least_conn")
    assert one["latency_ms"] == one["strategies"]["least_conn"]["latency_ms"]


def test_replay_with_other_backends(capsys, log):
    found = told(
        capsys, "replay", log, "--format", TIMES, "--backends", "1", "--concurrency", "1", "--strategy", "random"
    )
    assert len(found["backends"]) == 1 and found["latency_ms"]["p99"] > 5000  # twice the work that it can do


def test_replay_with_a_configuration(capsys, log, tmp_path):
    file = tmp_path / "frontgate.toml"
    file.write_text(DOOR.format(limits="", form=TIMES))
    found = told(capsys, "replay", log, "-c", str(file), "--upstream", "app", "--concurrency", "2")
    assert found["log"]["formats"] == [TIMES]  # which the configuration has
    assert len(found["strategies"]) == 8
    assert found["strategies"]["round_robin"]["backends"][1]["share"] == pytest.approx(2 / 3, abs=0.02)


def test_replay_as_a_table(capsys, log):
    assert cli.main(["lab", "replay", log, "--format", TIMES, "--strategy", "round_robin"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "40 requests in 9.75 s of 40 lines, 2 backends with 1 places, seed 1; in ms"
    assert [line.split()[0] for line in lines[2:5]] == ["strategy", "as", "round_robin"]
    assert lines[6].startswith("* logged times of backends hold the time that requests waited there")


def test_replay_from_standard_input(capsys, log, monkeypatch):
    with open(log, "rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read())))
    found = told(capsys, "replay", "-", "--format", TIMES, "--strategy", "round_robin")
    assert found["log"]["requests"] == 40


def test_limits_are_accepted(capsys, log, tmp_path):
    """What is printed goes into a configuration as it is."""
    assert cli.main(["lab", "limits", log, "--format", TIMES, "--routes", "/,/a", "--name", "x"]) == 0
    text = capsys.readouterr().out
    assert {name: list(table) for name, table in tomllib.loads(text)["limit"].items()} == {
        name: ["key", "rate", "burst", "nodelay"] for name in ("a", "rest")
    }
    file = tmp_path / "frontgate.toml"
    file.write_text(DOOR.format(limits='limits = ["rest", "a"]', form=TIMES) + text)
    assert cli.main(["check", "-c", str(file)]) == 0


def test_limits_as_json(capsys, log):
    found = told(capsys, "limits", log, "--format", TIMES, "--rate", "1r/s", "--share", "50%")
    # Each client comes twice a second, twenty times: after 19 gaps of 500 ms its bucket would hold 9.5 requests.
    assert (found["rate"], found["burst"], found["keys"], found["requests"]) == ("1r/s", 10, 2, 40)
    assert found["limits"]["clients"]["toml"] == (
        '[limit.clients]\nkey = "address"\nrate = "1r/s"\nburst = 10\nnodelay = true\n'
    )
    some = told(capsys, "limits", log, "--format", TIMES, "--rate", "1r/s", "--share", "0.9", "--of", "requests")
    assert 0 < some["limited"]["requests"] <= 4 and some["top"][0]["key"].startswith("192.0.2.")
    assert 1.7e9 < some["top"][0]["first"] < 1.7e9 + 10


def test_limits_tell_what_does_not_count(capsys, tmp_path):
    path = tmp_path / "ours.log"
    one = {"time": 1.7e9, "remote_addr": "::1", "status": 200, "request_time": 0.5, "target": "/a", "attempts": []}
    rows = [{**one, "user_agent": agent, "target": path} for agent in ("x", "") for path in ("/a", "/a", "/b")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "bad\n")
    found = told(capsys, "limits", str(path), "--key", "header:User-Agent", "--routes", "/a", "--rate", "1r/s")
    assert found["notes"] == [
        f"1 of 7 lines could not be read, the first is {path}:7",
        "2 requests are of no route that was said",
        "2 requests have no header:User-Agent, and are not limited",
    ]
    assert (found["keys"], found["requests"], found["burst"]) == (1, 2, 1)
    assert found["limits"]["a"]["toml"].startswith('[limit.a]\nkey = "header:User-Agent"\n')


def test_limits_show_whom(capsys, log):
    with open(log, "a") as file:
        for number in range(30):
            file.write(LINE.format(client="203.0.113.9", end=1.7e9 + number / 100, time=0, path="/", address="a:1"))
    words = ["--format", TIMES, "--rate", "2r/s", "--share", "60%", "--top", "1"]
    assert cli.main(["lab", "limits", log, *words]) == 0
    text = capsys.readouterr().out
    assert "# key          requests  rejected  first\n# 203.0.113.9        30        29  2023-11-14T22:13:20Z" in text
    assert "burst = 0" in text
    assert cli.main(["lab", "limits", log, *words, "--routes", ",,"]) == 0  # as if nothing was said
    assert capsys.readouterr().out == text


def test_a_key_of_a_client_stays_in_its_comment(capsys, tmp_path):
    """A key is what a client has sent: it neither ends the comment of the TOML nor speaks to the terminal."""
    path = tmp_path / "ours.json"
    key = '\x1b]0;x\x07\u202e\n[limit.evil]\nkey = "address"' + "x" * 5000
    line = {"remote_addr": "192.0.2.1", "method": "GET", "target": "/", "status": 200, "user_agent": key}
    lines = [{"time": 1.7e9 + number / 100, **line} for number in range(30)]
    lines.append({**lines[0], "user_agent": "another"})
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    words = ["limits", str(path), "--format", "json", "--key", "header:user-agent", "--rate", "1r/s"]
    assert cli.main(["lab", *words, "--share", "50%"]) == 0
    text = capsys.readouterr().out
    assert list(tomllib.loads(text)["limit"]) == ["clients"] and "evil" in text
    assert text.replace("\n", "").isprintable() and max(map(len, text.splitlines())) < 140


def test_mistakes(capsys, log, tmp_path):
    empty = tmp_path / "empty.log"
    empty.write_text("")
    strange = tmp_path / "strange.log"
    strange.write_text("a b c\n")
    for words, sentence in (
        (["replay", str(strange)], "no line is of a format that is known"),
        (["replay", "nowhere.log"], "nowhere.log cannot be read"),
        (["replay", str(empty)], "no line tells of a backend"),
        (["replay", log, "--format", "$status"], "the format needs a time"),
        (["replay", log, "--format", TIMES, "--strategy", "best"], "balance: "),
        (["limits", str(empty)], "no request of the log counts"),
        (["limits", log, "--format", TIMES, "--key", "header:X"], "no line of the log tells header:X"),
        (["limits", log, "--format", TIMES, "--key", "ip"], 'there is no key "ip"'),
        (["limits", log, "--format", TIMES, "--rate", "3"], "must be a rate"),
        (["limits", log, "--format", TIMES, "--name", "a b"], "--name "),
        (["replay", log, "--format", TIMES, "--service-places", "0"], "--service-places must be 1 or more (got 0)"),
    ):
        assert cli.main(["lab", *words]) != 0
        assert sentence in capsys.readouterr().err, words


def test_retries_of_routes(capsys, log, tmp_path):
    """A route's own retries take the place of the upstream's, but for the budget; nginx.conf always has them there."""
    file = tmp_path / "frontgate.toml"
    retry = 'retry = { on = ["connect"], attempts = 3 }'
    file.write_text(DOOR.format(limits=retry, form=TIMES) + "[upstream.app.retry]\non = [503]\nbudget = 0.5\n")
    found = told(capsys, "replay", log, "-c", str(file))
    assert found["scenario"]["upstream"]["retry"] == {"on": ["connect"], "attempts": 3, "budget": 0.5}
