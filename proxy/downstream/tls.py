"""TLS for listeners: certificates by server name, and one session key for all workers.

Rules: Mozilla's "intermediate" profile unless a site says otherwise (TLS 1.2 and 1.3, AEAD with forward secrecy, the
client's order). Each TLS listener has one base context, made in the master before any fork and never replaced, from
which every connection begins. The sites' certificates hang in contexts of their own, and only these are replaced by a
reload. The choice is made from the client's first message, before OpenSSL looks at versions and sessions: so versions,
verification of clients and sessions are those of the site whose name was asked for. Where OpenSSL itself cannot be
reached, the choice comes later and changes the certificate alone; then a site that wants more is refused at load.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from proxy.config import acme
from proxy.config import model as config
from proxy.config.model import Model
from proxy.config.tls import BackendTls, Profile, SiteTls, named
from proxy.downstream import proof
from proxy.downstream.greeting import Choice, Greeting, Pems, apply, files_of, fresh, signature
from proxy.downstream.h2.engines import ENGINES
from proxy.downstream.tickets import Tickets, key_of, share
from proxy.downstream.wire import NOW, Base, Wire
from proxy.http.target import host_name, valid_host
from proxy.openssl.files import opened
from proxy.openssl.library import LIBRARY, HelloCallback, inner_of
from proxy.openssl.setting import needs_library, takes_file
from proxy.policy.pattern import Endless
from proxy.policy.routing import Route, Site, Sites

__all__ = ["Certificates", "Pems", "certificates", "read_pems"]

UNRECOGNIZED_NAME: Final = 112  # alerts, RFC 8446 section 6
INTERNAL_ERROR: Final = 80
NO_APPLICATION_PROTOCOL: Final = 120  # RFC 7301 section 3.2
SERVER_NAME, ALPN = 0, 16  # extensions

MEMO: Final = 4096  # names
# Python gives each connection an id of sessions of its own then, with which sessions of all sites could resume.
_OWN_SESSIONS: Final = sys.version_info >= (3, 13)
_START, _SIZE = ctypes.c_void_p(), ctypes.c_size_t()  # where OpenSSL writes what is read at once
_AT_START, _AT_SIZE = ctypes.addressof(_START), ctypes.addressof(_SIZE)

log = logging.getLogger("frontgate")


class Certificates:
    """A TLS listener's base context (`ssl`) and the contexts of its sites.

    `pems` are the contents of their files by path, see `read_pems`.
    """

    __slots__ = (
        "_alike", "_contexts", "_memo", "_greeting", "_listener", "_proofs", "_sites", "_strict", "_tickets", "ssl"
    )  # fmt: skip

    def __init__(self, listener: str, model: Model, pems: Pems) -> None:
        self._listener = listener
        self._contexts: dict[str, Greeting] = {}
        self._memo: dict[bytes, tuple[bytes, Greeting | None]] = {}  # name and answer, by the extension that asks
        self._alike: set[Greeting] = set()
        self.certify(model, pems)
        first = self._contexts[self._sites.default.name]
        base = fresh(first.table, Base, first.http2)
        if isinstance(base, Base):
            base.kept = self
        self.ssl: ssl.SSLContext = base
        self._compare()
        if any(one.table.versions != first.table.versions for one in self._contexts.values()):
            needs_library("versions of TLS that differ between the sites of a listener")
        self._tickets = _tickets(self.ssl, first.table, pems)
        self.ssl.sni_callback = _acknowledge if LIBRARY is not None else self._choose
        if LIBRARY is not None:
            self._greeting = HelloCallback(self._greeted)
            LIBRARY.SSL_CTX_set_client_hello_cb(inner_of(self.ssl), self._greeting, None)

    def certify(self, model: Model, pems: Pems) -> None:
        """Take over the certificates of the sites. ValueError, and the old ones stay, when one cannot be used."""
        names, default = sites_of(self._listener, model)
        if not names:
            raise ValueError(f"no site with a certificate listens on [listen.{self._listener}], which has tls = true")
        said = (spoken(model, self._listener), model.listen[self._listener].profile)
        contexts = {name: _greeting(name, default, model, pems, *said) for name in names}
        made = {name: _named(name, model) for name in names}
        for name, context in contexts.items():
            before = self._contexts.get(name)
            if before is not None:
                context.choose_by(before._choose)
        self._contexts, self._sites = contexts, Sites(list(made.values()), made[default])
        refuses = model.listen[self._listener].unknown_names == "refuse"
        self._strict = Sites(list(made.values()), _NOBODY) if refuses else None
        self._proofs = proof.folder_of(model)
        self._memo.clear()
        self._compare()

    def _compare(self) -> None:
        """Know whose connections have all that they need from the base context: nothing has to be set on them."""
        if LIBRARY is not None and hasattr(self, "ssl"):
            base = signature(self.ssl)
            self._alike = {one for one in self._contexts.values() if signature(one.ssl) == base}

    def choose_by(self, choices: Mapping[str, Choice]) -> None:
        """Who chooses the certificates of sites for which variables name them."""
        for name, one in self._contexts.items():
            one.choose_by(choices.get(name) or choices.get(self._sites.default.name))

    def find(self, name: bytes) -> Greeting:
        """What answers a server name as a client sent it; b"" for none."""
        site = self._sites.named(host_name(name)) if name else self._sites.default
        return self._contexts[site.name]

    def _knows(self, name: bytes) -> bool:
        """Whether who asks for a name is to be answered at all."""
        return not self._strict or (bool(name) and self._strict.named(host_name(name)) is not _NOBODY)

    def _seen(self, told: bytes) -> tuple[bytes, Greeting | None]:
        """The name in the extension that carries it, and what answers it: None for nobody."""
        name = _named_in(told)
        greeting = self.find(name)
        found = (name, greeting if self._knows(name) and not greeting.reject else None)
        if len(self._memo) >= MEMO:
            self._memo.clear()
        self._memo[told] = found
        return found

    def _greeted(self, connection: int, alert: Any, _: object) -> int:
        """A client has sent its first message: 1 to go on, 0 to refuse with an alert."""
        told, offered = extension(connection, SERVER_NAME), extension(connection, ALPN)
        if self._proofs and offered == proof.OFFERED:
            alert[0] = UNRECOGNIZED_NAME
            return proof.show(connection, self._proofs, _named_in(told).decode("latin-1").lower())
        try:
            name, found = self._memo.get(told) or self._seen(told)
        except Endless:  # whose rules hold for the client cannot be known
            alert[0] = INTERNAL_ERROR
            return 0
        if found is None:
            alert[0] = UNRECOGNIZED_NAME
            return 0
        if offered and not found.speaks(offered):
            alert[0] = NO_APPLICATION_PROTOCOL
            return 0
        try:
            context = found.of(name.decode("latin-1")) if found.late else found.ssl
            wire = NOW.wire
            wire._sslobj.context = context
            if _OWN_SESSIONS:
                LIBRARY.SSL_set_session_id_context(connection, found.resumed, len(found.resumed))
            if found not in self._alike:
                apply(connection, context)
            wire.asked, wire.site, wire.inner = name, found, connection
        except ValueError as error:
            log.error("%s while a client shook hands", error)
        except Exception:
            log.exception("a handshake failed")
        else:
            return 1
        alert[0] = INTERNAL_ERROR
        return 0

    def _choose(self, connection: ssl.SSLObject, name: str | None, base: ssl.SSLContext) -> int | None:
        """The same by Python's means alone."""
        asked = (name or "").encode("ascii", "replace")
        asked = asked if _sound(asked) else b""
        try:
            found = self.find(asked)
        except Endless:
            return INTERNAL_ERROR
        if found.reject or not self._knows(asked):
            return UNRECOGNIZED_NAME
        connection.context = found.ssl
        if isinstance(connection, Wire):
            connection.asked, connection.site = asked, found
        return None


