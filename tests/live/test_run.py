"""`frontgate run` as it is meant to be used: workers that are replaced while they serve, and what becomes of those that
die, grow, or do not come up."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from door import Door, alive, free_port, kill, until
from running import Load, Run, app_text
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from proxy.apps.control import ask_to_restart

pytestmark = pytest.mark.timeout(180)  # many programs are started, one after the other

FAILS = "await send({'type': 'lifespan.startup.failed', 'message': 'no database'}); return"
NO_RETRIES = """
workers = 2
runtime = "r"
[listen.web]
address = "127.0.0.1:{port}"
[app.main]
app = "main:app"
server = "{server}"
workers = {number}
[upstream.main.retry]
attempts = 1
[site.all]
default = true
[[site.all.route]]
path = "/"
upstream = "main"
"""


def served(**words: object) -> Door:
    """A door with an app and no retries."""
    door = Door(NO_RETRIES, **{"server": "uvicorn", "number": 2, **words})
    (door.folder / "main.py").write_text(app_text())
    return door


@pytest.mark.timeout(240)
def test_twenty_rolls_under_load_lose_no_request():
    with served() as door:
        with Load(door.port) as load:
            for _ in range(20):
                assert ask_to_restart(str(door.folder / "r" / "main"), 60.0) == "", door.stderr
        assert not load.failed, (load.failed[:5], load.done, door.stderr)
        assert load.done > 500
        assert len(load.seen) > 20
        assert "main.0 | over" in door.stderr  # its lifespan's end was waited for


@pytest.mark.timeout(180)
@pytest.mark.parametrize("server", ["gunicorn", "asgi"])
def test_gunicorns_are_rolled_as_well(server):
    with served(server=server, number=1) as door:
        with Load(door.port, clients=2) as load:
            for _ in range(3):
                rolled = door.command("restart")
                assert rolled.returncode == 0, rolled.stderr + door.stderr
        assert not load.failed, (load.failed[:5], load.done, door.stderr)
        assert load.done > 50


def test_code_that_does_not_come_up_is_rolled_back():
    with Run("--workers", "2") as run:
        before = run.pids()
        assert len(before) == 2
        for broken in ("import nothing_of_this_name\n", app_text("two", FAILS)):
            run.write(broken)
            with Load(run.port, clients=2) as load:
                rolled = run.restart()
            assert rolled.returncode == 4 and "those of before serve on" in rolled.stderr
            assert not load.failed
            assert {run.get().json["pid"] for _ in range(20)} <= set(before.values())
        assert "the new code does not come up" in run.stderr and "2 workers of before stay in service" in run.stderr
        run.write(app_text("three"))
        assert run.restart().returncode == 0
        assert {run.get().json["word"] for _ in range(10)} == {"three"}


def test_sighup_starts_all_workers_anew():
    with Run("--workers", "2") as run:
        before = set(run.pids().values())
        run.write(app_text("two"))
        with Load(run.port, clients=2) as load:
            run.tell(signal.SIGHUP)
            until(lambda: "all workers are new" in run.stderr, 30.0)
        assert not load.failed
        assert {run.get().json["word"] for _ in range(10)} == {"two"}
        assert not any(alive(pid) for pid in before)


def test_a_worker_that_is_killed_is_replaced():
    with Run("--workers", "2") as run:
        victim = run.get().json["pid"]
        kill(victim)
        until(lambda: len(run.pids()) == 2 and victim not in run.pids().values(), 20.0)
        assert run.get().status == 200
        assert "was killed by SIGKILL" in run.stderr


@pytest.mark.built
@pytest.mark.parametrize("workers", ["1", "2"])
def test_while_all_workers_are_dead_requests_wait_for_the_next(workers):
    with Run("--workers", workers) as run:
        dead: set[int] = set()
        with Load(run.port, clients=3, methods=("HEAD",)) as load:  # in one write: no answer is cut; and no POST

            def all_new() -> bool:
                pids = set(run.pids().values())
                return len(pids) == int(workers) and load.seen >= pids and not dead & pids

            for _ in range(2):
                until(all_new, 40.0)
                dead.update(victims := set(run.pids().values()))
                for victim in victims:
                    kill(victim)
            until(lambda: all_new() and load.seen - dead, 40.0)
        assert not load.failed, (load.failed[:5], load.done, run.stderr)
        for victim in (victims := run.pids().values()):
            kill(victim)
        until(lambda: not any(map(alive, victims)))
        # By then the door has seen its idle links end: on one that ends just now, a POST might have been heard.
        until(lambda: all(f"(process {victim}) was killed by SIGKILL" in run.stderr for victim in victims))
        assert run.get("/", "POST", b"x").status == 200  # nobody has had it


def test_who_crashes_again_and_again_waits_longer_and_longer():
    with Run("--workers", "1") as run:
        kill(until(lambda: run.get().json["pid"]))
        until(lambda: "it is replaced at once" in run.stderr and run.get().status == 200, 20.0)
        run.write("raise SystemExit(9)\n")
        kill(until(lambda: run.get().json["pid"]))
        until(lambda: len(re.findall(r"the next attempt is in", run.stderr)) >= 3, 40.0)
        pauses = [float(one) for one in re.findall(r"the next attempt is in ([\d.]+) s", run.stderr)]
        assert pauses == sorted(pauses) and pauses[-1] > pauses[0]
        assert run.get().status == 503
        run.write(app_text("mended"))
        until(lambda: run.get().json["word"] == "mended", 40.0)


def test_an_application_whose_startup_fails_is_not_served():
    with Run("--workers", "1", text=app_text(startup=FAILS), wait=False) as run:
        assert run.left() == 3
        assert "no database" in run.stderr and "exit code 3 (its startup failed)" in run.stderr
    with Run("--workers", "2", text="import nothing_of_this_name\n", wait=False) as run:
        assert run.left() == 3
        assert re.search(r"^main\.\d \| ModuleNotFoundError: No module named 'nothing_of_this_name'", run.stderr, re.M)


def test_who_is_not_ready_in_time_is_not_served():
    options = ("--workers", "1", "--ready-within", "1s")
    with Run(*options, text=app_text(startup="await asyncio.sleep(30)"), wait=False) as run:
        assert run.left() == 3
        assert "was not ready within 1 s" in run.stderr


def test_a_path_must_answer_before_requests_come():
    text = app_text().replace('    path = scope["path"]\n', '    path = scope["path"]\n    COUNT = count(path)\n')
    text = (
        text.replace('"status": 200,', '"status": 503 if path == "/ready" and COUNT < 3 else 200,')
        + "\nasked = []\ndef count(path):\n    asked.append(path)\n    return asked.count('/ready')\n"
    )
    with Run("--workers", "1", "--ready", "/ready", text=text) as run:
        assert run.get("/ready").status == 200
    with Run("--workers", "1", "--ready", "/ready", "--ready-within", "2s", text=text.replace("< 3", "< 999"),
             wait=False) as run:  # fmt: skip
        assert run.left() == 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--max-requests", "40", "--max-requests-jitter", "20"), r"has had \d+ requests: it is replaced"),
        (("--max-age", "2s"), r"is \d+ s old: it is replaced"),
    ],
    ids=["requests", "age"],
)
def test_workers_are_replaced_when_it_is_time_and_lose_nothing(options, reason):
    with Run("--workers", "2", *options) as run:
        before = set(run.pids().values())
        with Load(run.port, clients=3) as load:
            until(lambda: len(re.findall(reason, run.stderr)) >= 3, 40.0)
        assert not load.failed, load.failed[:5]
        assert load.seen - before
        assert "killed" not in run.stderr


def test_who_has_grown_is_replaced():
    with Run("--workers", "1", "--max-memory", "150m") as run:
        before = run.get("/grow").json["pid"]
        until(lambda: run.get().json["pid"] != before, 20.0)
        assert re.search(r"has \d+ MB of memory: it is replaced", run.stderr)


def test_a_change_of_a_file_is_noticed():
    pytest.importorskip("watchfiles")
    with Run("--reload") as run:
        assert len(run.pids()) == 1
        run.write(app_text("two"))
        until(lambda: run.get().json["word"] == "two", 30.0)
        assert "main.py has changed" in run.stderr
        run.write("def broken(:\n")
        until(lambda: "the new code does not come up" in run.stderr, 30.0)
        assert run.get().json["word"] == "two"
        run.write(app_text("three"))
        until(lambda: run.get().json["word"] == "three", 30.0)


def test_the_supervisor_may_die_without_the_application():
    with Run("--workers", "2") as run:
        before = run.pids()
        [supervisor] = re.findall(r"(\d+): app main: worker 0 ", run.stderr)
        with Load(run.port, clients=2) as load:
            kill(int(supervisor))
            until(lambda: len(re.findall(r"worker \d \(process \d+\) serves", run.stderr)) >= 4, 20.0)
        assert not load.failed
        assert run.pids() == before
        assert run.get("/say").status == 200
        until(lambda: "| said to standard output" in run.stderr)
        assert run.restart().returncode == 0
        assert not set(run.pids().values()) & set(before.values())


def test_nothing_outlives_the_master():
    with Run("--workers", "2") as run:
        pids = list(run.pids().values())
        kill(run.pid)
        until(lambda: not any(alive(pid) for pid in pids), 30.0)
    with Run("--workers", "2") as run:
        pids = list(run.pids().values())
        run.tell(signal.SIGTERM)
        assert run.left() == 0
        assert not any(alive(pid) for pid in pids)


def test_requests_that_have_begun_are_finished_at_a_quit():
    with Run("--workers", "1") as run:
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(run.get("/slow").status))
        asking.start()
        until(lambda: '"GET /slow' in run.stderr or in_flight(run) == 1)
        run.tell(signal.SIGQUIT)
        assert run.left() == 0
        asking.join(10.0)
        assert answers == [200]


def in_flight(run: Run) -> int:
    """Requests that the app's workers have, as the admin door tells."""
    found = json.loads(status(run))
    return sum(one["in_flight"] for one in found["upstreams"]["main"]["backends"])


