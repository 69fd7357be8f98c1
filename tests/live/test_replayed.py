"""Access logs of real doors, ours and nginx's, replayed by the laboratory and read for limits."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from configs import plain
from door import backend, fetch, free_port, until
from wires import CleanDoor, Recorder, Request, answer

from proxy import cli
from proxy.lab.logs.logged import Logged, read

REQUESTS, SIX = 40, 6
WORK = 0.02  # seconds
SERVERS = 'servers = ["127.0.0.1:{one}", "127.0.0.1:{two}"]'
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
TIMES = '$remote_addr [$time_local] $msec "$request" $status $request_time $upstream_addr $upstream_response_time'
CONF = """
daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    log_format labelled '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
        '"$http_referer" "$http_user_agent" msec=$msec rt=$request_time urt="$upstream_response_time" '
        'ua="$upstream_addr" us="$upstream_status"';
    log_format json escape=json '{{"msec":"$msec","request":"$request","status":"$status",'
        '"request_time":"$request_time","remote_addr":"$remote_addr","upstream_addr":"$upstream_addr",'
        '"upstream_status":"$upstream_status","upstream_response_time":"$upstream_response_time"}}';
    log_format own '{times}';
    access_log labelled.log labelled; access_log json.log json; access_log own.log own;
    upstream app {{
        server 127.0.0.1:{gone} max_fails=1 fail_timeout=60; server 127.0.0.1:{one}; server 127.0.0.1:{two};
    }}
    proxy_http_version 1.1; proxy_set_header Connection "";
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://app; }} location /own {{ return 200 a; }} }}
}}
"""


class OneByOne:
    """A backend that works on one request at a time."""

    def __init__(self, came: threading.Semaphore) -> None:
        self.place = ThreadPoolExecutor(1)  # and the others wait in its line
        self.came = came

    def __call__(self, request: Request) -> bytes:
        self.came.release()
        self.place.submit(time.sleep, WORK).result()  # this is the work: nobody waits for luck
        return answer(b"done")


@contextlib.contextmanager
def backends() -> Iterator[dict[str, Any]]:
    """Two of them: their ports, and as `came` what counts the requests that come to them."""
    came = threading.Semaphore(0)
    with backend(Recorder(OneByOne(came))) as one, backend(Recorder(OneByOne(came))) as two:
        yield {"one": one, "two": two, "came": came}


def ask(port: int, came: threading.Semaphore) -> None:
    """REQUESTS requests, SIX at a time; the first of them one after the other, so that their order is known."""
    with ThreadPoolExecutor(SIX) as crowd:
        asked = []
        for number in range(REQUESTS):
            asked.append(crowd.submit(fetch, port, f"/{number}"))
            assert number >= SIX or came.acquire(timeout=10.0)
        assert {one.result().status for one in asked} == {200}


def told(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What a study says as JSON."""
    assert cli.main(["lab", *map(str, words), "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def looked_at(log: Path, lines: int = REQUESTS) -> Logged:
    """A log that is whole, read; what all logs of these requests show."""
    until(lambda: log.exists() and log.read_text().count("\n") >= lines, 10.0, f"{lines} lines in {log}")
    logged = read(str(log))
    assert len(logged) == REQUESTS and logged.log.bad == 0
    assert min(logged.taken) >= WORK - 0.002 and sum(logged.statuses) == 200 * REQUESTS
    assert 1 <= logged.most <= SIX
    return logged


@pytest.mark.parametrize("form", ["json", "combined"])
def test_our_own_log(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    sections = f'[log]\naccess = "access.log"\nformat = "{form}"'
    with backends() as ports, CleanDoor(plain(sections, upstream=SERVERS), one=ports["one"], two=ports["two"]) as door:
        ask(door.port, ports["came"])
        log = door.folder / "access.log"
        logged = looked_at(log)
        assert sorted(logged.addresses) == sorted(f"127.0.0.1:{port}" for port in (ports["one"], ports["two"]))
        found = told(capsys, "replay", log, "-c", door.path, "--concurrency", 1)
        assert found["log"]["requests"] == REQUESTS and not found["strategies"]["least_conn"]["failed"]
        assert found["as_logged"]["latency_ms"]["p50"] > 1000 * WORK
        limits = told(capsys, "limits", log, "--rate", "1r/s")
        assert limits["keys"] == 1 and REQUESTS - SIX <= limits["burst"] < REQUESTS
        if form == "json":
            looks_right_without_waiting(logged)


def looks_right_without_waiting(logged: Logged) -> None:
    """Waiting is taken out: they work on one request at a time, for WORK seconds and what a busy machine adds."""
    waited = sum(logged.taken)
    logged.unqueue(1)
    assert sum(logged.times) < 0.7 * waited
    ordered = sorted(logged.times)
    assert WORK - 0.004 <= ordered[REQUESTS // 2] < 2.5 * WORK


@pytest.mark.debian
def test_nginx_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, gone = free_port(), free_port()
    with backends() as ports:
        conf = tmp_path / "nginx.conf"
        conf.write_text(CONF.format(port=port, gone=gone, times=TIMES, one=ports["one"], two=ports["two"]))
        command = [NGINX, "-p", f"{tmp_path}/", "-c", str(conf)]
        with open(tmp_path / "output.txt", "wb") as output:
            nginx = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            until(lambda: fetch(port, "/own").status == 200, 10.0, "nginx")
            ask(port, ports["came"])
        finally:
            nginx.send_signal(signal.SIGQUIT)
            nginx.wait(10.0)
        for name in ("labelled", "json"):
            logged = looked_at(tmp_path / f"{name}.log", REQUESTS + 1)
            assert logged.skipped >= 1  # /own, which nginx answered itself
            assert [outage.address for outage in logged.outages()] == [f"127.0.0.1:{gone}"]
            looks_right_without_waiting(logged)
        # A format of one's own is said, or known from the nginx.conf.
        words = ("replay", tmp_path / "own.log", "--strategy", "round_robin,least_conn")
        for more in (("--format", TIMES), ("-c", conf, "--concurrency", "1")):
            found = told(capsys, *words, *more)
            assert found["log"]["requests"] == REQUESTS and found["log"]["formats"] == [TIMES]
            assert found["as_logged"]["retries"] >= 1 and not found["strategies"]["least_conn"]["failed"]
            shares = [one["share"] for one in found["strategies"]["round_robin"]["backends"]]
            assert len(shares) == 3 and min(shares) == 0.0  # the one that is gone is gone in the replay, too
