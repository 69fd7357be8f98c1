"""TLS with backends: contexts that resume sessions, and verify a name whether or not it is told to the backend.

Rules: made of a table and of what its files hold, and kept as long as others do not take their place: whoever asks with
the same gets the same context, also behind a reload, so links made with it are still good. ValueError with a sentence.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Any, Final

from proxy.config.tls import BackendTls
from proxy.openssl import files, setting
from proxy.openssl.library import LIBRARY, inner_of
from proxy.upstream.resolve import literal

MOST: Final = 1024  # contexts


class Calling(ssl.SSLContext):
    """A client's context; if it `resumes`, the connections to an address resume the session of the one before."""

    resumes = False

    def __init__(self, *_: Any) -> None:
        self._peers: dict[str, Peer] = {}

    def at(self, address: str) -> Any:
        """What stands for the context when an address is called."""
        if not self.resumes:
            return self
        peer = self._peers.pop(address, None) or Peer(self)
        while len(self._peers) >= MOST:
            del self._peers[next(iter(self._peers))]
        self._peers[address] = peer  # the youngest now
        return peer


class Peer:
    """A context, where an address is called."""

    def __init__(self, calling: Calling) -> None:
        self._calling = calling
        self._last: ssl.SSLObject | None = None
        self._session: ssl.SSLSession | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
    ) -> ssl.SSLObject:
        """A connection, which the caller drives."""
        last = self._last
        if last is not None and last.version() is not None:  # tickets come late: only now all are there
            self._session = last.session or self._session
        made = self._calling.wrap_bio(incoming, outgoing, server_side, server_hostname, self._session)
        self._last = made
        return made


def calling(table: BackendTls, name: str, certificate: str, key: str) -> Calling:
    """The context for backends of a table that are to be `name`d so ("": by nobody), with our certificate and key."""
    paths = [("certificates", table.trusted_ca), ("certificates", table.crl), ("pass phrases", table.passwords)]
    paths += [("file", one.value) for one in table.commands if setting.takes_file(one.name)]
    held = [(path, files.read(path, what)) for what, path in paths if path]
    if certificate:
        held += [(certificate, files.read(certificate, "certificate")), (key, files.read(key, "certificate key"))]
    return _calling(table, name if table.verify else "", certificate, key, tuple(held))


@lru_cache(MOST)
def _calling(table: BackendTls, name: str, certificate: str, key: str, held: tuple[tuple[str, bytes], ...]) -> Calling:
    pems = dict(held)
    context = Calling(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.resumes = table.reuse
    setting.speak(context, table.protocols)
    setting.encrypt(context, table.ciphers or "DEFAULT")
    if table.verify:
        _verify(context, table, name, pems)
    if certificate:
        phrases = setting.pass_phrases(pems[table.passwords]) if table.passwords else []
        setting.show(context, (certificate, pems[certificate]), (key, pems[key]), phrases)
    setting.command(context, [(one.name, one.value) for one in table.commands], setting.CLIENT, pems)
    return context


def _verify(context: ssl.SSLContext, table: BackendTls, name: str, pems: dict[str, bytes]) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    if table.trusted_ca is not None:
        setting.believe(context, table.trusted_ca, pems[table.trusted_ca])
    else:
        context.load_default_certs()
    if table.crl is not None:
        setting.revoke(context, table.crl, pems[table.crl])
    setting.needs_library("verification of backends")
    made = inner_of(context)
    LIBRARY.SSL_CTX_set_verify_depth(made, table.depth)
    parameters = LIBRARY.SSL_CTX_get0_param(made)
    if literal(name):
        LIBRARY.X509_VERIFY_PARAM_set1_ip_asc(parameters, name.strip("[]").encode())
    else:
        LIBRARY.X509_VERIFY_PARAM_set1_host(parameters, name.encode(), len(name.encode()))
