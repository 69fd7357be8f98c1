"""Who may do what at the admin door."""

from __future__ import annotations

import pytest

from proxy.admin.asked import Asked, Refused
from proxy.admin.rights import COOKIE, LASTS, MOST_SESSIONS, Admission, Keys, own

KEYS = Keys(b"w" * 20, b"r" * 20)
JSON = {"content-type": "application/json"}


class Now:
    """A clock that is turned by hand."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def asked(method="GET", path="/api/v1/state", tls=False, **fields):
    return Asked(method, path, {name.replace("_", "-"): value for name, value in fields.items()}, b"", tls)


def held(cookie):
    return asked(cookie=cookie.partition(";")[0])


def test_without_tokens_everybody_may_do_everything():
    admission = Admission(Keys(), Now())
    assert not admission.required and admission.rights(asked()) == "write"
    admission.check(asked("POST"), "write")


@pytest.mark.parametrize(
    ("authorization", "rights"),
    [
        ("Bearer " + "w" * 20, "write"),
        ("bearer  " + "w" * 20, "write"),
        ("Bearer " + "r" * 20, "read"),
        ("Bearer " + "w" * 19, "none"),
        ("Bearer", "none"),
        ("Basic " + "w" * 20, "none"),
        ("Bearer ünï", "none"),
    ],
)
def test_tokens_of_both_kinds(authorization, rights):
    assert Admission(KEYS, Now()).rights(asked(authorization=authorization)) == rights


def test_an_empty_token_is_nobodys():
    admission = Admission(Keys(b"w" * 20, b""), Now())
    assert admission.rights(asked(authorization="Bearer ")) == "none" and admission.rights(asked()) == "none"


def test_refusals_say_whether_to_log_in_or_to_have_another_token():
    admission = Admission(KEYS, Now())
    with pytest.raises(Refused) as refused:
        admission.check(asked(), "read")
    assert refused.value.status == 401 and refused.value.fields[0][0] == "WWW-Authenticate"
    with pytest.raises(Refused) as refused:
        admission.check(asked(authorization="Bearer " + "r" * 20), "write")
    assert refused.value.status == 403


def test_a_session_lasts_until_it_is_over_or_given_back():
    now = Now()
    admission = Admission(KEYS, now)
    cookie, rights = admission.login("r" * 20, tls=True)
    assert rights == "read" and "; Secure" in cookie and "r" * 20 not in cookie
    assert admission.rights(held(cookie)) == "read"
    now.at = LASTS
    assert admission.rights(held(cookie)) == "none"
    cookie, _ = admission.login("w" * 20, tls=False)
    assert "; Secure" not in cookie and admission.rights(held(cookie)) == "write"
    assert "Max-Age=0" in admission.logout(held(cookie))
    assert admission.rights(held(cookie)) == "none"
    with pytest.raises(Refused):
        admission.login("wrong", tls=False)


def test_sessions_are_bounded_and_end_with_the_tokens():
    admission = Admission(KEYS, Now())
    cookies = [admission.login("w" * 20, tls=False)[0] for _ in range(MOST_SESSIONS + 1)]
    assert len(set(cookies)) == len(cookies)
    assert admission.rights(held(cookies[0])) == "none" and admission.rights(held(cookies[-1])) == "write"
    admission.change(KEYS)
    assert admission.rights(held(cookies[-1])) == "write"
    admission.change(Keys(b"other" * 5))
    assert admission.rights(held(cookies[-1])) == "none"


def test_a_bearer_that_is_wrong_is_not_saved_by_a_cookie():
    admission = Admission(KEYS, Now())
    cookie, _ = admission.login("w" * 20, tls=False)
    both = Asked("GET", "/", {"cookie": cookie.partition(";")[0], "authorization": "Bearer no"})
    assert admission.rights(both) == "none"
    assert admission.rights(asked(cookie=f'x=";, {COOKIE}=a')) == "none"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({**JSON}, 0),
        ({**JSON, "origin": "http://door:9", "host": "DOOR:9"}, 0),
        ({**JSON, "origin": "https://door:9", "host": "door:9"}, 403),
        ({**JSON, "origin": "http://evil", "host": "door:9"}, 403),
        ({**JSON, "origin": "null", "host": "door:9"}, 403),
        ({**JSON, "sec-fetch-site": "same-origin"}, 0),
        ({**JSON, "sec-fetch-site": "cross-site"}, 403),
        ({**JSON, "sec-fetch-site": "same-site"}, 403),
        ({"content-type": "Application/JSON; charset=utf-8"}, 0),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
    ],
)
def test_pages_of_other_sites_cannot_change_anything(fields, status):
    one = Asked("POST", "/api/v1/reload", fields)
    if not status:
        own(one)
        return
    with pytest.raises(Refused) as refused:
        own(one)
    assert refused.value.status == status


def test_reading_is_free_but_for_pages_without_an_origin():
    own(Asked("GET", "/api/v1/state", {"sec-fetch-site": "cross-site"}))
    own(Asked("PUT", "/drain", {}))  # no page can send that without asking first
    with pytest.raises(Refused):
        own(Asked("GET", "/api/v1/state", {"origin": "null", "host": "door"}))