def _acknowledge(connection: ssl.SSLObject, name: str | None, base: ssl.SSLContext) -> None:
    """Clients hear that their name was looked at (RFC 6066 section 3)."""


def extension(connection: int, number: int) -> bytes:
    """An extension of a client's first message; b"" when it is not there."""
    there = LIBRARY.SSL_client_hello_get0_ext(connection, number, _AT_START, _AT_SIZE)
    return ctypes.string_at(_START.value, _SIZE.value) if there == 1 and _START.value is not None else b""


def _named_in(told: bytes) -> bytes:
    """The server name in its extension: length of the list, type 0, length of the name, the name. b"" when there is
    none that can be read."""
    if (
        not 5 < len(told) < 261
        or told[2] != 0
        or int.from_bytes(told[3:5], "big") != len(told) - 5
        or b"\0" in told[5:]
    ):
        return b""
    return told[5:] if _sound(told[5:]) else b""


def _sound(name: bytes) -> bool:
    """Whether it is a host name, which may become a part of a file's name (nginx: ngx_http_validate_host)."""
    return valid_host(name) and b".." not in name and name != b"."


def certificates(model: Model, pems: Pems) -> dict[str, Certificates]:
    """Those of each TLS listener, by name. ValueError with a sentence when a certificate cannot be used."""
    return {name: Certificates(name, model, pems) for name, listen in model.listen.items() if listen.tls}


