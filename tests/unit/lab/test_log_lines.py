"""Lines of access logs: formats that are said and found, attempts in lists, files that are gzip, cut off or broken."""

from __future__ import annotations

import gzip
import json
from random import Random

import pytest

from proxy.lab.logs.entry import UNKNOWN, coarse, entry
from proxy.lab.logs.file import AccessLog
from proxy.lab.logs.line_format import NGINX, OURS, found, of

BEGIN = '192.0.2.7 - - [23/Nov/2026:20:45:01 +0100] "GET /a?b=%22 HTTP/1.1" 200 12 "-" "cu\\x22rl 7 (x)"'
END = 1795463101.0


def seen(line, form=None):
    """The entry of a line, by the format that is found for it or said."""
    return entry((of(form) if form else found([line])).read(line))


@pytest.mark.parametrize(
    ("tail", "took", "address", "service", "before", "lost"),
    [
        ("", UNKNOWN, "", UNKNOWN, 0.0, ()),
        (' "-"', UNKNOWN, "", UNKNOWN, 0.0, ()),
        (" 0.010 0.009 127.0.0.1:8001 0f1e", 0.01, "127.0.0.1:8001", 0.009, 0.0, ()),
        (" 0.010 0.009 127.0.0.1:1,127.0.0.1:2 0f1e", 0.01, "127.0.0.1:2", 0.009, 0.0, ("127.0.0.1:1",)),
        (" 0.010 0.000 127.0.0.1:1 0f1e connect_refused", 0.01, "", UNKNOWN, 0.0, ("127.0.0.1:1",)),
        (" 0.010 0.010 127.0.0.1:1 0f1e read_timeout", 0.01, "127.0.0.1:1", 0.01, 0.0, ()),
        (" 0.010 0.000 - 0f1e", 0.01, "", UNKNOWN, 0.0, ()),
        (" 0.000 0.000 - 0f1e no_backend", 0.0, "", UNKNOWN, 0.0, ("-",)),
        (" 0.010 0.009 127.0.0.1:8001 200", 0.01, "127.0.0.1:8001", 0.009, 0.0, ()),
        (" 0.010 0.009", 0.01, "?", 0.009, 0.0, ()),
        (" 0.010 -", 0.01, "", UNKNOWN, 0.0, ()),
        (" 0.010 0.009, 0.002 a:1, b:2", 0.01, "b:2", 0.002, 0.009, ("a:1",)),
        (" 0.010 0.009, 0.002 a:1, b:2 503, 200", 0.01, "b:2", 0.002, 0.009, ()),
        (" 0.010 0.009, 0.001 : 0.1 unix:/a, b:2 : c:9 502, 200 : 200", 0.01, "b:2", 0.001, 0.009, ("unix:/a",)),
        (" 0.010 0.000 app 502", 0.01, "", UNKNOWN, 0.0, ("-",)),
        (' rt=0.010 uct="0.000" urt="0.001, 0.009" ua="a:1, b:2"', 0.01, "b:2", 0.009, 0.001, ("a:1",)),
        (' rt=0.010, uct="0.000", urt="0.001, 0.009", ua="a:1, b:2"', 0.01, "b:2", 0.009, 0.001, ("a:1",)),
        (" rt=0.010, uct=0.000, urt=0.001, 0.009, ua=a:1, b:2", 0.01, "b:2", 0.009, 0.001, ("a:1",)),
        (' "10.0.0.1:80" "0.009" "0.010"', 0.01, "10.0.0.1:80", 0.009, 0.0, ()),
        (' "-" rt=0.010 urt=0.009 upstream=[::1]:80 x=y', 0.01, "[::1]:80", 0.009, 0.0, ()),
        (" 99 0.010 [a-b-80] [] 10.0.0.1:80 12 0.008 200 0f1e", 0.01, "10.0.0.1:80", 0.008, 0.0, ()),
    ],
)
def test_combined_lines_with_times(tail, took, address, service, before, lost):
    one = seen(BEGIN + tail)
    assert (one.took, one.address, one.service, one.before, one.lost) == (took, address, service, before, lost)
    assert (one.end, one.status, one.client, one.method) == (END, 200, "192.0.2.7", "GET")
    assert one.target == "/a?b=%22"
    assert one.asked == bool(address or lost)