def status(run: Run) -> bytes:
    """What /status says on the socket beside the workers."""
    import socket  # noqa: PLC0415

    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(10.0)
        wire.connect(str(run.folder / "r" / "main" / "admin"))
        wire.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        raw = b""
        while more := wire.recv(65536):
            raw += more
    return raw.partition(b"\r\n\r\n")[2]


@pytest.mark.built
def test_one_request_at_a_time():
    with Run("--workers", "2", "--concurrency", "blocking") as run:
        peak = 0
        with Load(run.port, clients=8, path="/busy") as load:
            while load.done < 40:
                peak = max(peak, in_flight(run))
        assert not load.failed
        assert peak == 2 and len(load.seen) == 2


def test_what_the_command_says_reaches_the_application():
    files = ["--env", "T_ONE=1", "--env", "vars.env", "--app-dir", "src", "--factory", "--root-path", "/api"]
    with Run("--workers", "1", *files, app="made:make", wait=False) as run:
        run.process.kill()
        run.process.wait()
    (run.folder / "src").mkdir()
    (run.folder / "src" / "made.py").write_text(app_text() + "\ndef make():\n    return app\n")
    (run.folder / "vars.env").write_text("# a comment\nexport T_TWO='two words'\nT_THREE=3\n")
    run.wait = True
    with run:
        facts = run.get("/api/items").json
        assert facts["env"] == {"T_ONE": "1", "T_TWO": "two words", "T_THREE": "3"}
        assert (facts["root_path"], facts["path"]) == ("/api", "/api/items")
        assert run.get("/items").json["path"] == "/api/items"  # where somebody before us has stripped it
        assert facts["client"][0] == "127.0.0.1" and facts["scheme"] == "http"
        assert os.path.samefile(facts["cwd"], run.folder)
        assert "FRONTGATE_READY" not in facts["env"]


