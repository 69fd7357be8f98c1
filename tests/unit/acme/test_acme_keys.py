"""Keys, requests and certificates of our own."""

from __future__ import annotations

import hashlib
import time
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from proxy.acme import keys

NAMES = ("A.example.com", "192.0.2.1", "[2001:db8::1]")


def shown(of):
    names = of.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName)), set(names.get_values_for_type(x509.IPAddress))


@pytest.mark.parametrize(("kind", "made"), [("ecdsa", ec.EllipticCurvePrivateKey), ("rsa", rsa.RSAPrivateKey)])
def test_a_request_is_for_hosts_and_addresses(kind, made):
    key = keys.new_key(kind)
    assert isinstance(key, made)
    csr = x509.load_pem_x509_csr(keys.request(key, NAMES))
    assert csr.is_signature_valid
    assert shown(csr) == ({"a.example.com"}, {ip_address("192.0.2.1"), ip_address("2001:db8::1")})


def test_a_proof_holds_the_digest_of_what_the_authority_wants_to_see():
    found = x509.load_pem_x509_certificate(keys.proof("a.example.com", "token.thumb"))
    [one] = [one for one in found.extensions if one.oid.dotted_string == "1.3.6.1.5.5.7.1.31"]
    assert one.critical and one.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumb").digest()
    assert shown(found) == ({"a.example.com"}, set())


def test_what_an_authority_has_sent_is_looked_at():
    key = keys.new_key("ecdsa")
    chain = keys.placeholder(["a.example.com"])
    now = time.time()
    assert "no certificate" in keys.wrong(key, b"", ["a.example.com"], now)
    assert "for another key" in keys.wrong(key, chain, ["a.example.com"], now)
    found = x509.load_pem_x509_certificate(chain)

    class Same:
        def public_key(self):
            return found.public_key()

    assert keys.wrong(Same(), chain, ["A.example.com"], now) == ""
    assert keys.wrong(Same(), chain, ["a.example.com", "b.example.com", "192.0.2.1"], now).endswith(
        "without b.example.com, 192.0.2.1"
    )
    assert "is our clock right?" in keys.wrong(Same(), chain, ["a.example.com"], now + 3651 * 86400)


def test_nothing_but_certificates_is_kept_of_what_comes():
    bundle = keys.placeholder(["a.example.com"])
    assert b"PRIVATE KEY" in bundle
    chain = keys.chain_of(b"some words\n" + bundle + b"-----BEGIN CERTIFICATE-----\n")
    assert chain in (b"", keys.chain_of(bundle)) and b"PRIVATE" not in keys.chain_of(bundle)
    assert keys.chain_of(bundle).count(b"BEGIN") == 1 and keys.chain_of(b"") == b""


def test_the_life_of_what_is_no_certificate_is_none():
    assert keys.life(b"") is None and keys.life(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n") is None
    assert keys.life(keys.placeholder(["a"])).length == 3650 * 86400
