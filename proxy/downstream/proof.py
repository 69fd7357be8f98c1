"""Shows an authority that a name is ours, in the handshake itself (TLS-ALPN-01, RFC 8737).

Rules: who offers `acme-tls/1`, and nothing else, gets the certificate that lies ready for the name it asks for. Behind
the handshake the connection ends: no request ever comes over it. Nobody else ever sees that certificate.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from proxy.config.acme import proof_file
from proxy.config.model import Model
from proxy.config.tls import SiteTls
from proxy.downstream.greeting import apply, fresh
from proxy.downstream.wire import NOW
from proxy.openssl import setting
from proxy.openssl.library import LIBRARY

PROTOCOL: Final = "acme-tls/1"
OFFERED: Final = b"\0\x0b\x0aacme-tls/1"  # a list of 11 bytes, of one name of 10

log = logging.getLogger("frontgate")


def folder_of(model: Model) -> str:
    """Where such certificates are; "" where there are none."""
    can = LIBRARY is not None and model.ordered and "tls-alpn-01" in model.acme.challenges
    return model.acme.folder if can else ""


def show(connection: int, folder: str, asked: str) -> int:
    """Have a connection show the certificate that proves a name: 1, or 0 when there is none."""
    if not asked or "/" in asked or asked.startswith("."):
        return 0
    try:
        pem = Path(proof_file(folder, asked)).read_bytes()
        context = fresh(SiteTls(tickets=False, sessions=False))
        setting.show(context, (asked, pem), (asked, pem))
    except (OSError, ValueError) as error:
        log.debug("nothing proves the name %s: %s", asked, error)
        return 0
    context.set_alpn_protocols([PROTOCOL])
    wire = NOW.wire
    wire._sslobj.context = context
    apply(connection, context)
    wire.failed = f"it was asked to prove the name {asked}"  # so that it ends there
    return 1
