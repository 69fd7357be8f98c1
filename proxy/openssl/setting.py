"""Contexts of TLS: their certificates, whom they believe, and what Python's ssl cannot set.

Rules: everything comes as bytes, since those who use a context may not be allowed to read its files. What is wrong is a
ValueError with a sentence that begins in nginx's words. What needs LIBRARY says so where there is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from proxy.openssl.library import LIBRARY, inner_of, trouble

_VERSIONS: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_WITHOUT: Final = {
    "TLSv1": ssl.OP_NO_TLSv1,
    "TLSv1.1": ssl.OP_NO_TLSv1_1,
    "TLSv1.2": ssl.OP_NO_TLSv1_2,
    "TLSv1.3": ssl.OP_NO_TLSv1_3,
}
SERVER: Final = 0x8  # flags of SSL_CONF_CTX
CLIENT: Final = 0x4
_FILES: Final = 0x2 | 0x20 | 0x10  # names as in files, certificates allowed, errors told
_FILE: Final = 0x2  # the type of a value
_SET_GROUPS: Final = 92
_CRL_CHECK: Final = 0x4 | 0x8  # of the whole chain


@contextlib.contextmanager
def file_of(content: bytes) -> Iterator[str]:
    """The path of a file with this content, ours alone and gone afterwards: ssl reads nothing else."""
    file = os.fdopen(os.memfd_create("pem"), "wb") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()  # noqa: SIM115
    with file:
        file.write(content)
        file.flush()
        yield f"/dev/fd/{file.fileno()}"


def pass_phrases(text: bytes) -> list[bytes]:
    """The lines of a file of pass phrases; those that are empty are none."""
    return [line.rstrip(b"\r") for line in text.split(b"\n") if line.rstrip(b"\r")]


def show(
    context: ssl.SSLContext, certificate: tuple[str, bytes], key: tuple[str, bytes], phrases: Sequence[bytes] = ()
) -> None:
    """Have a context show a certificate: name and content of that and of its key. ValueError with a sentence."""
    with file_of(certificate[1]) as chain, file_of(key[1]) as secret:
        problem: Exception | None = None
        for phrase in phrases or (b"",):
            try:
                context.load_cert_chain(chain, secret, password=phrase or _no_phrase)
                return
            except (OSError, ssl.SSLError, ValueError) as error:
                problem = error
    raise ValueError(_blame(certificate, key, problem)) from problem


def _no_phrase() -> bytes:
    """Else OpenSSL would ask at the terminal."""
    return b"-"


def _blame(certificate: tuple[str, bytes], key: tuple[str, bytes], problem: Exception | None) -> str:
    reason = getattr(problem, "reason", None) or str(problem)
    if reason == "KEY_VALUES_MISMATCH":
        return f'SSL_CTX_use_PrivateKey("{key[0]}") failed (SSL: key values mismatch)'
    try:
        with file_of(certificate[1]) as chain:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(chain)
    except (OSError, ssl.SSLError, ValueError):
        return f'cannot load certificate "{certificate[0]}": PEM_read_bio_X509_AUX() failed (SSL: {reason})'
    if reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return f'cannot load certificate "{certificate[0]}": SSL_CTX_use_certificate() failed (SSL: {reason})'
    return f'cannot load certificate key "{key[0]}": PEM_read_bio_PrivateKey() failed (SSL: {reason})'


def speak(context: ssl.SSLContext, protocols: Sequence[str]) -> None:
    """Have a context speak these versions alone."""
    spoken = [name for name in _VERSIONS if name in protocols]
    if not spoken:
        raise ValueError(f"no protocol of {', '.join(protocols)} can be spoken: TLSv1.2 and TLSv1.3 can")
    context.minimum_version = _VERSIONS[spoken[0]]
    context.maximum_version = _VERSIONS[spoken[-1]]
    between = list(_VERSIONS)[list(_VERSIONS).index(spoken[0]) : list(_VERSIONS).index(spoken[-1])]
    for name in between:
        if name not in spoken:
            context.options |= _WITHOUT[name]


def encrypt(context: ssl.SSLContext, ciphers: str) -> None:
    """Have a context use these ciphers up to TLS 1.2."""
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError as error:
        raise ValueError(f'SSL_CTX_set_cipher_list("{ciphers}") failed (SSL: no cipher match)') from error


def agree(context: ssl.SSLContext, groups: Sequence[str]) -> None:
    """Have a context exchange keys by these groups."""
    if not groups:
        return
    if LIBRARY is None:
        try:
            context.set_ecdh_curve(groups[0])
        except ValueError as error:
            raise ValueError(f'SSL_CTX_set1_curves_list("{":".join(groups)}") failed') from error
        return
    text = ctypes.create_string_buffer(":".join(groups).encode())
    if LIBRARY.SSL_CTX_ctrl(inner_of(context), _SET_GROUPS, 0, ctypes.addressof(text)) != 1:
        raise ValueError(f'SSL_CTX_set1_curves_list("{":".join(groups)}") failed (SSL: {trouble()})')


def believe(context: ssl.SSLContext, name: str, pems: bytes) -> None:
    """Have a context believe issuers."""
    _load(context, name, pems)


def revoke(context: ssl.SSLContext, name: str, pems: bytes) -> None:
    """Have a context look into lists of revoked certificates, for each certificate of a chain."""
    _load(context, name, pems)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if LIBRARY is not None:  # contexts that a connection changes to bring their store alone
        LIBRARY.X509_STORE_set_flags(LIBRARY.SSL_CTX_get_cert_store(inner_of(context)), _CRL_CHECK)


def _load(context: ssl.SSLContext, name: str, pems: bytes) -> None:
    try:
        with file_of(pems) as file:
            context.load_verify_locations(file)
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise ValueError(f'SSL_CTX_load_verify_locations("{name}") failed (SSL: {reason})') from error


def tell_issuers(context: ssl.SSLContext, pems: bytes) -> None:
    """Have a context tell clients whose certificates it believes."""
    with file_of(pems) as file:
        LIBRARY.SSL_CTX_set_client_CA_list(inner_of(context), LIBRARY.SSL_load_client_CA_file(file.encode()))


def command(
    context: ssl.SSLContext, commands: Sequence[tuple[str, str]], side: int, files: Mapping[str, bytes]
) -> None:
    """Give a context OpenSSL's own commands."""
    if not commands:
        return
    needs_library("commands for OpenSSL")
    given = LIBRARY.SSL_CONF_CTX_new()
    try:
        LIBRARY.SSL_CONF_CTX_set_flags(given, _FILES | side)
        LIBRARY.SSL_CONF_CTX_set_ssl_ctx(given, inner_of(context))
        for name, value in commands:
            with file_of(files[value]) if value in files else contextlib.nullcontext(value) as text:
                if LIBRARY.SSL_CONF_cmd(given, name.encode(), text.encode()) <= 0:
                    raise ValueError(f'SSL_CONF_cmd("{name}", "{value}") failed (SSL: {trouble()})')
        if LIBRARY.SSL_CONF_CTX_finish(given) != 1:
            raise ValueError(f"SSL_CONF_finish() failed (SSL: {trouble()})")
    finally:
        LIBRARY.SSL_CONF_CTX_free(given)


def takes_file(name: str) -> bool:
    """Whether a command's value is the path of a file."""
    if LIBRARY is None:
        return False
    given = LIBRARY.SSL_CONF_CTX_new()
    LIBRARY.SSL_CONF_CTX_set_flags(given, _FILES | SERVER | CLIENT)
    found: int = LIBRARY.SSL_CONF_cmd_value_type(given, name.encode())
    LIBRARY.SSL_CONF_CTX_free(given)
    return found == _FILE


def needs_library(what: str) -> None:
    """ValueError when OpenSSL itself cannot be reached."""
    if LIBRARY is None:
        raise ValueError(f"{what}: this Python has its OpenSSL built in, where that cannot be set")
