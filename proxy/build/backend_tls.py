"""Makes what TLS to backends is spoken with: a context, and the name that a backend is told.

Rules: `speech` is asked for each exchange, and its answers tell links apart; whoever gets the same pair may have the
link of another. None says that there can be no link, and the attempt fails. What is wrong with files that are named
without variables is told at load.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from typing import Final

from proxy.config.tls import DATA, BackendTls
from proxy.exchange import Exchange
from proxy.policy.template import Template, Vocabulary
from proxy.upstream.resolve import literal
from proxy.upstream.tls import Calling, calling

Speech = Callable[[Exchange], "tuple[Calling, str] | None"]

_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")

log = logging.getLogger("frontgate")


def speech(table: BackendTls, vocabulary: Vocabulary) -> Speech:
    """What is spoken with the backends of a table. ValueError with a sentence."""
    name = vocabulary.template(table.name) if table.name is not None else None
    certificate, key = vocabulary.template(table.certificate or ""), vocabulary.template(table.key or "")
    settled: dict[str, Calling] = {}  # by name, when nothing else can differ
    fixed = certificate.constant is not None and key.constant is not None
    if fixed:
        calling(table, "", table.certificate or "", table.key or "")

    def found(exchange: Exchange) -> tuple[Calling, str] | None:
        asked = _asked(exchange, name)
        if table.verify and not asked:
            return None
        told = asked if table.server_name and not literal(asked) else ""
        kept = settled.get(asked)
        if kept is not None:
            return kept, told
        try:
            made = calling(table, asked, _path(certificate(exchange), table), _path(key(exchange), table))
        except ValueError as error:
            log.error("%s while a backend was called", error)
            return None
        if fixed and len(settled) < 1024:
            settled[asked] = made
        return made, told

    return found


def _asked(exchange: Exchange, name: Template | None) -> str:
    """What the backend is called, without a port; "" when that is nothing one can be called."""
    composer = exchange.route.composer
    if name is not None:
        text = name(exchange)
    else:
        text = composer.whereto(exchange).host if composer is not None else b""
    asked = text.decode("latin-1")
    if not asked.startswith("["):
        asked = asked.partition(":")[0]
    elif "]" in asked:
        asked = asked[1 : asked.index("]")]
    return asked if literal(asked) or _NAME.fullmatch(asked) else ""


def _path(text: bytes, table: BackendTls) -> str:
    path = os.fsdecode(text)
    return path if not path or path.startswith(DATA) else os.path.join(table.folder or "", path)
