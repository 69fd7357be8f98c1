"""The callbacks of httptools for heads, of requests and responses alike: the readers of both rooms share it."""

from __future__ import annotations

from proxy.http.message import Field


class Collector:
    """Gathers the fields of a head and notes that it is `whole`; what comes behind it, a trailer say, is no field."""

    __slots__ = ("fields", "whole")

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field, in the sender's case."""
        if not self.whole:
            self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The empty line."""
        self.whole = True
