"""How a site shakes hands: its certificate, what it asks of clients, and all that its `tls` table says.

Rules: made at load of a Model's table and of the bytes of its files; ValueError with a sentence when something cannot
be. The context of a site is what a connection changes to when its client has said a name; OpenSSL takes only some of it
then, so the rest is set on the connection by `apply`. A certificate that a variable names is loaded when a handshake
asks for it; what was loaded is kept for as many as MOST, and as long as its files do not change.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from proxy.config.model import Site
from proxy.config.tls import DATA, SiteTls, content, named
from proxy.openssl import setting as openssl
from proxy.openssl.files import opened
from proxy.openssl.library import GO_ON, LIBRARY, VERIFY_ONCE, VERIFY_PEER, inner_of, parameter

Pems = Mapping[str, bytes]  # contents of PEM files by path
Choice = Callable[[str], Sequence[tuple[str, str]]]  # the pairs of certificate and key, by what the client asked for

CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
GROUPS: Final = (  # of Mozilla's guidelines 5.7 and 6.0, where OpenSSL knows the first
    *(("X25519MLKEM768",) if ssl.OPENSSL_VERSION_INFO >= (3, 5) else ()), "X25519", "prime256v1", "secp384r1"
)  # fmt: skip
SPOKEN: Final = ("http/1.1", "http/1.0")  # names of what we speak besides h2
MOST: Final = 256  # contexts of certificates that variables name
_SESSION_MODE, _SESSIONS, _NO_SESSIONS = 44, 0x2, 0x0  # SSL_CTRL_SET_SESS_CACHE_MODE and its values
_MODE, _NO_AUTO_CHAIN = 33, 0x8  # SSL_CTRL_MODE; nginx sets it too
_LEAST, _HIGHEST = 123, 124  # SSL_CTRL_SET_MIN_PROTO_VERSION, _MAX_


class Greeting:
    """A site's context (`ssl`), `reject` when there is to be no handshake, and `verified`, what tells apart those who
    ask clients for other certificates ("" where none is asked for)."""

    __slots__ = (
        "_choose", "_known", "_pairs", "_pems", "_served", "_spoken", "http2", "name", "reject", "resumed", "ssl",
        "table", "verified",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        table: SiteTls,
        pairs: Sequence[tuple[str, str]],
        pems: Pems,
        choose: Choice | None = None,
        http2: bool = False,
    ) -> None:
        self.http2 = http2
        self.name = name
        self.table = table
        self._pairs = tuple(pairs)
        self._pems = pems
        self._choose = choose
        self._served: dict[object, ssl.SSLContext] = {}
        self._spoken: dict[bytes, bool] = {}
        self.verified = verified(table)
        late = any(not named(one) and not one.startswith(DATA) for pair in pairs for one in pair)
        found = [] if late else [(content(chain, pems), content(key, pems)) for chain, key in pairs]
        there = [one for one in zip(self._pairs, found, strict=False) if all(one[1])]
        self.reject = table.reject or len(there) < len(found)  # one that is ordered may not be there yet
        self.ssl = self._made(there)
        self._known = not late

    def _made(self, found: Sequence[tuple[tuple[str, str], tuple[bytes, bytes]]]) -> ssl.SSLContext:
        """A context with these certificates."""
        table, pems = self.table, self._pems
        context = fresh(table, http2=self.http2)
        phrases = openssl.pass_phrases(pems[table.passwords]) if table.passwords else []
        for (chain, key), (chain_pem, key_pem) in found:
            openssl.show(context, (chain, chain_pem), (key, key_pem), phrases)
        _verify(context, table, pems)
        openssl.command(context, [(one.name, one.value) for one in table.commands], openssl.SERVER, pems)
        self.resumed = self._kind()
        if LIBRARY is not None:
            LIBRARY.SSL_CTX_set_session_id_context(inner_of(context), self.resumed, len(self.resumed))
        return context

    def _kind(self) -> bytes:
        """What sessions have in common that may be resumed here: the same certificate, renewed or not, and, where
        clients have to show theirs, the same who are believed. A session does not keep the chain of a client: so where
        that is told, none of another site is resumed."""
        asked = [content(path, self._pems) for path in _trusted(self.table) if path] if self.verified else []
        names = [text.encode() for pair in self._pairs for text in pair]
        told = [b"chain"] if self.table.client_cert == "chain" else []
        return hashlib.sha256(b"\0".join([*names, self.verified.encode(), *asked, *told])).digest()

    def of(self, name: str) -> ssl.SSLContext:
        """The context for who asks for a name. ValueError when a certificate that a variable names cannot be used."""
        if self._known or self._choose is None:
            return self.ssl
        pairs = tuple(self._choose(name))
        key = (pairs, tuple(_mark(text) for pair in pairs for text in pair))
        context = self._served.pop(key, None)
        if context is None:
            found = [(opened(chain, "certificate"), opened(secret, "certificate key")) for chain, secret in pairs]
            context = self._made(list(zip(pairs, found, strict=True)))
            while len(self._served) >= MOST:
                del self._served[next(iter(self._served))]
        self._served[key] = context  # the youngest now
        return context

    def choose_by(self, choose: Choice | None) -> None:
        """Be told who chooses certificates that variables name."""
        self._choose = choose

    def speaks(self, offered: bytes) -> bool:
        """Whether anything that a client offers to speak (RFC 7301 section 3.1) is spoken here."""
        found = self._spoken.get(offered)
        if found is None:
            if len(self._spoken) >= MOST:
                self._spoken.clear()
            names, at = set(), 2  # behind the length of the list
            while at < len(offered):
                names.add(offered[at + 1 : at + 1 + offered[at]])
                at += 1 + offered[at]
            ours = {name.encode() for name in SPOKEN} | ({b"h2"} if self.http2 else set())
            found = self._spoken[offered] = not ours.isdisjoint(names)
        return found

    @property
    def late(self) -> bool:
        """Whether variables name its certificate."""
        return not self._known


def signature(context: ssl.SSLContext) -> tuple[int, ...]:
    """What `apply` would set."""
    made = inner_of(context)
    return (
        LIBRARY.SSL_CTX_get_verify_mode(made),
        LIBRARY.SSL_CTX_get_verify_depth(made),
        LIBRARY.SSL_CTX_get_options(made),
        context.minimum_version,
        context.maximum_version,
    )


def apply(connection: int, context: ssl.SSLContext) -> None:
    """Set on a connection what a change of its context leaves as it was (nginx: ngx_http_ssl_servername)."""
    made = inner_of(context)
    mode = LIBRARY.SSL_CTX_get_verify_mode(made)
    LIBRARY.SSL_set_verify(connection, mode, GO_ON if mode else None)
    LIBRARY.SSL_set_verify_depth(connection, LIBRARY.SSL_CTX_get_verify_depth(made))
    wanted = LIBRARY.SSL_CTX_get_options(made)
    LIBRARY.SSL_clear_options(connection, LIBRARY.SSL_get_options(connection) & ~wanted)
    LIBRARY.SSL_set_options(connection, wanted)
    parameter(connection, _LEAST, max(0, context.minimum_version))
    parameter(connection, _HIGHEST, max(0, context.maximum_version))


def fresh(table: SiteTls, kind: type[ssl.SSLContext] = ssl.SSLContext, http2: bool = False) -> ssl.SSLContext:
    """A server context without a certificate."""
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    openssl.speak(context, table.versions)
    openssl.encrypt(context, table.ciphers or CIPHERS)
    if table.curves or LIBRARY is not None:
        openssl.agree(context, table.curves or GROUPS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if table.server_order:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    told = table.client_cert == "chain"  # which only a whole handshake brings
    tickets, sessions = table.tickets and not told, table.sessions and not told
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
        if not sessions:
            context.num_tickets = 0
    elif http2:  # a client needs one connection then, and each brings a new ticket (25 us)
        context.num_tickets = 1
    context.set_alpn_protocols(["h2", *SPOKEN] if http2 else list(SPOKEN))
    if LIBRARY is not None:
        made = inner_of(context)
        LIBRARY.SSL_CTX_ctrl(made, _SESSION_MODE, _SESSIONS if sessions else _NO_SESSIONS, None)
        LIBRARY.SSL_CTX_ctrl(made, _MODE, _NO_AUTO_CHAIN, None)  # a chain is shown as it is, not sought each time
        LIBRARY.SSL_CTX_set_timeout(made, max(1, int(table.session_time)))
    return context


def _verify(context: ssl.SSLContext, table: SiteTls, pems: Pems) -> None:
    """Ask clients for certificates. The handshake never ends because of one: a step of the site's answers that."""
    if table.verify == "off":
        return
    openssl.needs_library("verification of clients")
    if table.client_ca is not None:
        openssl.believe(context, table.client_ca, content(table.client_ca, pems))
        openssl.tell_issuers(context, content(table.client_ca, pems))
    if table.trusted_ca is not None:
        openssl.believe(context, table.trusted_ca, content(table.trusted_ca, pems))
    if table.crl is not None:
        openssl.revoke(context, table.crl, content(table.crl, pems))
    made = inner_of(context)
    LIBRARY.SSL_CTX_set_verify(made, VERIFY_PEER | VERIFY_ONCE, GO_ON)
    LIBRARY.SSL_CTX_set_verify_depth(made, table.depth)


def verified(table: SiteTls) -> str:
    """What tells apart sites that ask clients for other certificates; "" where none is asked for."""
    return "" if table.verify == "off" else repr((table.verify == "optional_any", *_trusted(table), table.depth))


def files_of(site: Site) -> list[tuple[str, str]]:
    """What a site's handshakes need of files that are read at load: each with what it is."""
    table = site.tls
    found = [(path, "certificate key" if number else "certificate") for pair in site.pairs for number, path in
             enumerate(pair)]  # fmt: skip
    found += [(path, "certificates") for path in _trusted(table) if path]
    found += [(path, "ticket keys") for path in table.ticket_keys]
    found += [(table.passwords, "pass phrases")] if table.passwords else []
    found += [(one.value, "file") for one in table.commands if openssl.takes_file(one.name)]
    return [(path, what) for path, what in found if named(path)]


def _trusted(table: SiteTls) -> tuple[str, ...]:
    return (table.client_ca or "", table.trusted_ca or "", table.crl or "")


def _mark(text: str) -> object:
    """What changes when a file does."""
    if text.startswith(DATA):
        return None
    try:
        found = os.stat(text)
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
