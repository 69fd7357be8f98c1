"""Certificates that frontgate orders itself, from a real authority."""

from __future__ import annotations

import contextlib
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from authority import MISSING, NAMES, PEBBLE, Pebble
from door import Door, free_port, until

pytestmark = [
    pytest.mark.debian,
    pytest.mark.timeout(120),
    pytest.mark.skipif(PEBBLE is None or NAMES is None, reason=MISSING),
]

CONFIG = """
workers = 2
[acme]
email = "me@example.com"
agree = true
directory = "{directory}"
trusted_ca = "{ca}"
folder = "{folder}/acme"
{more}
[listen.web]
address = "127.0.0.1:{tls}"
tls = true
[listen.plain]
address = "127.0.0.1:{port}"
redirect = "https"
[site.one]
names = ["one.example.com", "two.example.com"]
certificate = "acme"
[[site.one.route]]
path = "/"
reply = { body = "here" }
"""


@contextlib.contextmanager
def served(more="", config=CONFIG, http=None, secure=None, **pebble):
    """A door and its authority; `http` and `secure` are ports where the authority looks, if not at the door's."""
    tls = free_port()
    door = Door(config, wait=False, tls=tls, directory="", ca="", more="")
    authority = Pebble(door.port if http is None else http, tls if secure is None else secure, **pebble)
    door.words |= {"directory": authority.directory, "ca": authority.ca, "more": more}
    door.write(config)
    door.tls, door.wait = tls, True
    with authority, door:
        yield door, authority


def shown(door, name="one.example.com"):
    """The certificate that a client is shown (DER); b"" when there is none."""
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", door.tls), 10) as plain:
        try:
            with lax.wrap_socket(plain, server_hostname=name) as wire:
                return wire.getpeercert(True)
        except ssl.SSLError:
            return b""


def believed(door, authority, name="one.example.com"):
    """What a client that believes this authority alone is answered; False when it believes nothing."""
    trusted = ssl.create_default_context(cadata=authority.root())
    try:
        with (
            socket.create_connection(("127.0.0.1", door.tls), 10) as plain,
            trusted.wrap_socket(plain, server_hostname=name) as wire,
        ):
            wire.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while more := wire.recv(65536):
                answer += more
            return answer
    except ssl.SSLError:
        return False


def settled(door, authority):
    """Whether clients believe both workers; which of them has a connection, the kernel says."""
    return all(believed(door, authority) for _ in range(8))


def command(door, *words):
    """The command `frontgate certificates`."""
    found = door.command("certificates", *words)
    return found.stdout + found.stderr


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_a_site_gets_one_certificate_for_all_its_names(kind):
    with served(f'challenges = ["{kind}"]') as (door, authority):
        until(lambda: settled(door, authority), 30, "a certificate")
        assert believed(door, authority, "two.example.com").endswith(b"here")
        files = [path for path in Path(door.folder, "acme").rglob("*") if path.is_file()]
        assert files
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files} == {0}
        assert not [path for path in files if "challenges" in path.parts]
        listed = command(door)
        assert "one.example.com, two.example.com" in listed and "to be renewed" in listed
        [row] = until(lambda: [one for one in door.status()["certificates"] if one["ends"]])
        assert row["site"] == "one" and row["ordered"]
        assert b"frontgate_certificate_expiry_timestamp_seconds{" in door.get_admin("/metrics").body


def test_the_other_challenge_has_its_turn():
    with served('challenges = ["http-01", "tls-alpn-01"]', http=free_port()) as (door, authority):
        until(lambda: settled(door, authority), 30, "a certificate")
        assert '"kind": "tls-alpn-01"' in next(Path(door.folder, "acme/plans").iterdir()).read_text()


