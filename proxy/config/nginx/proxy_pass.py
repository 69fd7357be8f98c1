"""Where proxy_pass leads: an upstream, perhaps with a URI that takes the place of the location's, or a URL with
variables.

Rules: those of ngx_http_proxy_pass and of the merge behind it. A location inside another does not inherit it; an `if`
or `limit_except` block does, with the location that it was said for.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.config.nginx import addresses, core
from proxy.config.nginx.frame import Frame, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.resolver import resolver
from proxy.config.nginx.upstream import implicit
from proxy.config.nginx.written import Written

_BLOCKS: Final = ("if-location", "limit_except")
_URL: Final = re.compile(r"(https?)://(unix:[^:]*(?::|$)|[^/?]*)(.*)", re.IGNORECASE | re.DOTALL)


def passed(frame: Frame, table: Written, proxy: Written, reading: Reading) -> bool:
    """Write the destination into the table, and into `proxy` what follows from it; False when there is none."""
    around, directive = said(frame)
    if directive is None:
        return False
    text = directive.args[0]
    if "$" in text:
        table.put("url", reading.text(text, directive), directive)
        proxy["tls"] = _tls(directive)
        found = resolver(frame)
        if found is not None:
            table["resolver"] = found
        return True
    match = _URL.fullmatch(text)
    if match is None:
        raise wrong(directive, "invalid URL prefix")
    scheme, place, uri = match[1].lower(), match[2], match[3]
    if scheme == "https":
        proxy["tls"] = _tls(directive)
    _upstream(scheme, place, directive, table, proxy, reading)
    path = _path(around)
    if uri:
        if path is None:
            raise wrong(
                directive,
                '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, '
                'or inside "if" statement, or inside "limit_except" block',
            )
        proxy.put("path", f"/{uri}" if uri.startswith("?") else uri, directive)
        proxy["replaces"] = path
    default = proxy["default"] = Written(directive)
    default["from"], default["to"] = (text, path) if uri else (f"{text}/", "/")
    return True


def _tls(directive: Directive) -> Written:
    """What nginx speaks with https backends by default."""
    table = Written(directive)
    table.update(verify=False, server_name=False)
    return table


def said(frame: Frame) -> tuple[Frame, Directive | None]:
    """The block whose proxy_pass holds here, and that."""
    around: Frame | None = frame
    while around is not None:
        own = around.own("proxy_pass")
        if own:
            return around, own[-1]
        if around.name not in _BLOCKS:
            break
        around = around.parent
    return frame, None


def _path(frame: Frame) -> str | None:
    """The path of a location that has one."""
    if frame.name != "location" or frame.directive is None:
        return None
    table = Written()
    core.location(frame.directive, table, _Silent)  # type: ignore[arg-type]  # it was read before
    return table["path"] if table["match"] in ("prefix", "first", "exact") else None


class _Silent:
    """Takes what a location says a second time."""

    @staticmethod
    def expression(text: str) -> str:
        """Known already."""
        return text

    @staticmethod
    def problem(directive: Directive, sentence: str) -> None:
        """Told already."""


def _upstream(scheme: str, place: str, directive: Directive, table: Written, proxy: Written, reading: Reading) -> None:
    host, port = place, 0
    if place.lower().startswith("unix:"):
        host = place.rstrip(":")
        name, number = "localhost", None
    else:
        try:
            found = addresses.url(place)
        except ValueError as error:
            raise wrong(directive, f'{error} in upstream "{place}"') from None
        port = found.port
        host = f"[{found.host}]" if ":" in found.host else found.host
        standard = addresses.PORTS[scheme]
        name, number = (place if port not in (0, standard) else host), port or standard
    table.put("upstream", implicit(reading, scheme, host, port, directive), directive)
    proxy["name"] = name
    if number is not None:
        proxy["port"] = number
