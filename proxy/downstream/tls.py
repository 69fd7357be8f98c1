"""TLS for listeners: certificates by server name, and one session key for all workers.

Rules: Mozilla's "intermediate" profile (TLS 1.2 and 1.3, AEAD with forward secrecy, the client's order). Each TLS
listener has one base context, made in the master before any fork and never replaced: OpenSSL takes the keys of session
tickets from the context that a connection began with, so a ticket from one worker resumes on every other, also after a
reload. The sites' certificates hang in contexts of their own that the SNI callback chooses from; only these are
replaced. (That switch changes the certificate alone, not the verification of clients: a site that wants other rules
needs its own listener.)
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from proxy.config.model import Model, Site
from proxy.http.target import host_name

Pems = Mapping[str, bytes]  # contents of PEM files by path

CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


class Certificates:
    """A TLS listener's base context (`ssl`) and the certificates of its sites.

    `pems` are the contents of their files by path, see `read_pems`.
    """

    __slots__ = ("_default", "_exact", "_listener", "_wildcards", "ssl")

    def __init__(self, listener: str, model: Model, pems: Pems) -> None:
        self._listener = listener
        self._exact: dict[str, ssl.SSLContext] = {}
        self._wildcards: dict[str, ssl.SSLContext] = {}
        sites = sites_of(listener, model)
        if not sites:
            raise ValueError(f"no site with a certificate listens on [listen.{listener}], which has tls = true")
        self.ssl = certified(sites[0], pems)
        self._default = self.ssl
        self.certify(model, pems)
        self.ssl.sni_callback = self._choose

    def certify(self, model: Model, pems: Pems) -> None:
        """Take over the certificates of the sites. ValueError, and the old ones stay, when one cannot be used."""
        exact: dict[str, ssl.SSLContext] = {}
        wildcards: dict[str, ssl.SSLContext] = {}
        default: ssl.SSLContext | None = None
        for site in sites_of(self._listener, model):
            context = certified(site, pems)
            if default is None:
                default = context
            for name in site.names:
                if name.startswith("*."):
                    wildcards[name[1:].lower()] = context
                else:
                    exact[name.lower()] = context
        if default is None:
            raise ValueError(f"no site with a certificate listens on [listen.{self._listener}]")
        self._exact, self._wildcards, self._default = exact, wildcards, default

    def find(self, name: str | None) -> ssl.SSLContext:
        """The context of a server name as a client sent it: exact, longest wildcard, or that of the default site."""
        if not name:
            return self._default
        text = host_name(name.encode("ascii", "replace")).decode("ascii")
        found = self._exact.get(text)
        dot = text.find(".")
        while found is None and dot >= 0:
            found = self._wildcards.get(text[dot:])
            dot = text.find(".", dot + 1)
        return found or self._default

    def _choose(self, connection: ssl.SSLObject, name: str | None, base: ssl.SSLContext) -> None:
        connection.context = self.find(name)


def certificates(model: Model, pems: Pems) -> dict[str, Certificates]:
    """Those of each TLS listener, by name. ValueError with a sentence when a certificate cannot be used."""
    return {name: Certificates(name, model, pems) for name, listen in model.listen.items() if listen.tls}


def read_pems(model: Model) -> dict[str, bytes]:
    """The files that the sites' certificates and keys are in, by path. ValueError with a sentence.

    The master reads them, since workers may have given up the right to; they get the bytes.
    """
    pems: dict[str, bytes] = {}
    for site in model.site.values():
        for path in (site.certificate, site.key):
            if path is not None and path not in pems:
                try:
                    pems[path] = Path(path).read_bytes()
                except OSError as problem:
                    raise ValueError(f"{path} cannot be read: {problem.strerror}") from problem
    return pems


def sites_of(listener: str, model: Model) -> list[Site]:
    """The sites with certificates on a listener, the default one first."""
    sites = [site for site in model.site.values() if not site.listen or listener in site.listen]
    sites = [site for site in sites if site.certificate is not None]
    return sorted(sites, key=lambda site: not site.default)


def certified(site: Site, pems: Pems) -> ssl.SSLContext:
    """A server context with a site's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    assert site.certificate is not None and site.key is not None
    try:
        with file_of(pems[site.certificate]) as certificate, file_of(pems[site.key]) as key:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as problem:
        raise ValueError(f"certificate {site.certificate}: {problem}") from problem
    return context


@contextlib.contextmanager
def file_of(content: bytes) -> Iterator[str]:
    """The path of a file with this content, ours alone and gone afterwards: ssl reads nothing else."""
    file = os.fdopen(os.memfd_create("pem"), "wb") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()  # noqa: SIM115
    with file:
        file.write(content)
        file.flush()
        yield f"/dev/fd/{file.fileno()}"