def test_a_format_that_is_said():
    form = (
        "log_format times '$remote_addr $http_user_agent $msec '\n  \"$status $request_time ${upstream_addr}|\"\n"
        "'$upstream_response_time';"
    )
    one = seen("2001:db8::1 a b c 1700000000.125 404 0.5 a:1, b:2 : c:3|-, 0.25 : 0.1", form)
    assert (one.end, one.status, one.address, one.service) == (1700000000.125, 404, "b:2", 0.25)
    assert one.client == "2001:db8::1" and one.lost == ("a:1",)
    assert seen("1.1.1.1 200 2026-11-23T20:45:01+01:00", "$remote_addr $status $time_iso8601").end == END
    assert of("combined").text == OURS and of("nginx").text == NGINX
    with pytest.raises(ValueError, match="needs a time"):
        of("$remote_addr $status")


def test_json():
    ours = {
        "time": 1700000000.5, "remote_addr": "192.0.2.7", "method": "POST", "target": "/x", "status": 200,
        "request_time": 0.5, "connect_time": 0.001, "header_time": 0.25, "queue_time": 0.1, "attempt_time": 0.3,
        "backend": "b:2", "attempts": ["a:1", "b:2"], "limit": None, "fault": None,
    }  # fmt: skip
    one = seen(json.dumps(ours))
    assert one[:6] == (1700000000.5, 0.5, 200, "192.0.2.7", "POST", "/x")
    assert (one.address, one.service, one.before, one.lost) == ("b:2", 0.3, pytest.approx(0.2), ("a:1",))
    assert seen(json.dumps({**ours, "attempt_time": None})).service == 0.25
    one = seen(json.dumps({**ours, "attempts": ["b:2"]}))
    assert (one.before, one.service) == (0.1, 0.3)  # it came to the backend when it had waited at the door
    assert seen(json.dumps({**ours, "fault": "closed_early"})).lost == ("a:1", "b:2")
    assert not seen(json.dumps({**ours, "attempts": [], "attempt_time": None})).asked
    assert seen(json.dumps({**ours, "attempts": [], "fault": "queue_full"})).lost == ("-",)
    nginx = {"time_iso8601": "2026-11-23T20:45:01+01:00", "status": "200", "request_time": "0.010", "request":
             "GET /a HTTP/1.1", "upstream_addr": "a:1, b:2", "upstream_response_time": "0.001, 0.002"}  # fmt: skip
    one = seen(json.dumps(nginx))
    assert (one.end, one.address, one.service, one.target) == (END, "b:2", 0.002, "/a")
    stamped = {name if name != "time_iso8601" else "@timestamp": value for name, value in nginx.items()}
    assert seen(json.dumps(stamped)) == one and coarse(stamped)
    assert not coarse({"@timestamp": "2026-11-23T20:45:01.125+01:00"})
    assert coarse(nginx) and not coarse(ours) and coarse({"time_local": "x"}) and not coarse({"msec": "1.000"})


@pytest.mark.parametrize(
    "line", ["", "nonsense", BEGIN.replace(" 200 ", " x "), BEGIN[:60], "[1]", '{"status": 200}', '{"time": 1}', "{"]
)
def test_what_is_no_request(line):
    form = of("json" if line[:1] in ("{", "[") else "nginx")
    values = form.read(line)
    assert values is None or entry(values) is None


def test_a_wrong_number_is_a_bad_line():
    assert entry(of("nginx").read(BEGIN.replace("23/Nov", "23/Xyz"))) is None
    assert entry(of("nginx").read(BEGIN.replace("23/Nov", "33/Nov"))) is None
    assert entry({"status": "200", "msec": "1.0", "request_time": "fast"}) is None
    assert entry({"status": "200", "msec": "nan"}) is None
    assert entry({"status": "200", "msec": "1.0", "request_time": "inf"}) is None
    assert entry({"status": "200", "msec": "1700000000123"}) is None  # these are milliseconds
    assert entry({"status": "200", "msec": "-1"}) is None
    for attempts in ("a:1", ["a"], [1], 1):
        assert entry({"status": 200, "time": 1.0, "attempts": attempts}) is None


