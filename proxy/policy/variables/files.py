"""Variables that speak of files: where a route's are, and which one the URI means."""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.policy.template import Getter
from proxy.policy.variables.request import uri


def _root(exchange: Exchange) -> bytes | None:
    folder = exchange.route.folder
    return None if folder is None else folder.base(exchange)


def _real(exchange: Exchange) -> bytes | None:
    folder = exchange.route.folder
    base = None if folder is None else folder.base(exchange)
    return None if folder is None or base is None else folder.real(base)


def _file(exchange: Exchange) -> bytes | None:
    folder = exchange.route.folder
    return None if folder is None else folder.file(exchange, uri(exchange))


KNOWN: Final[dict[str, Getter]] = {"document_root": _root, "realpath_root": _real, "request_filename": _file}
