"""The end of certificates, read by hand, against the cryptography library."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.expiry import ends

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("x.example").cert_chain_pems[0].bytes()


@pytest.mark.parametrize("year", [1999, 2049, 2050, 2120])  # two digits of the year until 2049, four behind it
def test_ends_are_those_that_were_written(year: int) -> None:
    end = datetime(year, 2, 28, 23, 59, 58, tzinfo=UTC)
    leaf = AUTHORITY.issue_cert("x.example", not_before=datetime(1990, 1, 1, tzinfo=UTC), not_after=end)
    pem = leaf.cert_chain_pems[0].bytes()
    assert ends(pem) == [end.timestamp()]
    assert ends(pem)[0] == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()


def test_chains_and_text_around_them() -> None:
    chain = b"subject: x\n" + LEAF + b"\r\n" + AUTHORITY.cert_pem.bytes().replace(b"\n", b"\r\n")
    assert len(ends(chain)) == 2
    assert ends(b"no certificate") == []


@given(st.binary(max_size=60), st.integers(30, len(LEAF) - 40))
def test_damage_is_a_value_error_and_nothing_else(junk: bytes, at: int) -> None:
    for pem in (LEAF[:at] + junk + LEAF[at + len(junk) :], LEAF[:30] + LEAF[at:]):
        with contextlib.suppress(ValueError):
            ends(pem)
