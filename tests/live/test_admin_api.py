"""The API of the admin door with real workers behind it: what it shows, what it does, and whom it lets in."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import subprocess
import threading
import time

import httpx
import pytest
import trustme
from admin_line import backend_path, change, explained, listening, read, speak, stand
from configs import plain
from door import Door, backend, free_port, head_of, kill, saying, until

TWO = "servers = [{servers}]"


def servers(*ports: int) -> str:
    return ", ".join(f'"127.0.0.1:{port}"' for port in ports)


def bodies(door: Door, number: int = 12) -> list[bytes]:
    return [door.get().body for _ in range(number)]


# --- what it does -----------------------------------------------------------------------------------------------------


@pytest.mark.built
def test_weights_hold_until_the_next_reload_and_for_workers_that_are_born_later():
    with (
        backend(saying(b"one")) as one,
        backend(saying(b"two")) as two,
        Door(plain(upstream=TWO), servers=servers(one, two)) as door,
    ):
        place = backend_path("app", f"127.0.0.1:{one}")
        changed = change(door, f"{place}/weight", {"weight": 5})
        assert changed["holds"].startswith("until the next reload") and changed["now"]["weight"] == 5
        until(lambda: bodies(door).count(b"one") == 10, what="five of six requests at the first")
        old = door.workers()
        kill(old[0])
        until(lambda: door.workers() not in ([], old), what="a new worker")
        until(lambda: bodies(door).count(b"one") == 10, what="the same at the new worker")
        door.reload()
        until(lambda: bodies(door).count(b"one") == 6, what="the configured weights")
        assert stand(door, "app", f"127.0.0.1:{one}")["weight"] == 1
        change(door, f"{place}/weight", {"weight": 2})
        until(lambda: bodies(door).count(b"one") == 8, what="two of three")
        change(door, f"{place}/weight", {"weight": None})
        until(lambda: bodies(door).count(b"one") == 6, what="the configured weights again")


@pytest.mark.built
def test_weights_move_the_keys_of_a_hash():
    upstream = f'balance = "hash"\nhash = "$request_uri"\n{TWO}'
    with (
        backend(saying(b"one")) as one,
        backend(saying(b"two")) as two,
        Door(plain(upstream=upstream), servers=servers(one, two)) as door,
    ):

        def share() -> int:
            return [door.get(f"/{number}").body for number in range(60)].count(b"one")

        assert 15 < share() < 45
        change(door, f"{backend_path('app', f'127.0.0.1:{one}')}/weight", {"weight": 1000})
        until(lambda: share() >= 59, what="nearly all keys at the heavy one")


@pytest.mark.built
def test_disabled_and_drained_backends_get_nothing_and_reloads_leave_them_so():
    with (
        backend(saying(b"one")) as one,
        backend(saying(b"two")) as two,
        Door(plain(workers=2, upstream=TWO), servers=servers(one, two)) as door,
    ):
        first, second = (backend_path("app", f"127.0.0.1:{port}") for port in (one, two))
        assert change(door, f"{first}/disable")["now"]["state"] == "disabled"
        until(lambda: set(bodies(door)) == {b"two"}, what="only the other one")
        door.reload()
        assert set(bodies(door)) == {b"two"} and stand(door, "app", f"127.0.0.1:{one}")["disabled"]
        change(door, f"{first}/enable")
        change(door, f"{second}/drain")
        until(lambda: set(bodies(door)) == {b"one"}, what="only the first one")
        change(door, f"{second}/undrain")
        until(lambda: set(bodies(door)) == {b"one", b"two"}, what="both")


@pytest.mark.built
def test_a_pardon_closes_a_breaker_and_ends_a_rest():
    for more in ("breaker = { failures = 2, recovery = '10m' }", "max_fails = 2\nfail_timeout = '10m'"):
        healthy = threading.Event()

        def answer(wire: socket.socket, healthy: threading.Event = healthy) -> None:
            while head_of(wire):
                if not healthy.is_set():
                    return
                wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")

        with (
            backend(answer) as one,
            backend(saying(b"two")) as two,
            Door(plain(workers=2, upstream=f"{TWO}\n{more}"), servers=servers(one, two)) as door,
        ):
            address = f"127.0.0.1:{one}"

            def out(door: Door = door, address: str = address) -> bool:
                bodies(door, 4)
                return stand(door, "app", address)["state"] == "down"

            until(out, what="the first backend to be left alone")
            assert stand(door, "app", address)["why"]
            healthy.set()
            changed = change(door, f"{backend_path('app', address)}/breaker/reset")
            assert changed["holds"] == "until it fails again"
            until(lambda: b"one" in bodies(door), what="the first backend again")
            until(lambda: stand(door, "app", address)["state"] == "up", what="the state that it has")  # noqa: B023


def test_the_configuration_is_read_again_and_the_outcome_is_told():
    with backend(saying(b"one")) as one, Door(plain(upstream=TWO), servers=servers(one)) as door:
        before = read(door, "state")["reload"]["at"]
        door.path.write_text(door.path.read_text().replace("workers = 1", "workers = 2"))
        with listening(door) as heard:
            answer = speak(door, "POST", "/api/v1/reload", {})
            assert answer.status == 202 and answer.json["asked"]
            until(lambda: any(name == "reload" for name, _ in heard), what="the event of the reload")
        assert next(told for name, told in heard if name == "reload")["good"] is True
        until(lambda: len(read(door, "workers")["workers"]) == 2)
        assert read(door, "state")["reload"]["at"] > before
        door.path.write_text(door.path.read_text().replace("workers = 2", "workers = 'many'"))
        speak(door, "POST", "/api/v1/reload", {})
        until(lambda: read(door, "state")["reload"]["good"] is False)
        assert door.get().body == b"one"


# --- what it shows ----------------------------------------------------------------------------------------------------


@pytest.mark.built
def test_live_exchanges_are_shown_while_they_go_on():
    go = threading.Event()

    def answer(wire: socket.socket) -> None:
        while head_of(wire):
            go.wait(20)
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with backend(answer) as one, Door(plain(workers=2, upstream=TWO), servers=servers(one)) as door:
        assert read(door, "exchanges/live") == {"exchanges": [], "complete": True}
        connections = [door.connection() for _ in range(3)]
        for number, connection in enumerate(connections):
            connection.request("GET", f"/{number}", headers={"X-Request-ID": f"live-{number}"})
        found = until(lambda: len(read(door, "exchanges/live")["exchanges"]) == 3 and read(door, "exchanges/live"))
        assert sorted(one["target"] for one in found["exchanges"]) == ["/0", "/1", "/2"] and found["complete"]
        assert {one["state"] for one in found["exchanges"]} == {"at backend"}
        assert {one["backend"] for one in found["exchanges"]} == {f"127.0.0.1:{one}"}
        assert {one["request_id"] for one in found["exchanges"]} == {"live-0", "live-1", "live-2"}
        assert read(door, "exchanges/live?most=1")["complete"] is False
        go.set()
        for connection in connections:
            assert connection.getresponse().read() == b""
        until(lambda: read(door, "exchanges/live")["exchanges"] == [])


@pytest.mark.built
def test_who_is_limited_is_named():
    sections = '[limit.few]\nrate = "1r/m"\n[limit.keyed]\nkey = "header:X-Key"\nrate = "1r/m"'
    route = "".join(
        f'[[site.s.route]]\npath = "/{name}"\nreply = {{}}\nlimits = ["{name}"]\n' for name in ("few", "keyed")
    )
    with (
        backend(saying(b"one")) as one,
        Door(plain(sections, workers=2, upstream=TWO, route=route), servers=servers(one)) as door,
    ):
        assert [door.get("/few").status for _ in range(5)] == [200, 429, 429, 429, 429]
        for key in ("loud", "loud", "loud", "quiet", "quiet"):
            connection = door.connection()
            connection.request("GET", "/keyed", headers={"X-Key": key})
            connection.getresponse().read()

        def limits() -> dict[str, list[tuple[str, int]]]:
            return {
                limit["name"]: [(one["key"], one["rejected"]) for one in limit["keys"]]
                for limit in read(door, "limits")["limits"]
            }

        wanted = {"few": [("127.0.0.1", 4)], "keyed": [("loud", 2), ("quiet", 1)]}
        until(lambda: limits() == wanted, what="who is limited")
        assert abs(read(door, "limits")["limits"][0]["keys"][0]["last"] - time.time()) < 60


@pytest.mark.built
def test_the_slowest_are_kept_where_there_is_a_door():
    def answer(wire: socket.socket) -> None:
        while raw := head_of(wire):
            time.sleep(0.3 if b"/slow" in raw else 0)  # the backend's work
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with backend(answer) as one, Door(plain(upstream=TWO), servers=servers(one)) as door:
        for path in ("/", "/slow", "/"):
            assert door.get(path).status == 200
        found = until(
            lambda: len(read(door, "exchanges/slowest")["exchanges"]) == 3 and read(door, "exchanges/slowest")
        )
        assert found["exchanges"][0]["target"] == "/slow" and found["exchanges"][0]["seconds"] > 0.3


def test_the_configuration_names_the_line_of_each_value_and_hides_secrets():
    sections = '[redis]\nurl = "redis://user:hunter2@127.0.0.1:1/0"\nsecret = "a-very-long-secret"'
    route = (
        '[[site.s.route]]\npath = "/x"\nupstream = "app"\nrequest_headers = { set = { Authorization = "Basic aGk=" } }'
    )
    with (
        backend(saying(b"one")) as one,
        Door(plain(sections, upstream=TWO, route=route), servers=servers(one)) as door,
    ):
        answer = speak(door, "GET", "/api/v1/config")
        for secret in (b"hunter2", b"a-very-long", b"aGk="):
            assert secret not in answer.body
        values = {value["key"]: value for value in answer.json["values"]}
        lines = door.path.read_text().splitlines()
        assert answer.json["file"] == str(door.path)
        for key, value in (("upstream.app.servers.0.address", f"127.0.0.1:{one}"), ("workers", 1)):
            found = values[key]
            assert found["value"] == value and found["said"] and str(value) in lines[found["line"] - 1]
        assert values["upstream.app.balance"] == {
            "key": "upstream.app.balance",
            "value": "round_robin",
            "file": None,
            "line": None,
            "said": False,
            "secret": False,
        }
        assert values["redis.secret"]["secret"]


def test_events_come_each_second_and_when_something_happens():
    dead = free_port()
    with (
        backend(saying(b"one")) as one,
        Door(plain(upstream=TWO), servers=servers(one)) as door,
        listening(door) as heard,
    ):
        until(lambda: [name for name, _ in heard].count("tick") >= 2, what="two ticks")
        assert heard[0][0] == "hello" and heard[0][1]["state"]["workers"] == 1
        assert {"sample", "state", "sites", "upstreams", "limits", "workers"} == set(
            next(told for name, told in heard if name == "tick")
        )
        change(door, f"{backend_path('app', f'127.0.0.1:{one}')}/drain")
        until(lambda: any(name == "change" for name, _ in heard), what="the change")
        door.reload(plain(upstream=TWO).replace("{servers}", servers(dead)))
        assert door.get().status == 502
        errors = until(lambda: [told for name, told in heard if name == "errors"], what="the error")
        assert errors[0]["errors"][0]["fault"] == "connect_refused"


def test_traffic_is_seen_in_rates_and_percentiles():
    with backend(saying(b"one")) as one, Door(plain(workers=2, upstream=TWO), servers=servers(one)) as door:

        def measured() -> bool:
            bodies(door, 5)
            backend = stand(door, "app", f"127.0.0.1:{one}")
            site = read(door, "sites")["sites"][0]
            return bool(backend["rate"] and backend["share"] == 1.0 and backend["latency"]["p99"] and site["rate"])

        until(measured, what="rates and percentiles")
        site = read(door, "sites")["sites"][0]
        assert site["latency"]["p50"] > 0 and site["routes"][0]["to"] == "upstream app"
        samples = until(lambda: read(door, "history?seconds=600")["samples"])
        assert any(sample["requests"] > 0 for sample in samples)


# --- whom it lets in --------------------------------------------------------------------------------------------------

TOKENS = '[admin]\nlisten = "{listen}"\ntoken = "full"\nread_token = "read"\n'
FULL, READ = "f" * 32, "r" * 32


@contextlib.contextmanager
def guarded(config: str, listen: str = "127.0.0.1:{admin}"):
    """A door with tokens; its own `up` asks what is open to everybody."""
    with backend(saying(b"one")) as one:
        door = Door(plain(config.replace("{listen}", listen), upstream=TWO), servers=servers(one))
        (door.folder / "full").write_text(FULL + "\n")
        (door.folder / "read").write_text(READ)
        with door:
            yield door, one


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_tokens_let_in_and_their_files_can_be_changed_by_a_reload():
    with guarded(TOKENS, "0.0.0.0:{admin}") as (door, one):
        drain = f"/api/v1/{backend_path('app', f'127.0.0.1:{one}')}/drain"

        def statuses(token: str) -> list[int]:
            asked = [
                ("GET", "/api/v1/state", None),
                ("GET", "/metrics", None),
                ("POST", drain, {}),
                ("PUT", "/drain", None),
            ]
            return [speak(door, *one, headers=bearer(token)).status for one in asked]

        assert statuses(FULL) == [200, 200, 200, 404]
        assert statuses(READ) == [200, 200, 403, 403]
        assert statuses("x" * 32) == [401, 401, 401, 401]
        assert speak(door, "GET", "/api/v1/state").status == 401 and speak(door, "GET", "/healthz").status == 200
        (door.folder / "full").write_text("another-long-token")
        log = door.stderr.count("is in force")
        speak(door, "POST", "/api/v1/reload", {}, bearer(FULL))
        until(lambda: door.stderr.count("is in force") > log, what="the reload")
        until(lambda: statuses("another-long-token")[0] == 200)
        assert statuses(FULL)[0] == 401


def test_a_session_is_bought_with_a_token():
    with guarded(TOKENS) as (door, _):
        assert speak(door, "POST", "/api/session", {"token": "no"}).status == 401
        answer = speak(door, "POST", "/api/session", {"token": FULL})
        cookie = answer.headers["Set-Cookie"]
        assert answer.json["rights"] == "write" and "HttpOnly; SameSite=Strict" in cookie and FULL not in cookie
        held = {"Cookie": cookie.partition(";")[0]}
        assert speak(door, "GET", "/api/v1/state", headers=held).status == 200
        assert speak(door, "POST", "/api/v1/reload", {}, {**held, "Origin": "http://evil.example"}).status == 403
        assert speak(door, "POST", "/api/v1/reload", {}, {**held, "Sec-Fetch-Site": "same-site"}).status == 403
        assert speak(door, "DELETE", "/api/session", {}, held).json["rights"] == "none"
        assert speak(door, "GET", "/api/v1/state", headers=held).status == 401


@pytest.mark.parametrize(
    ("admin", "sentence"),
    [
        ('listen = "0.0.0.0:1"', "can be reached from other hosts: add token = FILE"),
        ('listen = "[::]:1"\nread_token = "full"', "with read_token alone nobody could change anything"),
        ('listen = "127.0.0.1:1"\ncertificate = "tls.pem"', "TLS takes both certificate and key"),
        ('listen = "127.0.0.1:1"\nclient_ca = "tls.pem"', "client_ca asks for certificates within TLS"),
    ],
)
def test_what_would_let_everybody_in_is_refused(admin, sentence):
    door = Door(plain(f"[admin]\n{admin}"), backend=1, wait=False)
    checked = door.command("check")
    assert checked.returncode == 1 and sentence in checked.stderr and "frontgate.toml:" in checked.stderr
    assert door.command("serve").returncode == 1


@pytest.mark.parametrize(("text", "sentence"), [(None, "cannot be read"), ("short", "fewer than 16 characters")])
def test_a_token_that_is_none_is_refused(text, sentence):
    door = Door(plain('[admin]\nlisten = "127.0.0.1:{admin}"\ntoken = "secret"'), backend=1, wait=False)
    if text is not None:
        (door.folder / "secret").write_text(text)
    done = door.command("serve")
    assert done.returncode == 1 and sentence in done.stderr


def test_certificates_let_in_instead_of_tokens():
    admin = '[admin]\nlisten = "127.0.0.1:{admin}"\ncertificate = "tls.pem"\nkey = "tls.key"\nclient_ca = "ca.pem"\n'
    ca = trustme.CA()
    ours, theirs = ca.issue_cert("localhost"), ca.issue_cert("operator@example.com")
    with backend(saying(b"one")) as one:
        door = Door(plain(admin, upstream=TWO), servers=servers(one), wait=False)
        ca.cert_pem.write_to_path(door.folder / "ca.pem")
        ours.cert_chain_pems[0].write_to_path(door.folder / "tls.pem")
        ours.private_key_pem.write_to_path(door.folder / "tls.key")
        with door:
            trust = ssl.create_default_context(cafile=str(door.folder / "ca.pem"))
            trust.check_hostname = False

            def asked(known: bool) -> int:
                if known:
                    theirs.configure_cert(trust)
                line = http.client.HTTPSConnection("127.0.0.1", door.admin, timeout=10, context=trust)
                with contextlib.closing(line):
                    line.request("GET", "/api/v1/state")
                    return line.getresponse().status

            def stranger() -> bool:
                with contextlib.suppress(ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected):
                    return asked(False) < 0
                return True

            until(stranger, what="the door to want a certificate")
            assert asked(True) == 200


def test_commands_show_the_certificate_that_the_door_wants(monkeypatch):
    admin = '[admin]\nlisten = "127.0.0.1:{admin}"\ncertificate = "tls.pem"\nkey = "tls.key"\nclient_ca = "ca.pem"\n'
    ca = trustme.CA()
    ours, operators, strangers = ca.issue_cert("localhost"), ca.issue_cert("a@example.com"), trustme.CA()
    with backend(saying(b"one")) as one:
        door = Door(plain(admin, upstream=TWO), servers=servers(one), wait=False)
        files = {name: str(door.folder / name) for name in ("operator.pem", "operator.key", "stranger.pem")}
        ca.cert_pem.write_to_path(door.folder / "ca.pem")
        ours.cert_chain_pems[0].write_to_path(door.folder / "tls.pem")
        ours.private_key_pem.write_to_path(door.folder / "tls.key")
        operators.cert_chain_pems[0].write_to_path(files["operator.pem"])
        operators.private_key_pem.write_to_path(files["operator.key"])
        strangers.issue_cert("b@example.com").private_key_and_cert_chain_pem.write_to_path(files["stranger.pem"])
        shown = ("--cert", files["operator.pem"], "--key", files["operator.key"])
        with door:
            until(lambda: door.command("status", *shown).returncode == 0, 20.0, "the door's answer")
            assert '"workers"' in door.command("status", "--json", *shown).stdout
            drained = door.command("drain", *shown, "app", f"127.0.0.1:{one}")
            assert drained.returncode == 0, drained.stderr
            assert "draining" in door.command("top", "--once", *shown).stdout
            none = door.command("status")
            assert none.returncode == 1 and "give yours with --cert FILE and --key FILE" in none.stderr
            assert door.command("status", "--cert", files["stranger.pem"]).returncode == 1
            half = door.command("status", "--cert", files["operator.pem"])
            assert half.returncode == 1 and "cannot be used" in half.stderr
            monkeypatch.setenv("FRONTGATE_ADMIN_CERT", files["operator.pem"])
            monkeypatch.setenv("FRONTGATE_ADMIN_KEY", files["operator.key"])
            assert door.command("explain").returncode == 0


def test_a_keeper_that_dies_is_replaced_and_remembers_what_was_done():
    with (
        backend(saying(b"one")) as one,
        backend(saying(b"two")) as two,
        Door(plain(upstream=TWO), servers=servers(one, two)) as door,
    ):
        change(door, f"{backend_path('app', f'127.0.0.1:{one}')}/disable")
        keeper = next(pid for pid in door.children() if pid not in door.workers())
        subprocess.run(["kill", "-9", str(keeper)], check=True)
        until(lambda: stand(door, "app", f"127.0.0.1:{one}")["state"] == "disabled", what="the new keeper")
        assert set(bodies(door)) == {b"two"}


@pytest.mark.built
def test_streams_of_http2_are_live_and_explained_too():
    config = plain("[explain]\nkeep = 5", upstream=TWO).replace('{port}"\n', '{port}"\nhttp2 = true\n', 1)
    go = threading.Event()

    def answer(wire: socket.socket) -> None:
        while head_of(wire):
            go.wait(20)
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with backend(answer) as one, Door(config, servers=servers(one)) as door:
        with httpx.Client(http1=False, http2=True, timeout=20) as client:
            url, heads = f"http://127.0.0.1:{door.port}/stream", {"X-Request-ID": "on-a-stream"}
            asking = threading.Thread(target=client.get, args=(url,), kwargs={"headers": heads}, daemon=True)
            asking.start()
            found = until(lambda: read(door, "exchanges/live")["exchanges"])
            assert (found[0]["target"], found[0]["protocol"]) == ("/stream", "HTTP/2.0")
            go.set()
            asking.join(20)
        found = until(lambda: explained(door, "on-a-stream"))
        assert found["protocol"] == "HTTP/2.0" and found["picks"][0]["why"] == "it is the only backend"
