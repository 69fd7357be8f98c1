"""Variables that speak of TLS with the client."""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.policy.template import Getter

_FACTS: Final = {
    "ssl_alpn_protocol": "alpn",
    "ssl_cipher": "cipher",
    "ssl_ciphers": "ciphers",
    "ssl_client_cert": "certificate",
    "ssl_client_escaped_cert": "escaped",
    "ssl_client_fingerprint": "fingerprint",
    "ssl_client_i_dn": "issuer",
    "ssl_client_i_dn_legacy": "issuer_line",
    "ssl_client_raw_cert": "raw",
    "ssl_client_s_dn": "subject",
    "ssl_client_s_dn_legacy": "subject_line",
    "ssl_client_serial": "serial",
    "ssl_client_v_end": "ends",
    "ssl_client_v_start": "begins",
    "ssl_client_verify": "verify",
    "ssl_curve": "curve",
    "ssl_curves": "curves",
    "ssl_protocol": "protocol",
    "ssl_server_name": "name",
    "ssl_session_id": "session",
    "ssl_session_reused": "reused",
}


def _fact(name: str) -> Getter:
    def value(exchange: Exchange) -> bytes | None:
        found = exchange.downstream.connection.tls
        return None if found is None else found.fact(name)

    return value


def _remain(exchange: Exchange) -> bytes | None:
    found = exchange.downstream.connection.tls
    days = None if found is None else found.remain
    return None if days is None else b"%d" % days


KNOWN: Final[dict[str, Getter]] = {
    **{name: _fact(fact) for name, fact in _FACTS.items()},
    "ssl_client_v_remain": _remain,
    "ssl_early_data": lambda exchange: None,  # it is never taken
}
