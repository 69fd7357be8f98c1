"""The slice of TLS: what a server shows and asks of its clients (ssl_*).

Rules: those of ngx_http_ssl_module. A server without a certificate shows that of its address's default server. What
Python's OpenSSL cannot do is told: early data is never taken, OCSP is not asked, and keys come from files.
"""

from __future__ import annotations

import os
from typing import Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame, checked, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written
from proxy.openssl.setting import takes_file

_BOTH: Final = "http server"
PROTOCOLS: Final = {one.lower(): one for one in ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")}
SESSION_SECONDS: Final = 300
_VERIFY: Final = {"off": "off", "on": "required", "optional": "optional", "optional_no_ca": "optional_any"}
_LEAST_CACHE: Final = 8 * 4096  # bytes

SPECS: Final[dict[str, Spec]] = {
    "ssl_certificate": spec(_BOTH, 1, once=False),
    "ssl_certificate_cache": spec(_BOTH, 1, 3),
    "ssl_certificate_compression": spec(_BOTH, flag=True),
    "ssl_certificate_key": spec(_BOTH, 1, once=False),
    "ssl_ciphers": spec(_BOTH, 1),
    "ssl_client_certificate": spec(_BOTH, 1),
    "ssl_conf_command": spec(_BOTH, 2, once=False),
    "ssl_crl": spec(_BOTH, 1),
    "ssl_early_data": spec(_BOTH, flag=True),
    "ssl_ecdh_curve": spec(_BOTH, 1),
    "ssl_ocsp": spec(_BOTH, 1, only="off"),
    "ssl_ocsp_cache": spec(_BOTH, 1, only="off"),
    "ssl_ocsp_responder": spec(_BOTH, 1),
    "ssl_password_file": spec(_BOTH, 1),
    "ssl_prefer_server_ciphers": spec(_BOTH, flag=True),
    "ssl_protocols": spec(_BOTH, 1, None),
    "ssl_reject_handshake": spec(_BOTH, flag=True),
    "ssl_session_cache": spec(_BOTH, 1, 2),
    "ssl_session_ticket_key": spec(_BOTH, 1, once=False),
    "ssl_session_tickets": spec(_BOTH, flag=True),
    "ssl_session_timeout": spec(_BOTH, 1),
    "ssl_trusted_certificate": spec(_BOTH, 1),
    "ssl_verify_client": spec(_BOTH, 1),
    "ssl_verify_depth": spec(_BOTH, 1),
}


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """A server's certificates and its table of TLS."""
    certificates, keys = frame.nearest("ssl_certificate"), frame.nearest("ssl_certificate_key")
    if certificates:
        if len(keys) < len(certificates):
            name = certificates[len(keys)].args[0]
            raise wrong(certificates[len(keys)], f'no "ssl_certificate_key" is defined for certificate "{name}"')
        table.put("certificate", [pem(one, reading) for one in certificates], certificates[0])
        table.put("key", [pem(one, reading) for one in keys[: len(certificates)]], keys[0])
    table["tls"] = tls = Written(frame.directive)
    spoken = frame.last("http2")
    if spoken is not None:
        tls.put("http2", frame.flag("http2", False), spoken)
    tls["folder"] = os.path.dirname(reading.files.main)
    tls["shared"] = not certificates
    tls["strict_host"] = False
    tls["reject"] = frame.flag("ssl_reject_handshake", False)
    tls.put("protocols", protocols(frame, "ssl_protocols"), frame.last("ssl_protocols"))
    tls.put("ciphers", frame.word("ssl_ciphers", "HIGH:!aNULL:!MD5"), frame.last("ssl_ciphers"))
    tls["server_order"] = frame.flag("ssl_prefer_server_ciphers", False)
    curves = frame.word("ssl_ecdh_curve", "auto")
    if curves != "auto":
        tls.put("curves", curves.split(":"), frame.last("ssl_ecdh_curve"))
    _verification(frame, tls, bool(certificates), reading)
    _sessions(frame, tls, reading)
    file(frame, "ssl_password_file", tls, "passwords", reading)
    commands(frame, "ssl_conf_command", tls, reading)
    _untaken(frame, reading)


def done(frame: Frame, table: Written, reading: Reading) -> None:
    """Now that all servers are read: each address that speaks TLS has something to show."""
    for name, door in table.get("listen", {}).items():
        if not door.get("tls"):
            continue
        here = [one for one in table["site"].values() if name in one.get("listen", ())]
        default = table["site"].get(door.get("default")) or here[0]
        if default.get("certificate"):
            continue
        place = door.said.get("tls") or door.directive
        read = [one for one in here if "tls" in one]  # of others something worse is told
        if place is not None and any(not one.get("certificate") and not one["tls"]["reject"] for one in read):
            where = f"{place.file}:{place.line}"
            text = f'no "ssl_certificate" is defined for the "listen ... ssl" directive in {where}'
            reading.problem(place, text)


def pem(directive: Directive, reading: Reading) -> str:
    """The name of a certificate or key: a file, "data:..." itself, or with variables."""
    text = directive.args[0]
    if text.startswith(("engine:", "store:")):
        reading.unsupported(directive, f'"{text}" cannot be used: keys come from files')
    if "$" in text:
        reading.text(text, directive)
    return text if text.startswith(("data:", "$")) else reading.conf_path(text) if text else ""


def protocols(frame: Frame, name: str) -> list[str]:
    """The versions that a directive names."""
    directive = frame.last(name)
    if directive is None:
        return ["TLSv1.2", "TLSv1.3"]
    return [PROTOCOLS[checked(directive, lambda word: values.choice(word, PROTOCOLS), one)] for one in directive.args]


def file(frame: Frame, name: str, table: Written, key: str, reading: Reading) -> None:
    """The path of a file, if a directive names one."""
    directive = frame.last(name)
    if directive is not None and directive.args[0]:
        table.put(key, reading.conf_path(directive.args[0]), directive)


def commands(frame: Frame, name: str, table: Written, reading: Reading) -> None:
    """OpenSSL's own commands."""
    found = []
    for directive in frame.nearest(name):
        command, value = directive.args
        one = Written(directive)
        one.put("name", command, directive)
        one.put("value", reading.conf_path(value) if takes_file(command) else value, directive)
        found.append(one)
    if found:
        table["commands"] = found


def _verification(frame: Frame, table: Written, shows: bool, reading: Reading) -> None:
    asks = _VERIFY[frame.choice("ssl_verify_client", tuple(_VERIFY), "off")]
    directive = frame.last("ssl_verify_client")
    table.put("verify", asks, directive)
    table["depth"] = frame.number("ssl_verify_depth", 1)
    file(frame, "ssl_client_certificate", table, "client_ca", reading)
    file(frame, "ssl_trusted_certificate", table, "trusted_ca", reading)
    file(frame, "ssl_crl", table, "crl", reading)
    believed = "client_ca" in table or "trusted_ca" in table
    if asks in ("required", "optional") and shows and not believed and directive is not None:
        raise wrong(directive, "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client")


def _sessions(frame: Frame, table: Written, reading: Reading) -> None:
    table["tickets"] = frame.flag("ssl_session_tickets", True)
    table["session_time"] = frame.seconds("ssl_session_timeout", SESSION_SECONDS) or 1
    files = frame.nearest("ssl_session_ticket_key")
    if files:
        table.put("ticket_keys", [reading.conf_path(one.args[0]) for one in files], files[0])
    directive = frame.last("ssl_session_cache")
    words = directive.args if directive is not None else ("none",)
    table.put("sessions", words[-1] not in ("none", "off"), directive)
    if directive is not None:
        for word in words:
            _cache(word, directive)
    table["rotate"] = not files and any(word.startswith("shared:") for word in words)


def _cache(word: str, directive: Directive) -> None:
    """What is right about a cache; its size is the library's affair."""
    kind, _, rest = word.partition(":")
    name, _, size = rest.partition(":")
    sound = word in ("off", "none", "builtin") or (kind == "builtin" and rest.isdigit())
    if kind == "shared" and name:
        try:
            sound = not size or values.size(size) > 0
        except ValueError:
            sound = False
        if sound and size and values.size(size) < _LEAST_CACHE:
            raise wrong(directive, f'session cache "{word}" is too small')
    if not sound:
        raise wrong(directive, f'invalid session cache "{word}"')


def _untaken(frame: Frame, reading: Reading) -> None:
    """What is read and has no effect, where somebody might think that it had."""
    for name in ("ssl_early_data", "ssl_certificate_compression"):
        directive = frame.last(name)
        if directive is not None and frame.flag(name, False) and directive in frame.directives:
            reading.warn(
                directive, f'"{name}" has no effect: this OpenSSL is not asked for it, and clients go on without'
            )
