"""Whom the admin door lets in: its tokens, and the certificates it shows and believes.

Rules: the master reads the files, for the keeper may have given up the right to; a file that is missing, or a token
that could be guessed, is a ValueError with a sentence, before anything is changed.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proxy.admin.rights import LEAST, Keys
from proxy.config.admin import Admin
from proxy.config.model import Model
from proxy.openssl.setting import believe, show

Files = Mapping[str, bytes]
NO_FILES: Final[Files] = {}


def read(model: Model) -> dict[str, bytes]:
    """The files of [admin] by path. ValueError with a sentence."""
    admin = model.admin
    if admin.listen is None:
        return {}
    named = [(key, getattr(admin, key)) for key in ("token", "read_token", "certificate", "key", "client_ca")]
    found = {path: _content(key, path) for key, path in named if path is not None}
    for key in ("token", "read_token"):
        path = getattr(admin, key)
        if path is not None and len(found[path].strip()) < LEAST:
            raise ValueError(
                f"the {key} of [admin] in {path} has fewer than {LEAST} characters: write one with openssl rand -hex 32"
            )
    tls(admin, found)
    return found


def keys(admin: Admin, files: Files) -> Keys:
    """The tokens."""
    return Keys(
        *(files.get(path, b"").strip() if path is not None else b"" for path in (admin.token, admin.read_token))
    )


def tls(admin: Admin, files: Files, context: ssl.SSLContext | None = None) -> ssl.SSLContext | None:
    """How the door speaks TLS; None when it does not. A context that is given shows the files from now on. ValueError
    with a sentence."""
    if admin.certificate is None or admin.key is None:
        return None
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
    try:
        show(context, (admin.certificate, files[admin.certificate]), (admin.key, files[admin.key]))
        if admin.client_ca is not None:
            believe(context, admin.client_ca, files[admin.client_ca])
            context.verify_mode = ssl.CERT_REQUIRED
    except ValueError as error:
        raise ValueError(f"[admin]: {error}") from error
    return context


def _content(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"the {key} of [admin] cannot be read: {path}: {error.strerror}") from None