def test_what_is_shown_until_then():
    nobody = f"https://localhost:{free_port()}/dir"
    config = CONFIG.replace("{directory}", nobody)
    with served(config=config) as (door, authority):
        until(lambda: all(shown(door) for _ in range(8)), 10, "a placeholder")
        assert not believed(door, authority)
        told = until(lambda: door.stderr if "next" in door.stderr else "")
        assert "it cannot be reached; the next attempt is in 1 min" in told
        assert "1 failed, next attempt" in command(door)
    with served('until_first = "refuse"', config=config) as (door, authority):
        until(lambda: "next attempt" in door.stderr)
        assert not shown(door)


@pytest.mark.built
def test_a_renewal_under_load_fails_no_request():
    with served() as (door, authority):
        until(lambda: settled(door, authority), 30, "a certificate")
        before, failures, done, over = shown(door), [], [], threading.Event()

        def load():
            trusted = ssl.create_default_context(cadata=root)
            while not over.is_set():
                try:
                    with (
                        socket.create_connection(("127.0.0.1", door.tls), 10) as plain,
                        trusted.wrap_socket(plain, server_hostname="one.example.com") as wire,
                    ):
                        for _ in range(20):
                            wire.sendall(b"GET / HTTP/1.1\r\nHost: one.example.com\r\n\r\n")
                            answer = b""
                            while not answer.endswith(b"here"):
                                more = wire.recv(65536)
                                assert more
                                answer += more
                            done.append(1)
                except (OSError, AssertionError) as error:
                    failures.append(error)

        root = authority.root()
        crowd = [threading.Thread(target=load) for _ in range(4)]
        for one in crowd:
            one.start()
        try:
            assert "is asked for" in command(door, "--renew", "one")
            until(lambda: shown(door) != before, 30, "another certificate")
            many = len(done)
            until(lambda: len(done) > many + 100)
        finally:
            over.set()
            for one in crowd:
                one.join()
        assert not failures
        assert believed(door, authority)


def test_an_authority_that_is_away_at_renewal_does_no_harm():
    with served() as (door, authority):
        until(lambda: settled(door, authority), 30, "a certificate")
        before, root = shown(door), authority.root()
        authority.stop()
        command(door, "--renew", "one")
        until(lambda: "no certificate for site one" in door.stderr, 30)
        assert shown(door) == before and root
        authority.start()  # which has forgotten our account
        command(door, "--renew", "one")
        until(lambda: settled(door, authority), 30, "another certificate")


def test_names_that_are_not_proven_get_nothing():
    with served(http=free_port(), secure=free_port()) as (door, authority):
        told = until(lambda: door.stderr if "next attempt" in door.stderr else "", 40)
        assert "was not proven by http-01" in told and "was not proven by tls-alpn-01" in told
        assert not believed(door, authority)
        leftovers = [path for path in Path(door.folder, "acme/challenges").rglob("*") if path.is_file()]
        assert not leftovers


def test_an_account_is_bound_to_another():
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    wanted = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": key}}
    with served(f'eab = {{ kid = "kid-1", key = "{key}" }}', **wanted) as (door, authority):
        until(lambda: settled(door, authority), 30, "a certificate")
    with served(**wanted) as (door, authority):
        until(lambda: "write [acme.eab] with kid and key" in door.stderr, 30)


def test_two_hosts_that_share_a_folder_order_once_and_answer_for_each_other():
    with served('challenges = ["http-01"]') as (door, authority):
        until(lambda: settled(door, authority), 30, "a certificate")
        more = 'challenges = ["http-01"]'
        folder = CONFIG.replace('"{folder}/acme"', f'"{door.folder}/acme"')
        words = {"directory": authority.directory, "ca": authority.ca, "more": more}
        other = Door(folder.replace("{more}", more), tls=free_port(), **words)
        other.tls = other.words["tls"]
        with other:
            until(lambda: believed(other, authority), 10, "the same certificate")
            before = shown(door)
            assert shown(other) == before
            command(other, "--renew", "one")  # whoever is first orders, and the authority looks at the first door
            until(lambda: shown(door) == shown(other) != before, 40, "another certificate on both")
            assert authority.log().count("Issued certificate serial") == 2
