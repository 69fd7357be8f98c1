"""What a site that asks for certificates answers, by what a handshake has found."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.policy.answers import Answers, ErrorPage
from proxy.policy.certified import Certified, plain
from proxy.policy.template import Template

ASKED = "asked"


def exchange(tls, answers=None):
    """As much of one as is looked at."""
    connection = SimpleNamespace(connection=SimpleNamespace(tls=tls))
    return SimpleNamespace(downstream=connection, route=SimpleNamespace(answers=answers))


def handshake(verified=ASKED, presented=True, trouble=0):
    return SimpleNamespace(verified=verified, presented=presented, trouble=trouble, bearable=trouble == 18)


@pytest.mark.parametrize(
    ("required", "tolerant", "tls", "status"),
    [
        (True, False, handshake(), None),
        (True, False, None, None),  # a connection without TLS
        (True, False, handshake(presented=False), 400),
        (False, False, handshake(presented=False), None),
        (False, False, handshake(trouble=18), 400),
        (False, True, handshake(trouble=18), None),
        (False, True, handshake(trouble=23), 400),  # revoked
        (True, False, handshake(verified=""), 421),
        (False, True, handshake(verified="another"), 421),
    ],
)
def test_who_is_let_in(required, tolerant, tls, status):
    verdict = Certified(ASKED, required, tolerant)(exchange(tls))
    assert (verdict.status if verdict is not None else None) == status


def test_statuses_of_nginx_s_own_where_there_is_a_page_for_them():
    pages = {status: ErrorPage(Template("/", lambda name: None)) for status in (495, 496, 497)}
    answers = Answers(pages=pages)
    step = Certified(ASKED, True, False)
    assert step(exchange(handshake(trouble=18), answers)).status == 495
    assert step(exchange(handshake(presented=False), answers)).status == 496
    assert plain(exchange(None, answers)).status == 497


def test_what_is_said_where_there_is_none():
    assert plain(exchange(None)).body == b"400 The plain HTTP request was sent to HTTPS port\n"
    page = Certified(ASKED, True, False)(exchange(handshake(presented=False), Answers(html=True)))
    assert b"<title>400 No required SSL certificate was sent</title>" in page.body and page.close
