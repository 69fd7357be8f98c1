"""The slice of filters over answers: gzip, charset, sub_filter, limit_rate, add_trailer, and what redirects look like.

Rules: nginx's defaults, where they are not those of TOML, are written.
"""

from __future__ import annotations

from typing import Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame, checked
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_ANY: Final = "http server location"
_IF: Final = f"{_ANY} if-location"
_PROXIED: Final = ("off", "expired", "no-cache", "no-store", "private", "no_last_modified", "no_etag", "auth", "any")
_TEXTS: Final = (
    "text/html", "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript", "application/rss+xml"
)  # fmt: skip
OLD: Final = r"MSIE [4-6]\.(?!.*SV1)"  # what "msie6" means

SPECS: Final[dict[str, Spec]] = {
    "gzip": spec(_IF, flag=True),
    "gzip_types": spec(_ANY, 1, None),
    "gzip_comp_level": spec(_ANY, 1),
    "gzip_min_length": spec(_ANY, 1),
    "gzip_http_version": spec(_ANY, 1),
    "gzip_proxied": spec(_ANY, 1, None),
    "gzip_vary": spec(_ANY, flag=True),
    "gzip_disable": spec(_ANY, 1, None, once=False),
    "gunzip": spec(_ANY, flag=True),
    "gunzip_buffers": spec(_ANY, 2),
    "charset": spec(_IF, 1),
    "source_charset": spec(_IF, 1),
    "override_charset": spec(_IF, flag=True),
    "charset_types": spec(_ANY, 1, None),
    "charset_map": spec("http", 2, block=True),
    "sub_filter": spec(_ANY, 2, once=False),
    "sub_filter_types": spec(_ANY, 1, None),
    "sub_filter_once": spec(_ANY, flag=True),
    "sub_filter_last_modified": spec(_ANY, flag=True),
    "limit_rate": spec(_IF, 1),
    "limit_rate_after": spec(_IF, 1),
    "add_trailer": spec(_IF, 2, 3, once=False),
    "add_trailer_inherit": spec(_IF, 1),
    "add_header": spec(_IF, 2, 3, once=False),
    "add_header_inherit": spec(_IF, 1),
    "chunked_transfer_encoding": spec(_ANY, flag=True),
    "absolute_redirect": spec(_ANY, flag=True),
    "port_in_redirect": spec(_ANY, flag=True),
    "server_name_in_redirect": spec(_ANY, flag=True),
}


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """What a location has of these."""
    table["compress"] = _compress(frame)
    table["decompress"] = frame.flag("gunzip", False)
    table["redirects"] = {
        "absolute": frame.flag("absolute_redirect", True),
        "port": frame.flag("port_in_redirect", True),
        "site_name": frame.flag("server_name_in_redirect", False),
    }
    _charset(frame, table, reading)
    _substitute(frame, table, reading)
    if frame.last("limit_rate") is not None:
        pace = Written(frame.last("limit_rate"))
        pace["rate"] = _bytes(frame, "limit_rate", reading)
        pace["after"] = _bytes(frame, "limit_rate_after", reading)
        table.put("pace", pace, frame.last("limit_rate"))
    if not frame.flag("chunked_transfer_encoding", True):
        table.put("chunked", False, frame.last("chunked_transfer_encoding"))
    for name in ("add_header", "add_trailer"):
        fields = [_field(one, reading) for one in inherited(frame, name)]
        if fields:
            table[f"{name}s"] = fields
    if frame.flag("proxy_force_ranges", False):
        table.put("force_ranges", True, frame.last("proxy_force_ranges"))


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """The same for what is answered before a location is found."""
    table["redirects"] = {
        "absolute": frame.flag("absolute_redirect", True),
        "port": frame.flag("port_in_redirect", True),
        "site_name": frame.flag("server_name_in_redirect", False),
    }


def inherited(frame: Frame, name: str) -> list[Directive]:
    """The directives that hold in a block, as NAME_inherit says: the nearest, none of outside, or all of them."""
    how = frame.choice(f"{name}_inherit", ("on", "off", "merge"), "on")
    own = frame.own(name)
    if how == "off":
        return own
    if how == "merge" and frame.parent is not None:
        return [*inherited(frame.parent, name), *own]
    return own or (inherited(frame.parent, name) if frame.parent is not None else [])


def _compress(frame: Frame) -> Written:
    table = Written(frame.last("gzip"))
    table["on"] = frame.flag("gzip", False)
    table["types"] = ["text/html", *(frame.words("gzip_types") or ())]
    table["level"] = frame.number("gzip_comp_level", 1, 1, 9)
    table["min_length"] = frame.size("gzip_min_length", 20)
    table["http"] = frame.choice("gzip_http_version", ("1.0", "1.1"), "1.1")
    table["vary"] = frame.flag("gzip_vary", False)
    directive = frame.last("gzip_proxied")
    words = directive.args if directive is not None else ("off",)
    if directive is not None:
        for word in words:
            checked(directive, lambda one: values.choice(one, _PROXIED), word)
    table["proxied"] = list(words)
    agents = [word for one in frame.nearest("gzip_disable") for word in one.args]
    table["unless"] = [OLD if word == "msie6" else word for word in agents if word != "degradation"]
    return table


def _charset(frame: Frame, table: Written, reading: Reading) -> None:
    directive = frame.last("charset")
    if directive is None or directive.args[0] == "off":
        return
    charset = Written(directive)
    charset["name"] = reading.text(directive.args[0], directive)
    types = frame.words("charset_types")
    charset["types"] = ["text/html", *types] if types is not None else list(_TEXTS)
    charset["override"] = frame.flag("override_charset", False)
    source = frame.last("source_charset")
    if source is not None and source.args[0] != "off":
        charset["source"] = reading.text(source.args[0], source)
    charset["maps"] = _maps(frame, reading)
    table.put("charset", charset, directive)


def _maps(frame: Frame, reading: Reading) -> dict[str, dict[str, str]]:
    """charset_map in both directions."""
    maps: dict[str, dict[str, str]] = {}
    for directive in frame.nearest("charset_map"):
        source, target = (word.lower() for word in directive.args)
        there, back = maps.setdefault(f"{source} {target}", {}), maps.setdefault(f"{target} {source}", {})
        for entry in directive.block or ():
            try:
                pair = bytes.fromhex(entry.name).hex(), bytes.fromhex(entry.args[0]).hex()
            except (ValueError, IndexError):
                reading.problem(entry, f'invalid value "{entry.name}"')
                continue
            there[pair[0]] = pair[1]
            back[pair[1]] = pair[0]
    return maps


def _substitute(frame: Frame, table: Written, reading: Reading) -> None:
    found = frame.nearest("sub_filter")
    if not found:
        return
    texts = Written(found[0])
    texts["replace"] = [[reading.text(word, one) for word in one.args] for one in found]
    texts["types"] = ["text/html", *(frame.words("sub_filter_types") or ())]
    texts["once"] = frame.flag("sub_filter_once", True)
    texts["last_modified"] = frame.flag("sub_filter_last_modified", False)
    table.put("substitute", texts, found[0])


def _bytes(frame: Frame, name: str, reading: Reading) -> str:
    directive = frame.last(name)
    if directive is None:
        return "0"
    word = directive.args[0]
    return reading.text(word, directive) if "$" in word else str(checked(directive, values.size, word))


def _field(directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    table.put("name", directive.args[0], directive)
    table.put("value", reading.text(directive.args[1], directive), directive)
    if len(directive.args) == 3:
        if directive.args[2] != "always":
            reading.problem(directive, f'invalid parameter "{directive.args[2]}"')
        table["always"] = True
    return table
