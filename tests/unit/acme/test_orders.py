"""Orders of certificates, at an authority made for tests."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from fake import Fake, problem

from proxy.acme import authority, keys, talk
from proxy.acme.authority import Refusal, ari_name, seconds
from proxy.acme.certified import ask, held, listed
from proxy.acme.orders import Orders, Wanted
from proxy.acme.store import Store
from proxy.config import acme
from proxy.config.acme import Acme
from proxy.config.model import Model

NAMES = ("a.example.com", "b.example.com")
WANTED = Wanted(acme.mark(NAMES), "one", NAMES, ("http-01", "tls-alpn-01"))
HOUR = 3600.0


@pytest.fixture
def fake(tmp_path):
    with Fake(tmp_path) as found:
        yield found


def orders(tmp_path, fake, **more):
    table = Acme(agree=True, directory=fake.directory, folder=str(tmp_path / "acme"), trusted_ca=str(fake.ca), **more)
    found = Orders(table, threading.Event())
    found.store.prepare()
    return found


def request(found, one=WANTED):
    Path(acme.request_file(found.store.folder, one.mark)).touch()


def test_a_certificate_with_its_key_lies_in_one_file_for_its_owner_alone(tmp_path, fake):
    found = orders(tmp_path, fake)
    assert found.look(WANTED)
    path = acme.certificate_file(found.store.folder, WANTED.mark)
    bundle = Path(path).read_bytes()
    assert bundle.count(b"PRIVATE KEY-----") == 2 and b"BEGIN CERTIFICATE" in bundle
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    shown = x509.load_pem_x509_certificate(bundle).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert tuple(shown.value.get_values_for_type(x509.DNSName)) == NAMES
    assert not found.look(WANTED) and len(fake.orders) == 1
    plan = found.plan(WANTED)
    assert 57 * 86400 < plan.at - time.time() < 61 * 86400


def test_the_account_is_made_once(tmp_path, fake):
    found = orders(tmp_path, fake)
    found.look(WANTED)
    other = orders(tmp_path, fake)
    request(other)
    assert other.look(WANTED) and len(fake.orders) == 2
    assert fake.asked.count("/newAccount") == 1
    assert not os.path.exists(acme.request_file(found.store.folder, WANTED.mark))


def test_an_account_that_the_authority_has_forgotten_is_made_anew(tmp_path, fake):
    found = orders(tmp_path, fake)
    found.look(WANTED)
    original, refused = fake.answer, []

    def answer(path, payload):
        if path == "/newOrder" and not refused:
            refused.append(1)
            return problem("accountDoesNotExist", "who are you?")
        return original(path, payload)

    fake.answer = answer
    request(found)
    assert found.look(WANTED) and refused
    assert fake.asked.count("/newAccount") == 2


def test_the_authority_says_how_long_to_wait(tmp_path, fake):
    found = orders(tmp_path, fake)
    fake.rules["/newOrder"] = problem("rateLimited", "too many certificates", 429, Retry_After="7200")
    assert not found.look(WANTED)
    plan = found.plan(WANTED)
    assert plan.failures == 1 and "too many certificates" in plan.error
    assert 7190 < plan.again - time.time() < 7210
    del fake.rules["/newOrder"]
    assert not found.look(WANTED) and not fake.orders
    request(found)
    assert not found.look(WANTED) and not fake.orders  # its word goes before that of who asks


def test_an_authority_that_is_away_is_asked_again_in_a_minute(tmp_path, fake):
    found = orders(tmp_path, fake)
    fake.__exit__()
    assert not found.look(WANTED)
    plan = found.plan(WANTED)
    assert "cannot be reached" in plan.error and 50 < plan.again - time.time() < 70


def test_advice_is_followed_and_told_what_is_replaced(tmp_path):
    now = time.time()
    with Fake(tmp_path, advice=(now + 10 * HOUR, now + 12 * HOUR)) as fake:
        found = orders(tmp_path, fake, profile="shortlived")
        assert found.look(WANTED)
        assert fake.orders[0]["profile"] == "shortlived" and "replaces" not in fake.orders[0]
        assert not found.look(WANTED)
        plan = found.plan(WANTED)
        assert now + 10 * HOUR <= plan.at <= now + 12 * HOUR
        assert plan.ask == pytest.approx(time.time() + 7200, abs=10)
        before = found.store.bundle(WANTED.mark)
        fake.advice = (now - 2 * HOUR, now - HOUR)
        plan.ask = 0.0
        found.store.remember(WANTED.mark, plan)
        assert found.look(WANTED)
        assert fake.orders[1]["replaces"] == ari_name(before)


def test_what_cannot_be_replaced_is_ordered_all_the_same(tmp_path):
    with Fake(tmp_path, advice=(time.time() + HOUR, time.time() + 2 * HOUR)) as fake:
        found = orders(tmp_path, fake)
        found.look(WANTED)
        original = fake.answer

        def answer(path, payload):
            if path == "/newOrder" and "replaces" in payload:
                return problem("alreadyReplaced", "it was", 409)
            return original(path, payload)

        fake.answer = answer
        request(found)
        assert found.look(WANTED) and len(fake.orders) == 2


def test_behind_a_failure_the_staging_is_tried_first(tmp_path, fake):
    with Fake(tmp_path) as staging:
        together = tmp_path / "both.pem"
        together.write_bytes(fake.ca.read_bytes() + staging.ca.read_bytes())
        fake.ca = together
        found = orders(tmp_path, fake, staging=staging.directory)
        fake.rules["/newOrder"] = problem("malformed", "not today")
        assert not found.look(WANTED) and not staging.orders
        staging.rules["/newOrder"] = problem("malformed", "not here either")
        request(found)
        assert not found.look(WANTED) and fake.asked.count("/newOrder") == 1
        del fake.rules["/newOrder"], staging.rules["/newOrder"]
        request(found)
        assert found.look(WANTED)
        assert len(staging.orders) == len(fake.orders) == 1
        assert "replaces" not in staging.orders[0]
        assert found.plan(WANTED).failures == 0


def test_two_processes_order_once(tmp_path, fake):
    one, other = orders(tmp_path, fake), orders(tmp_path, fake)
    fake.hold.clear()
    results = []
    first = threading.Thread(target=lambda: results.append(one.look(WANTED)))
    first.start()
    while not fake.orders:
        pass
    assert not other.look(WANTED)
    fake.hold.set()
    first.join(20)
    assert results == [True]
    assert not other.look(WANTED)  # which sees what has come
    assert len(fake.orders) == 1
    assert other.plan(WANTED).at


def test_a_certificate_for_another_key_is_not_kept(tmp_path, fake):
    found = orders(tmp_path, fake)
    fake.wrong_key = True
    assert not found.look(WANTED)
    assert "for another key" in found.plan(WANTED).error
    assert not found.store.bundle(WANTED.mark)


def test_who_stops_does_not_count_as_a_failure(tmp_path, fake):
    found = orders(tmp_path, fake)
    fake.rules["/order"] = (200, {}, fake.order("processing"))
    fake.rules["/finalize"] = (200, {}, fake.order("processing"))
    looking = threading.Thread(target=found.look, args=(WANTED,))
    looking.start()
    while "/order" not in fake.asked:
        pass
    found.over.set()
    looking.join(10)
    assert not looking.is_alive() and found.plan(WANTED).failures == 0


def test_nothing_is_ordered_that_could_not_be_kept(tmp_path, fake, monkeypatch):
    found = orders(tmp_path, fake)
    write = found.store.write

    def full(path, content):
        if "/plans/" in path:
            raise OSError("the disk is full")
        write(path, content)

    monkeypatch.setattr(found.store, "write", full)
    with pytest.raises(OSError, match="full"):
        found.look(WANTED)
    assert not fake.orders


def test_a_certificate_that_cannot_be_kept_is_a_failure(tmp_path, fake, monkeypatch):
    found = orders(tmp_path, fake)
    write = found.store.write

    def full(path, content):
        if "/certificates/" in path:
            raise OSError("the disk is full")
        write(path, content)

    monkeypatch.setattr(found.store, "write", full)
    assert not found.look(WANTED)
    assert found.plan(WANTED).failures == 1 and found.plan(WANTED).error == "the disk is full"


def test_who_dies_in_an_attempt_does_not_begin_the_next_at_once(tmp_path, fake, monkeypatch):
    found = orders(tmp_path, fake)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(found, "_attempt", die)
    with pytest.raises(KeyboardInterrupt):
        found.look(WANTED)
    other = orders(tmp_path, fake)
    assert not other.look(WANTED) and not fake.orders
    assert other.plan(WANTED).error == "it was broken off"


def test_a_plan_that_makes_no_sense_is_forgotten(tmp_path, fake):
    found = orders(tmp_path, fake)
    for text in ("", "[", "[]", '{"tried": "x"}', '{"window": [1]}', '{"unknown": 1, "failures": 2}'):
        Path(found.store.folder, "plans", f"{WANTED.mark}.json").write_text(text)
        assert found.plan(WANTED).failures == (2 if "unknown" in text else 0)


def test_what_is_half_written_is_never_there(tmp_path, fake, monkeypatch):
    found = orders(tmp_path, fake)
    found.store.write(f"{tmp_path}/acme/certificates/x.pem", b"old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="full"):
        found.store.write(f"{tmp_path}/acme/certificates/x.pem", b"new")
    assert os.listdir(tmp_path / "acme/certificates") == ["x.pem"]
    assert found.store.read(f"{tmp_path}/acme/certificates/x.pem") == b"old"


def test_leftovers_are_swept_when_they_are_old(tmp_path):
    store = Store(str(tmp_path))
    store.prepare()
    paths = [tmp_path / "challenges/http/old", tmp_path / "challenges/http/new", tmp_path / "certificates/.new-abc"]
    paths.append(tmp_path / "certificates/kept.pem")
    for path in paths:
        path.touch()
        if path.name != "new":
            os.utime(path, (0, 0))
    store.sweep()
    assert [path.exists() for path in paths] == [False, True, False, True]


def test_a_folder_of_any_name_keeps_its_accounts_and_certificates(tmp_path):
    store = Store(str(tmp_path / "challenges"))
    store.prepare()
    kept = [tmp_path / "challenges" / name for name in ("accounts/a.json", "certificates/a.pem", "plans/a.json")]
    for path in kept:
        path.touch()
        os.utime(path, (0, 0))
    store.sweep()
    assert all(path.exists() for path in kept)
    assert stat.S_IMODE(os.stat(store.folder).st_mode) == 0o700


def test_a_renewal_that_was_asked_for_and_failed_is_tried_again_and_costs_nothing_meanwhile(tmp_path, fake):
    found = orders(tmp_path, fake)
    found.look(WANTED)
    fake.rules["/newOrder"] = problem("malformed", "not today")
    request(found)
    assert not found.look(WANTED)
    assert 50 < found.patience(WANTED) <= 70
    plan = found.plan(WANTED)
    plan.again = plan.tried = time.time() - 100
    found.store.remember(WANTED.mark, plan)
    assert found.patience(WANTED) == 600
    del fake.rules["/newOrder"]
    assert found.look(WANTED) and found.plan(WANTED).failures == 0
    assert len(fake.orders) == 2


def test_a_renewal_that_was_asked_for_outlives_who_was_at_it(tmp_path, fake):
    found = orders(tmp_path, fake)
    found.look(WANTED)
    request(found)
    fake.rules["/finalize"] = (200, {}, fake.order("processing"))
    fake.rules["/order"] = (200, {}, fake.order("processing"))
    looking = threading.Thread(target=found.look, args=(WANTED,))
    looking.start()
    while fake.asked.count("/order") < 2:
        time.sleep(0.001)
    found.over.set()
    looking.join(10)
    fake.rules.clear()
    other = orders(tmp_path, fake)
    assert other.plan(WANTED).wanted and other.look(WANTED)


def test_a_staging_that_is_away_holds_nothing_up(tmp_path, fake, caplog):
    found = orders(tmp_path, fake, staging="https://localhost:9/dir")
    fake.rules["/newOrder"] = problem("malformed", "not today")
    assert not found.look(WANTED)
    fake.rules.clear()
    request(found)
    assert found.look(WANTED)
    assert "cannot be reached: the certificate for site one is ordered without a rehearsal" in caplog.text


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"/order": (200, {}, [1, 2])}, "makes no sense"),
        ({"/newOrder": (201, {}, {"authorizations": 5})}, "makes no sense"),
        ({"/authz": (200, {}, b"[" * 100_000)}, "no sense"),
        ({"/order": (200, {}, b"{" + b" " * 2_000_000 + b"}")}, "longer than 1048576 bytes"),
        ({"/newOrder": (302, {"Location": "https://localhost:1/"}, b"")}, "sends us on to"),
        ({"/dir": (200, {}, {"newNonce": "http://localhost:1/", "newAccount": "http://localhost:1/"})}, "no TLS"),
    ],
)
def test_answers_without_sense_or_end_are_refused_in_a_sentence(tmp_path, fake, rules, words):
    found = orders(tmp_path, fake)
    fake.rules.update(rules)
    assert not found.look(WANTED)
    plan = found.plan(WANTED)
    assert words in plan.error and len(plan.error) < 600 and plan.failures == 1


def test_the_words_of_an_authority_are_one_line_of_bounded_length(tmp_path, fake, caplog):
    found = orders(tmp_path, fake)
    fake.rules["/newOrder"] = problem("malformed", "no\n2026/01/01 [error] all is lost \x1b[2J" + "x" * 10_000)
    assert not found.look(WANTED)
    error = found.plan(WANTED).error
    assert "\n" not in error and "\x1b" not in error and len(error) < 600
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_an_answer_that_trickles_is_not_waited_for(fake, monkeypatch):
    monkeypatch.setattr(talk, "PATIENCE", 0.2)
    fake.rules["/dir"] = (200, {}, iter(lambda: b"x", b""))  # without end, one byte after another
    asking = talk.Talk()
    before = time.monotonic()
    with pytest.raises(talk.requests.Timeout):
        asking.request("GET", fake.directory, verify=str(fake.ca), timeout=5)
    assert time.monotonic() - before < 4, "it waited for a part to be whole"


def test_an_answer_that_breaks_off_is_no_answer(fake):
    fake.rules["/dir"] = (200, {"Content-Encoding": "gzip"}, b"this is not gzip")
    with pytest.raises(talk.requests.ConnectionError):
        talk.Talk().request("GET", fake.directory, verify=str(fake.ca), timeout=5)


def test_an_account_that_cannot_be_read_is_told_by_its_file(tmp_path, fake):
    found = orders(tmp_path, fake)
    path = Path(found.authority(fake.directory)._path)
    for text in ("{", "[]"):
        path.write_text(text)
        request(found)
        assert not found.look(WANTED)
        assert f"{path} cannot be understood: put it back, or remove it" in found.plan(WANTED).error
    path.unlink()
    request(found)
    assert found.look(WANTED)


def test_a_key_of_a_binding_that_cannot_be_one_is_told_and_not_shown(tmp_path, fake):
    found = orders(tmp_path, fake, eab={"kid": "kid-1", "key": "SECRET+/ key"})
    assert not found.look(WANTED)
    error = found.plan(WANTED).error
    assert "the key of [acme.eab] is none in base64url" in error and "SECRET" not in error


def test_an_account_that_somebody_else_holds_is_not_waited_for_without_end(tmp_path, fake, monkeypatch):
    found = orders(tmp_path, fake)
    monkeypatch.setattr(authority, "LONGEST", 0.05)
    monkeypatch.setattr(authority, "STEP", 0.01)
    one = found.authority(fake.directory)
    with found.store.lock(one._lock) as held:
        assert held
        assert not found.look(WANTED)
    assert "another process has been at our account" in found.plan(WANTED).error


def test_the_authority_moves(tmp_path, fake):
    found = orders(tmp_path, fake)
    found.look(WANTED)
    fake.rules["/newOrder"] = problem("serverInternal", "we have moved", 500)
    request(found)
    assert not found.look(WANTED)
    fake.rules.clear()
    before = fake.asked.count("/dir")
    request(found)
    assert found.look(WANTED) and fake.asked.count("/dir") == before + 1


def asking(fake, name, token, kind):
    """Have an authority ask for a proof."""
    original = fake.answer

    def answer(path, payload):
        if path == "/authz":
            challenge = {"type": kind, "token": token, "url": f"{fake.url}/c"}
            told = {"type": "dns", "value": name}
            return 200, {}, {"status": "pending", "identifier": told, "challenges": [challenge]}
        return original(path, payload)

    fake.answer = answer


@pytest.mark.parametrize(
    "token",
    ["../../accounts/x-and-much-more", "short", "dG9rZW4tdG9rZW4tdG9rZW4.json", "a" * 300, "", "dG9rZW4\ndG9rZW4-dG9"],
)
def test_a_token_is_a_token(tmp_path, fake, token):
    found = orders(tmp_path, fake)
    asking(fake, NAMES[0], token, "http-01")
    with pytest.raises(Refusal, match="no token"):
        found._issued(fake.directory, WANTED, "http-01", b"")
    assert not os.listdir(f"{found.store.folder}/challenges/http")


def test_no_name_is_proven_that_was_not_ordered(tmp_path, fake):
    found = orders(tmp_path, fake)
    asking(fake, "other.example.com", "dG9rZW4tdG9rZW4tdG9rZW4", "http-01")
    with pytest.raises(Refusal, match=r"other\.example\.com.*was not ordered"):
        found._issued(fake.directory, WANTED, "http-01", b"")
    assert "/c" not in fake.asked


def test_the_certificates_are_listed_and_asked_for(tmp_path, fake):
    site = {"names": list(NAMES), "certificate": "acme", "route": []}
    tables = {"folder": str(tmp_path / "acme"), "agree": True}
    listen = {"web": {"address": "127.0.0.1:0", "tls": True}}
    model = Model.model_validate({"acme": tables, "listen": listen, "site": {"one": site}})
    with pytest.raises(ValueError, match="has not run"):
        ask(model, "one")
    with pytest.raises(ValueError, match="of these there are: one"):
        ask(model, "other")
    found = orders(tmp_path, fake)
    assert listed(model)[0].state == "has not come yet" and held(listed(model)[0], 0.0) == "-"
    found.look(WANTED)
    [row] = listed(model)
    assert row.names == NAMES and "to be renewed" in row.state and "(90 days)" in held(row, time.time())
    assert held(row, row.ends + 1).endswith("(has ended)") and held(row, row.ends - 7200).endswith("(2 h)")
    ask(model, "one")
    assert listed(model)[0].state == "is asked for"
    assert found.look(WANTED) and len(fake.orders) == 2


def test_a_certificate_is_called_as_the_rfc_has_it():
    """RFC 9773 section 4.1: the identifier of the issuer's key, a dot, the serial number with its sign."""
    assert ari_name(b"no certificate") == ""
    assert ari_name(keys.placeholder(["a.example"])) == ""


