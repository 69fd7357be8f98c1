"""Looks whether the files of certificates have changed, such as those that certbot renews, and when they end.

Rules: a file is the same while its number, size and time are; links are followed. Files that cannot be read any more
have changed too. A configuration in nginx's language behaves like nginx: its files are read at a reload alone, but for
what is ordered.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from proxy.config import expiry
from proxy.config.acme import MARK, certificate_file
from proxy.config.model import Model
from proxy.downstream.tls import watched

LOOK: Final = 10.0  # seconds between two looks


class Watch:
    """The state of these files when they were looked at last."""

    def __init__(self) -> None:
        self._marks: dict[str, object] = {}

    @property
    def paths(self) -> tuple[str, ...]:
        """The files."""
        return tuple(self._marks)

    def changed(self, model: Model) -> bool:
        """Whether any has changed since the last look; remember how they are now."""
        files = watched(model) if model.log.style != "nginx" or model.ordered else []
        marks = {path: _mark(path) for path in files}
        before, self._marks = self._marks, marks
        return before != marks


def _mark(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def shown(model: Model, pems: Mapping[str, bytes]) -> tuple[tuple[str, str, float], ...]:
    """The certificates of sites, each with its site, its file or mark, and when the first of its chain ends; 0 for what
    only stands in for one."""
    found = []
    for name, site in model.site.items():
        for certificate, _ in site.pairs:
            try:
                ends = expiry.ends(pems.get(certificate, b""))
            except (ValueError, IndexError):
                continue
            path = certificate_file(model.acme.folder, certificate.removeprefix(MARK))
            there = not site.ordered or os.path.exists(path)
            if ends:
                found.append((name, certificate, min(ends) if there else 0.0))
    return tuple(found)
