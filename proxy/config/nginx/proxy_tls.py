"""The slice of TLS with backends (proxy_ssl_*).

Rules: those of ngx_http_proxy_module. It matters where proxy_pass says https, or may say it by variables.
"""

from __future__ import annotations

import os
from typing import Final

from proxy.config.nginx.frame import Frame, wrong
from proxy.config.nginx.proxy_pass import said
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.tls import commands, file, pem, protocols
from proxy.config.nginx.written import Written

_ANY: Final = "http server location"

SPECS: Final[dict[str, Spec]] = {
    "proxy_ssl_certificate": spec(_ANY, 1),
    "proxy_ssl_certificate_cache": spec(_ANY, 1, 3),
    "proxy_ssl_certificate_key": spec(_ANY, 1),
    "proxy_ssl_ciphers": spec(_ANY, 1),
    "proxy_ssl_conf_command": spec(_ANY, 2, once=False),
    "proxy_ssl_crl": spec(_ANY, 1),
    "proxy_ssl_name": spec(_ANY, 1),
    "proxy_ssl_password_file": spec(_ANY, 1),
    "proxy_ssl_protocols": spec(_ANY, 1, None),
    "proxy_ssl_server_name": spec(_ANY, flag=True),
    "proxy_ssl_session_reuse": spec(_ANY, flag=True),
    "proxy_ssl_trusted_certificate": spec(_ANY, 1),
    "proxy_ssl_verify": spec(_ANY, flag=True),
    "proxy_ssl_verify_depth": spec(_ANY, 1),
}


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """How a location speaks TLS with its backends."""
    directive = said(frame)[1]
    if directive is None or "proxy" not in table:
        return
    if "$" not in directive.args[0] and not directive.args[0].lower().startswith("https:"):
        return
    tls = table["proxy"]["tls"] = Written(frame.directive)
    tls["folder"] = os.path.dirname(reading.files.main)
    tls["verify"] = frame.flag("proxy_ssl_verify", False)
    tls["depth"] = frame.number("proxy_ssl_verify_depth", 1)
    file(frame, "proxy_ssl_trusted_certificate", tls, "trusted_ca", reading)
    file(frame, "proxy_ssl_crl", tls, "crl", reading)
    if tls["verify"] and "trusted_ca" not in tls:
        raise wrong(directive, "no proxy_ssl_trusted_certificate for proxy_ssl_verify")
    name = frame.last("proxy_ssl_name")
    if name is not None:
        tls.put("name", reading.text(name.args[0], name), name)
    tls["server_name"] = frame.flag("proxy_ssl_server_name", False)
    certificate, key = frame.last("proxy_ssl_certificate"), frame.last("proxy_ssl_certificate_key")
    if certificate is not None and certificate.args[0]:
        if key is None:
            text = f'no "proxy_ssl_certificate_key" is defined for certificate "{certificate.args[0]}"'
            raise wrong(certificate, text)
        tls.put("certificate", pem(certificate, reading), certificate)
        tls.put("key", pem(key, reading), key)
    file(frame, "proxy_ssl_password_file", tls, "passwords", reading)
    tls["protocols"] = protocols(frame, "proxy_ssl_protocols")
    tls.put("ciphers", frame.word("proxy_ssl_ciphers", "DEFAULT"), frame.last("proxy_ssl_ciphers"))
    tls["reuse"] = frame.flag("proxy_ssl_session_reuse", True)
    commands(frame, "proxy_ssl_conf_command", tls, reading)
