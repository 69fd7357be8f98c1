"""Where a route's files are: how a path becomes the name of a file (nginx's `root` and `alias`).

Rules: pure; nothing is looked at here. With a root the whole path is appended, with an alias what stands behind the
route's own path, or nothing when that is an expression. A name that would climb out of the folder is None: a path has
been decoded once and has no dot segments any more, but what is cut off or captured from it may begin with one.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.exchange import Exchange
from proxy.policy.template import Template


class Folder:
    """A folder; `cut` is how many bytes of the path an alias stands for, or WHOLE when it names the file itself."""

    __slots__ = ("alias", "constant", "cut", "real", "root", "whole")

    def __init__(
        self,
        root: Template,
        *,
        alias: bool = False,
        cut: int = 0,
        whole: bool = False,
        real: Callable[[bytes], bytes | None] = lambda path: path,
    ) -> None:
        self.real = real  # the same folder without links in its name, which only the system knows
        self.root = root
        self.alias = alias
        self.cut = cut if alias else 0
        self.whole = whole
        self.constant = None if root.constant is None or whole else self._ended(root.constant)

    def base(self, exchange: Exchange) -> bytes | None:
        """The folder itself ($document_root); None when variables would lead out of what is written."""
        if self.constant is not None:
            return self.constant
        base = self._ended(self.root(exchange))
        return None if (climbs(base) and not climbs(self.root.text.encode())) or b"\0" in base else base

    def file(self, exchange: Exchange, uri: bytes) -> bytes | None:
        """The file of a path ($request_filename)."""
        base = self.base(exchange)
        if base is None or self.whole:
            return base
        return self.named(base, uri)

    def named(self, base: bytes, uri: bytes) -> bytes | None:
        """The file of a path below a base that has been found already."""
        rest = uri[self.cut :] if self.cut else uri
        if not self.alias and not rest.startswith(b"/"):  # as a rewrite may leave it: not a neighbour of the folder
            rest = b"/" + rest
        return None if climbs(rest) or b"\0" in rest else base + rest

    def _ended(self, base: bytes) -> bytes:
        return base[:-1] if not self.alias and base.endswith(b"/") else base


def climbs(path: bytes) -> bool:
    """Whether a segment of a path is `..`."""
    return b".." in path and b".." in path.split(b"/")