def test_bad_lines_are_counted(tmp_path):
    good = BEGIN + " 0.010 0.009 a:1"
    first, second = tmp_path / "one.log", tmp_path / "two.log.gz"
    first.write_text("\n".join([good, "", "broken \udcff".encode("utf-8", "replace").decode(), good, "also", ""]))
    second.write_bytes(gzip.compress(f"{good}\r\nbad\r\n".encode()))
    log = AccessLog([str(first), str(second)])
    assert [one.address for one, _ in log.entries()] == ["a:1"] * 3
    assert (log.lines, log.bad, log.first_bad, log.coarse) == (6, 3, f"{first}:3", True)
    assert log.told() == [f"3 of 6 lines could not be read, the first is {first}:3"]


def test_a_line_without_an_end_is_one_bad_line(tmp_path, monkeypatch):
    """However long: it is never in memory as a whole."""
    monkeypatch.setattr("proxy.lab.logs.file.LONGEST", 500)
    good = BEGIN + " 0.010 0.009 a:1"
    path = tmp_path / "long.log"
    for end in ("\n", ""):
        path.write_text(f"{good}\n{good.ljust(500)[:500]}{'x' * 2000}\n{good}\nbad\n{good.ljust(499)}{end}")
        log = AccessLog([str(path)])
        assert len(list(log.entries())) == 2
        assert (log.lines, log.bad, log.first_bad) == (5, 3, f"{path}:2")


def test_gzip_that_ends_in_the_middle(tmp_path):
    path = tmp_path / "cut"
    lines = "".join(f"{BEGIN} 0.{number:03d} 0.001 a:{number}\n" for number in range(999))
    path.write_bytes(gzip.compress(lines.encode())[:-200])
    log = AccessLog([str(path)])
    number = len(list(log.entries()))
    assert 0 < number < 999
    assert log.told()[0].startswith(f"{path} ends in the middle, behind line ")


def test_what_cannot_be_read(tmp_path):
    path = tmp_path / "strange.log"
    path.write_text("what is \x1b[2Jthis\n" * 3)
    with pytest.raises(
        ValueError, match=r"no line is of a format that is known \(the first: 'what is \\x1b\[2Jthis'\)"
    ):
        list(AccessLog([str(path)]).entries())
    with pytest.raises(ValueError, match="nowhere cannot be read: No such file"):
        list(AccessLog(["nowhere"]).entries())
    path.write_text("")
    assert list(AccessLog([str(path)]).entries()) == []


def test_a_known_format_comes_first(tmp_path):
    path = tmp_path / "own.log"
    path.write_text("1700000000.125;200;a:1;0.5\n" * 3)
    log = AccessLog([str(path)], known=["$msec;$status;$upstream_addr;$upstream_response_time"])
    assert [one.service for one, _ in log.entries()] == [0.5] * 3


def test_no_line_breaks_the_reading(tmp_path):
    """Lines with anything in the place of anything: each is a request or a bad line, and the reading goes on."""
    rng = Random(3)
    ours = json.dumps({"time": 1.5, "remote_addr": "a", "status": 200, "request_time": 0.5, "attempts": ["a:1"]})
    for seed in (BEGIN + " 0.010 0.009, 0.1 : - a:1, b:2 : c 502, 200 : 200", BEGIN + " 0.010 0.009 a:1 0f", ours):
        lines = [seed] * 5
        for _ in range(1500):
            start, end = sorted(rng.randrange(len(seed) + 1) for _ in range(2))
            what = rng.choice(
                ["", "-", '"', "null", "[]", ",", " : ", "1e999", "NaN", "\u0661", "{}", "\\", seed[:end]]
            )
            lines.append(seed[:start] + what + seed[end if rng.random() < 0.5 else start :])
        path = tmp_path / "mutated.log"
        path.write_text("\n".join(lines))
        log = AccessLog([str(path)])
        good = list(log.entries())
        assert len(good) + log.bad == log.lines and len(good) >= 5 and log.bad > 100
        for one, _ in good:
            assert 100 <= one.status <= 999 and one.took == one.took and one.service < 1e9
