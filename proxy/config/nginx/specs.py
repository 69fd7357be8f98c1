"""Where a directive may stand, how many words it takes, and whether a tree of directives keeps to it.

Rules: a table names directives; a key such as "upstream/server" holds only inside that block and goes before the plain
one, since nginx has names of two meanings. Blocks whose entries are no directives (map, geo, types, ...) are not looked
into. Sentences begin with nginx's words; all problems are told. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from proxy.config.nginx import values
from proxy.config.nginx.parser import Directive
from proxy.config.source import Problem

CONTEXTS: Final = frozenset(
    ["main", "events", "http", "server", "location", "upstream", "if-server", "if-location", "limit_except"]
)
_OPENED: Final = ("events", "http", "server", "location", "upstream", "limit_except")  # blocks with directives inside

# What nginx has in modules that frontgate leaves out, by how their directives begin.
_FOREIGN: Final = {
    "fastcgi_": "FastCGI",
    "uwsgi_": "uwsgi",
    "scgi_": "SCGI",
    "grpc_": "gRPC by grpc_pass",
    "memcached_": "memcached",
    "perl": "Perl",
    "js_": "njs",
    "xslt_": "XSLT",
    "xml_entities": "XSLT",
    "image_filter": "image filter",
    "ssi": "SSI",
    "mp4": "MP4 streaming",
    "flv": "FLV streaming",
    "dav_": "WebDAV",
    "quic_": "QUIC",
    "http3": "HTTP/3",
    "mail": "mail proxy",
    "stream": "TCP and UDP proxy",
}

# What says who may come in: never left out, nor what may be one of these misspelt.
_SHUTS: Final = re.compile(
    r"(?:auth|access_by_lua|rewrite_by_lua|js_access|limit|modsecurity|secure|jwt|oidc|waf|testcookie|ssl_verify|ssl_ocsp|"
    r"allow|deny|geoip|disable_symlinks|Sec|Main|Basic|Check).*"
)
_NEAR: Final = (
    "allow", "deny", "internal", "satisfy", "auth_basic", "auth_request", "limit_except", "limit_req", "limit_conn",
    "valid_referers", "secure_link", "ssl_verify_client", "return", "proxy_pass", "rewrite", "if", "location",
)  # fmt: skip


class Spec(NamedTuple):
    """What nginx asks of one directive."""

    contexts: frozenset[str]
    least: int = 0  # words behind the name
    most: int | None = 0  # None: any number
    flag: bool = False  # the one word is "on" or "off"
    block: bool = False
    once: bool = True  # a second one in the same block is a duplicate
    only: str = ""  # the one first word that can be carried over


class Findings(NamedTuple):
    """What a check found: errors, and what a lenient one lets pass."""

    errors: list[Problem]
    warnings: list[Problem]


_SAME: Final = -1


def spec(
    contexts: str,
    least: int = 0,
    most: int | None = _SAME,
    *,
    flag: bool = False,
    block: bool = False,
    once: bool | None = None,
    only: str = "",
) -> Spec:
    """A Spec in short: `spec("http server location", 1)` takes one word, `1, 2` one or two, `1, None` one or more.

    Blocks may be repeated and others not, unless `once` says so. Raises ValueError for a context that there is none.
    """
    places = frozenset(contexts.split())
    if not places or not places <= CONTEXTS:
        raise ValueError(f"no such context: {contexts}")
    if flag:
        least, most = 1, 1
    return Spec(places, least, least if most == _SAME else most, flag, block, not block if once is None else once, only)


def joined(*tables: Mapping[str, Spec]) -> dict[str, Spec]:
    """One table of several; raises ValueError when two tell different things of the same name."""
    known: dict[str, Spec] = {}
    for table in tables:
        for name, one in table.items():
            if known.setdefault(name, one) != one:
                raise ValueError(f'"{name}" is specified twice')
    return known


def check(directives: Iterable[Directive], known: Mapping[str, Spec], lenient: bool = False) -> Findings:
    """Everything that is wrong with a tree; a lenient check only warns of what is unknown or cannot be carried over,
    unless that says who may come in."""
    checking = _Checking(known, lenient)
    checking.level(directives, "main")
    return checking.findings


def kind_inside(name: str, context: str) -> str:
    """The context inside a block of this name; "" when its entries are no directives."""
    if name == "if":
        return "if-server" if context in ("server", "if-server") else "if-location"
    return name if name in _OPENED else ""


class _Checking:
    """One walk over a tree."""

    def __init__(self, known: Mapping[str, Spec], lenient: bool) -> None:
        self.findings = Findings([], [])
        self._known = known
        self._lenient = lenient
        self._contexts: dict[str, frozenset[str]] = {}  # by plain name, from all its keys
        for key, one in known.items():
            name = key.rpartition("/")[2]
            self._contexts[name] = self._contexts.get(name, frozenset()) | one.contexts

    def level(self, directives: Iterable[Directive], context: str) -> None:
        """Check the directives of one block, and what is in theirs."""
        seen: dict[str, int] = {}
        for directive in directives:
            name = directive.name
            one = self._known.get(f"{context}/{name}") or (self._known.get(name) if "/" not in name else None)
            sentence = self._misplaced(directive, one, context)
            if one is None or sentence:
                found = self.findings.errors if name in self._contexts else self._left_out(name)
                found.append(directive.problem(sentence))
                continue
            if one.once and name in seen:
                sentence = f'"{name}" directive is duplicate (the other is in line {seen[name]})'
            seen.setdefault(name, directive.line)
            self._words(directive, one, sentence)
            if directive.block is not None and one.block:
                self._inside(directive.block, kind_inside(name, context))

    def _misplaced(self, directive: Directive, one: Spec | None, context: str) -> str:
        """Why a directive may not be here at all, or ""."""
        if one is not None and context in one.contexts:
            return ""
        name = directive.name
        if name not in self._contexts:
            return f'unknown directive "{name}"{self._hint(name)}'
        places = ", ".join(sorted(self._contexts[name]))
        return f'"{name}" directive is not allowed here (but in: {places})'

    def _words(self, directive: Directive, one: Spec, duplicate: str) -> None:
        """Check what belongs to the directive itself, in nginx's order: one error for each."""
        name, words, most = directive.name, len(directive.args), one.most
        errors = self.findings.errors
        if directive.block is not None and not one.block:
            errors.append(directive.problem(f'directive "{name}" is not terminated by ";"'))
        elif directive.block is None and one.block:
            errors.append(directive.problem(f'directive "{name}" has no opening "{{"'))
        elif words < one.least or (most is not None and words > most):
            errors.append(directive.problem(f'invalid number of arguments in "{name}" directive'))
        elif duplicate:
            errors.append(directive.problem(duplicate))
        elif one.flag and directive.args[0].lower() not in ("on", "off"):
            errors.append(directive.problem(values.wrong_flag(name, directive.args[0])))
        elif one.only and directive.args[0].lower() != one.only:
            sentence = f'"{name}" directive is supported as "{name} {one.only}" alone'
            self._left_out(name).append(directive.problem(sentence))

    def _left_out(self, name: str) -> list[Problem]:
        """Where it is told that something is not there: as a warning, if it may be left out."""
        shuts = _SHUTS.fullmatch(name) or difflib.get_close_matches(name, _NEAR, n=1, cutoff=0.75)
        return self.findings.warnings if self._lenient and not shuts else self.findings.errors

    def _inside(self, block: list[Directive], context: str) -> None:
        if context:
            self.level(block, context)
            return
        for entry in block:
            if entry.block is not None:
                self.findings.errors.append(entry.problem('unexpected "{"'))

    def _hint(self, name: str) -> str:
        """What was perhaps meant, or what frontgate leaves out."""
        for start, what in _FOREIGN.items():
            if name.startswith(start):
                return f" (frontgate has no {what})"
        close = difflib.get_close_matches(name, self._contexts, n=1, cutoff=0.75)
        return f' (did you mean "{close[0]}"?)' if close else ""