@pytest.mark.parametrize(("text", "found"), [("120", 120.0), ("", 0.0), ("x", 0.0), ("-1", 0.0), ("²", 0.0)])
def test_retry_after(text, found):
    assert seconds(text) == found


def test_retry_after_may_be_a_date():
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert seconds("Wed, 21 Oct 2099 07:28:00 GMT") > 1e9


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-03T00:00:00Z",
        "2026-01-03T00:00:00.123456789Z",
        "2026-01-03T01:00:00+01:00",
        "2026-01-03T01:00:00.5+01:00",
    ],
)
def test_times_as_authorities_write_them(text):
    assert int(authority._time(text)) == 1767398400


@pytest.mark.parametrize("name", ["../x", ".x", "", "a/b", "a\0b"])
def test_a_name_stays_in_its_folder(tmp_path, fake, name):
    found = orders(tmp_path, fake)
    original = fake.answer

    def answer(path, payload):
        if path == "/authz":
            challenge = {"type": "tls-alpn-01", "token": "dG9rZW4tdG9rZW4tdG9rZW4", "url": f"{fake.url}/c"}
            told = {"type": "dns", "value": name}
            return 200, {}, {"status": "pending", "identifier": told, "challenges": [challenge]}
        return original(path, payload)

    fake.answer = answer
    with pytest.raises(Refusal):
        found._issued(fake.directory, WANTED, "tls-alpn-01", b"")
    assert not os.listdir(f"{found.store.folder}/challenges/tls")