def read_pems(model: Model) -> dict[str, bytes]:
    """The files of certificates and keys, for clients and for backends, by path. ValueError with a sentence.

    The master reads them, since workers may have given up the right to; they get the bytes.
    """
    found = [one for site in model.site.values() for one in files_of(site)]
    for table in _backends(model):
        paths = (table.trusted_ca, table.crl, table.passwords, table.certificate, table.key)
        found += [(path, "certificate") for path in paths if path and named(path)]
        found += [(one.value, "file") for one in table.commands if takes_file(one.name)]
    files = {path: opened(path, what) for path, what in dict(found).items() if not path.startswith(acme.MARK)}
    return files | {path: ordered(model, path) for path, _ in found if path.startswith(acme.MARK)}


def ordered(model: Model, name: str) -> bytes:
    """Key and chain of a certificate that was ordered, or what stands for it until it is there; b"" for nothing."""
    one, folder = name.removeprefix(acme.MARK), model.acme.folder
    places = [acme.certificate_file(folder, one)]
    if model.acme.until_first == "placeholder":
        places.append(acme.placeholder_file(folder, one))
    for path in places:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            return Path(path).read_bytes()
    return b""


def watched(model: Model) -> list[str]:
    """The files whose change means other certificates for clients."""
    names = [path for site in model.site.values() for path, _ in files_of(site)]
    found = [path for path in names if not path.startswith(acme.MARK)]
    for one in [path.removeprefix(acme.MARK) for path in names if path.startswith(acme.MARK)]:
        found += [acme.certificate_file(model.acme.folder, one), acme.placeholder_file(model.acme.folder, one)]
    return list(dict.fromkeys(found))


def _backends(model: Model) -> Iterator[BackendTls]:
    """How backends are spoken to, wherever that is said."""
    scopes: list[config.Site | config.Route] = [*model.site.values()]
    tables = [one.tls for one in model.upstream.values()]
    while scopes:
        scope = scopes.pop()
        tables.append(scope.proxy.tls)
        scopes += scope.route
    return (table for table in tables if table is not None)


def sites_of(listener: str, model: Model) -> tuple[list[str], str]:
    """The names of the sites on a listener that can shake hands, and that of its default one."""
    here = [name for name, site in model.site.items() if listener in model.listeners(site)]
    able = [name for name in here if model.site[name].pairs or model.site[name].tls.reject]
    if not able:
        return [], ""
    said = model.listen[listener].default
    default = said or next((name for name in here if model.site[name].default), here[0])
    if default not in able:
        default = able[0]
    return [name for name in here if name in able or model.site[name].tls.shared], default


def _greeting(name: str, default: str, model: Model, pems: Pems, http2: bool, profile: Profile) -> Greeting:
    table = model.site[name].tls
    if table.profile is None:
        table = table.model_copy(update={"profile": profile})
    said = table.http2
    return Greeting(name, table, shown(name, default, model), pems, http2=http2 if said is None else said)


def shown(name: str, default: str, model: Model) -> tuple[tuple[str, str], ...]:
    """The certificates that a site shows, each with its key."""
    site = model.site[name]
    return model.site[default].pairs if site.tls.shared and not site.pairs else site.pairs


def spoken(model: Model, listener: str) -> bool:
    """Whether a TLS listener speaks HTTP/2: unless that is said otherwise, if there is an engine for it."""
    said = model.listen[listener].http2
    return bool(ENGINES) if said is None else said


def _named(name: str, model: Model) -> Site:
    """A site for its names alone."""
    names = [one.encode() if one.startswith("~") else one.lower().encode() for one in model.site[name].names]
    return Site(name, names, (), _NOWHERE)


_NOWHERE: Final = Route("", b"", None)  # type: ignore[arg-type]  # nobody goes there
_NOBODY: Final = Site("", (), (), _NOWHERE)


def _tickets(context: ssl.SSLContext, table: SiteTls, pems: Pems) -> Tickets | None:
    """Give the base context its keys of tickets."""
    if LIBRARY is None:
        return None
    keys = [key_of(path, pems[path]) for path in table.ticket_keys]
    if not keys and not table.rotate:
        share(context)
        return None
    tickets = Tickets(keys, table.session_time)
    tickets.adopt(context)
    return tickets