def test_a_gunicorn_conf_is_honoured(tmp_path):
    pytest.importorskip("gunicorn")
    conf = 'workers = 2\nbind = "0.0.0.0:1"\nmax_requests = 30\npidfile = "own.pid"\nraw_env = ["T_CONF=yes"]\n'
    with Run("--server", "gunicorn", wait=False) as run:
        run.process.kill()
        run.process.wait()
    (run.folder / "gunicorn.conf.py").write_text(conf + "def post_fork(server, worker):\n    print('conf was here')\n")
    run.wait = True
    with run:
        assert len(run.pids()) == 2
        assert run.get().json["env"] == {"T_CONF": "yes"}
        assert "| conf was here" in run.stderr
        with Load(run.port, clients=2) as load:
            until(lambda: "requests: it is replaced" in run.stderr, 30.0)
        assert not load.failed and not (run.folder / "own.pid").exists()


def test_the_number_of_workers_changes_at_a_reload():
    with served(number=1) as door:
        for number in (3, 1):
            door.words["number"] = number
            with Load(door.port, clients=2) as load:
                door.reload(NO_RETRIES)
                until(lambda number=number: serving(door) == number, 40.0)
            assert not load.failed, load.failed[:3]
        assert len(door.status()["upstreams"]["main"]["backends"]) <= 2


