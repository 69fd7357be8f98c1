"""Answers an authority that looks whether a name is ours (HTTP-01, RFC 8555 section 8.3).

Rules: what is answered lies in a file that the keeper of this host, or of another that shares the folder, has put
there. Only what looks like a token is ever looked for. A token that nobody knows may be somebody else's affair, so the
request goes on its way.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from proxy.config.acme import TOKENS, token_file
from proxy.exchange import Exchange
from proxy.verdict import Reply, Verdict

_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{16,200}")
_PATH: Final = TOKENS.encode()
MOST: Final = 1024  # bytes


class Tokens:
    """The step. `folder` is that of [acme]."""

    __slots__ = ("_folder",)

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, exchange: Exchange) -> Verdict:
        """Answer for a token that is known."""
        path = exchange.line.path
        if not path.startswith(_PATH):
            return None
        token = path[len(_PATH) :]
        if not _TOKEN.fullmatch(token):
            return None
        try:
            text = Path(token_file(self._folder, token.decode())).read_bytes()
        except OSError:
            return None
        return Reply(200, text[:MOST], content_type=b"application/octet-stream")
