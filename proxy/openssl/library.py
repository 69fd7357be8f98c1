"""OpenSSL itself, by ctypes: the functions that `ssl` has no words for, on the objects that it has made.

Rules: it is the library that CPython's `_ssl` is linked with, found through that module, so both mean the same objects.
Where that cannot be (another Python, a library that is built in and hides its names), LIBRARY is None, and whoever
needs it says so at load. Pointers are those of CPython's own structures: a context's is its first field; that of a
connection OpenSSL tells us itself, and what Python has made of it is its application datum. Nothing here frees anything
that `ssl` owns.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys
from typing import Any, Final

VERIFY_PEER: Final = 1
VERIFY_ONCE: Final = 4

_INT, _LONG, _POINTER, _TEXT, _SIZE = ctypes.c_int, ctypes.c_long, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t

HelloCallback = ctypes.CFUNCTYPE(_INT, _POINTER, ctypes.POINTER(_INT), _POINTER)
VerifyCallback = ctypes.CFUNCTYPE(_INT, _INT, _POINTER)
TicketCallback = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _INT)

_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {  # result, arguments
    "ASN1_TIME_print": (_INT, _POINTER, _POINTER),
    "BIO_ctrl": (_LONG, _POINTER, _INT, _LONG, _POINTER),
    "BIO_free": (_INT, _POINTER),
    "BIO_new": (_POINTER, _POINTER),
    "BIO_s_mem": (_POINTER,),
    "ERR_clear_error": (None,),
    "ERR_peek_last_error": (ctypes.c_ulong,),
    "ERR_reason_error_string": (_TEXT, ctypes.c_ulong),
    "EVP_CIPHER_fetch": (_POINTER, _POINTER, _TEXT, _TEXT),
    "EVP_DecryptInit_ex": (_INT, _POINTER, _POINTER, _POINTER, _TEXT, _POINTER),
    "EVP_EncryptInit_ex": (_INT, _POINTER, _POINTER, _POINTER, _TEXT, _POINTER),
    "EVP_MAC_CTX_set_params": (_INT, _POINTER, _POINTER),
    "OBJ_nid2sn": (_TEXT, _INT),
    "OPENSSL_sk_num": (_INT, _POINTER),
    "RAND_bytes": (_INT, _POINTER, _INT),
    "SSL_CIPHER_find": (_POINTER, _POINTER, _POINTER),
    "SSL_CIPHER_get_name": (_TEXT, _POINTER),
    "SSL_CONF_CTX_finish": (_INT, _POINTER),
    "SSL_CONF_CTX_free": (None, _POINTER),
    "SSL_CONF_CTX_new": (_POINTER,),
    "SSL_CONF_CTX_set_flags": (ctypes.c_uint, _POINTER, ctypes.c_uint),
    "SSL_CONF_CTX_set_ssl_ctx": (None, _POINTER, _POINTER),
    "SSL_CONF_cmd": (_INT, _POINTER, _TEXT, _TEXT),
    "SSL_CONF_cmd_value_type": (_INT, _POINTER, _TEXT),
    "SSL_CTX_ctrl": (_LONG, _POINTER, _INT, _LONG, _POINTER),
    "SSL_CTX_get0_param": (_POINTER, _POINTER),
    "SSL_CTX_get_cert_store": (_POINTER, _POINTER),
    "SSL_CTX_get_options": (ctypes.c_uint64, _POINTER),
    "SSL_CTX_get_verify_depth": (_INT, _POINTER),
    "SSL_CTX_get_verify_mode": (_INT, _POINTER),
    "SSL_CTX_set_client_CA_list": (None, _POINTER, _POINTER),
    "SSL_CTX_set_client_hello_cb": (None, _POINTER, HelloCallback, _POINTER),
    "SSL_CTX_set_session_id_context": (_INT, _POINTER, _TEXT, ctypes.c_uint),
    "SSL_CTX_set_timeout": (_LONG, _POINTER, _LONG),
    "SSL_CTX_set_tlsext_ticket_key_evp_cb": (_INT, _POINTER, TicketCallback),
    "SSL_CTX_set_verify": (None, _POINTER, _INT, VerifyCallback),
    "SSL_CTX_set_verify_depth": (None, _POINTER, _INT),
    "SSL_clear_options": (ctypes.c_uint64, _POINTER, ctypes.c_uint64),
    "SSL_client_hello_get0_ext": (_INT, _POINTER, ctypes.c_uint, _POINTER, _POINTER),
    "SSL_ctrl": (_LONG, _POINTER, _INT, _LONG, _POINTER),
    "SSL_get_SSL_CTX": (_POINTER, _POINTER),
    "SSL_get_ex_data": (_POINTER, _POINTER, _INT),
    "SSL_get_certificate": (_POINTER, _POINTER),
    "SSL_get_options": (ctypes.c_uint64, _POINTER),
    "SSL_get_servername": (_TEXT, _POINTER, _INT),
    "SSL_get_verify_result": (_LONG, _POINTER),
    "SSL_load_client_CA_file": (_POINTER, _TEXT),
    "SSL_set_options": (ctypes.c_uint64, _POINTER, ctypes.c_uint64),
    "SSL_set_session_id_context": (_INT, _POINTER, _TEXT, ctypes.c_uint),
    "SSL_set_verify": (None, _POINTER, _INT, _POINTER),
    "SSL_set_verify_depth": (None, _POINTER, _INT),
    "SSL_shutdown": (_INT, _POINTER),
    "X509_NAME_oneline": (_POINTER, _POINTER, _TEXT, _INT),
    "X509_NAME_print_ex": (_INT, _POINTER, _POINTER, _INT, ctypes.c_ulong),
    "X509_STORE_set_flags": (_INT, _POINTER, ctypes.c_ulong),
    "X509_VERIFY_PARAM_set1_host": (_INT, _POINTER, _TEXT, _SIZE),
    "X509_VERIFY_PARAM_set1_ip_asc": (_INT, _POINTER, _TEXT),
    "X509_check_host": (_INT, _POINTER, _TEXT, _SIZE, ctypes.c_uint, _POINTER),
    "X509_check_ip_asc": (_INT, _POINTER, _TEXT, ctypes.c_uint),
    "X509_free": (None, _POINTER),
    "X509_get0_notAfter": (_POINTER, _POINTER),
    "X509_get0_notBefore": (_POINTER, _POINTER),
    "X509_get_issuer_name": (_POINTER, _POINTER),
    "X509_get_serialNumber": (_POINTER, _POINTER),
    "X509_get_subject_name": (_POINTER, _POINTER),
    "X509_verify_cert_error_string": (_TEXT, _LONG),
    "d2i_X509": (_POINTER, _POINTER, _POINTER, _LONG),
    "i2a_ASN1_INTEGER": (_INT, _POINTER, _POINTER),
}


def _library() -> Any:
    """The library with its functions declared; None where it is not to be had."""
    if sys.implementation.name != "cpython" or not hasattr(_ssl, "__file__"):
        return None
    try:
        found = ctypes.CDLL(_ssl.__file__)
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wire = probe.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    ours = _first_field(probe)
    theirs = _first_field(wire._sslobj, 1)  # type: ignore[attr-defined]  # behind the socket's reference
    same = found.SSL_get_SSL_CTX(theirs) == ours and found.SSL_get_ex_data(theirs, 0) == id(wire._sslobj)  # type: ignore[attr-defined]
    return found if same else None


def _first_field(made: object, skip: int = 0) -> int:
    """The pointer in an object's first field, or behind `skip` others."""
    place = id(made) + object.__basicsize__ + skip * ctypes.sizeof(ctypes.c_void_p)
    return ctypes.c_void_p.from_address(place).value or 0


LIBRARY: Final = _library()


def inner_of(context: ssl.SSLContext) -> int:
    """OpenSSL's context behind Python's."""
    return _first_field(context)


def wire_of(connection: ssl.SSLObject) -> int:
    """OpenSSL's connection behind Python's; 0 when there is none."""
    inner = getattr(connection, "_sslobj", None)
    return _first_field(inner, 1) if inner is not None and type(inner).__module__ == "_ssl" else 0


def trouble() -> str:
    """What OpenSSL says went wrong last; its errors are forgotten then."""
    reason = LIBRARY.ERR_reason_error_string(LIBRARY.ERR_peek_last_error())
    LIBRARY.ERR_clear_error()
    return reason.decode("latin-1") if reason else "it says no more"


def _go_on(preverified: int, store: int) -> int:
    """A handshake goes on whatever is wrong with a certificate: the verdict is asked for later."""
    return 1


GO_ON: Final = VerifyCallback(_go_on)


def parameter(connection: int, command: int, value: int = 0) -> int:
    """SSL_ctrl without a pointer."""
    return int(LIBRARY.SSL_ctrl(connection, command, value, None))