def serving(door: Door) -> int:
    """Workers of the app that serve, when nobody else is there."""
    workers = door.status()["apps"][0]["workers"]
    return len(workers) if all(one["state"] == "serving" for one in workers) else -1


def test_an_app_that_is_broken_keeps_nobody_else_from_being_served():
    other = NO_RETRIES.replace("[site.all]", '[app.bad]\napp = "bad:app"\nworkers = 1\n[site.all]')
    other += '[[site.all.route]]\npath = "/bad"\nupstream = "bad"\n'
    door = Door(other, server="uvicorn", number=1)
    (door.folder / "main.py").write_text(app_text())
    (door.folder / "bad.py").write_text("raise SystemExit(1)\n")
    with door:
        assert door.get().status == 200 and door.get("/bad").status == 503
        (door.folder / "bad.py").write_text(app_text("good"))
        until(lambda: door.get("/bad").status == 200, 30.0)


def test_two_of_one_name_do_not_meet():
    with Run("--workers", "1") as run:
        port = free_port()
        second = Run("--workers", "1", text=app_text("second"))
        second.options[2], second.options[4] = f"127.0.0.1:{port}", run.options[4]
        second.port = port
        with second:
            assert second.get().json["worker"] == "main-2.0" and run.get().json["worker"] == "main.0"
            both = run.restart()
            assert both.returncode == 0 and "main-2" in both.stdout
        named = Run("--workers", "1", "--name", "main", wait=False)
        named.options[4] = run.options[4]
        with named:
            assert named.left() == 1 and "an app main runs already" in named.stderr
        assert run.get().status == 200


def test_https_with_a_certificate_of_ones_own(tmp_path):
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    port = free_port()
    options = ("--https", f"127.0.0.1:{port}", "--certificate", str(tmp_path / "both.pem"), "--domain", "localhost")
    with Run("--workers", "1", *options) as run:
        assert run.get().status == 301 and run.get().headers["Location"].startswith("https://localhost")
        assert Path(run.folder / "r" / "main").stat().st_mode & 0o777 == 0o700


def test_another_program_takes_over_with_workers_of_its_own():
    with Run("--workers", "1") as run:
        first = run.get().json["pid"]
        with Load(run.port, clients=2) as load:
            run.tell(signal.SIGUSR2)
            until(lambda: run.stderr.count("serving with") == 2, 40.0)
            heir = int(next((run.folder / "r").glob("*.pid")).read_text())
            run.tell(signal.SIGQUIT)
            assert run.left() == 0
            until(lambda: run.get().json["pid"] != first, 20.0)
        try:
            assert not load.failed, load.failed[:3]
            assert not alive(first) and heir != run.pid
            assert run.restart().returncode == 0
        finally:
            os.kill(heir, signal.SIGTERM)
            until(lambda: not alive(heir), 20.0)


def test_a_websocket_is_told_that_its_worker_goes():
    text = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        return await send({"type": "http.response.body", "body": b""})
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "heard"})
"""
    with Run("--workers", "1", "--drain", "1s", text=text) as run, connect(f"ws://127.0.0.1:{run.port}/") as wire:
        wire.send("anybody?")
        assert wire.recv(10) == "heard"
        assert run.restart().returncode == 0
        with pytest.raises(ConnectionClosed) as closed:
            wire.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
