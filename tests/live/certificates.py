"""A certificate for a door on localhost, and a client that believes anybody: who it is shown is what tests compare."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


def certify(folder: Path) -> bytes:
    """Write a new certificate for localhost, its key for its owner only; gives it as the wire carries it."""
    leaf = trustme.CA().issue_cert("localhost")
    (folder / "tls.key").touch(0o600)
    (folder / "tls.key").write_bytes(leaf.private_key_pem.bytes())
    (folder / "tls.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def trusting() -> ssl.SSLContext:
    """A client that believes anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
