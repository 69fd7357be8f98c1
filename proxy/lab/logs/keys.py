"""What a line of an access log counts by: the keys of limits, found in what was logged; and the routes by their paths.

Rules: an address counts as production counts it (`policy.limit.keys`), IPv6 by its network. A key that is empty is not
limited; a field that no line has is a mistake, and is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, Final

from proxy.lab.logs.entry import Entry
from proxy.lab.logs.file import AccessLog
from proxy.lab.logs.line_format import Values
from proxy.parties import Client
from proxy.policy.limit import keys

Shown = Callable[[bytes], str]  # a key, for people
OURS: Final = {"user-agent": "user_agent", "referer": "referer", "host": "host"}  # fields that our JSON has
FORMS: Final = "address, header:NAME, cookie:NAME, site or route"


class Keyed:
    """Reads keys of one kind: "address", "header:NAME", "cookie:NAME", "site" or "route"."""

    def __init__(self, key: str, ipv6_prefix: int = 64) -> None:
        """ValueError with a sentence."""
        kind, _, self.name = key.partition(":")
        if (kind in ("header", "cookie")) != bool(self.name) or kind not in (
            "address", "header", "cookie", "site", "route"
        ):  # fmt: skip
            raise ValueError(f'there is no key "{key}": write {FORMS}')
        self.key = key
        self.ipv6_prefix = ipv6_prefix
        self.found = 0  # lines that have the field
        self.without = 0  # requests that have no key
        self._network = keys.address(ipv6_prefix)
        self._known: dict[str, bytes] = {}
        self._read: Callable[[Entry, Values], bytes] = getattr(self, f"_{kind}")

    def __call__(self, entry: Entry, values: Values) -> bytes:
        """The key of a request; empty: it is not limited."""
        return self._read(entry, values)

    def _address(self, entry: Entry, values: Values) -> bytes:
        self.found += 1
        key = self._known.get(entry.client)
        if key is None:
            try:
                packed = ip_address(entry.client).packed
            except ValueError:
                packed = b""
            asked: Any = SimpleNamespace(client=Client(entry.client.encode(), packed, b"", b""))
            key = self._known[entry.client] = self._network(asked)
        return key

    def _header(self, entry: Entry, values: Values) -> bytes:
        lower = self.name.lower()
        for name in (f"http_{lower.replace('-', '_')}", OURS.get(lower, lower), self.name):
            if name in values:
                self.found += 1
                return _text(values[name])
        return b""

    def _cookie(self, entry: Entry, values: Values) -> bytes:
        name = f"cookie_{self.name}"
        self.found += name in values
        return _text(values.get(name))

    def _site(self, entry: Entry, values: Values) -> bytes:
        for name in ("site", "server_name", "host", "http_host"):
            if name in values:
                self.found += 1
                return _text(values[name])
        return b""

    def _route(self, entry: Entry, values: Values) -> bytes:
        self.found += 1
        return b"route"

    def shown(self, key: bytes) -> str:
        """A key for people: an address, with its network if it stands for one."""
        if self.key != "address" or len(key) not in (4, 16):
            return key.decode("utf-8", "replace")
        address = str(ip_address(key))
        return address if len(key) == 4 or self.ipv6_prefix == 128 else f"{address}/{self.ipv6_prefix}"


def _text(value: Any) -> bytes:
    return b"" if value in (None, "", "-") else str(value).encode()


class Routes:
    """Which route a path belongs to: the longest prefix, as production has it. Without any, all are one."""

    def __init__(self, prefixes: Sequence[str], alone: str = "clients") -> None:
        """`alone` is the name when there are no prefixes."""
        self._alone = alone
        self._names: dict[str, str] = {}
        for prefix in prefixes:
            name = re.sub(r"[^a-z0-9_]+", "_", prefix.lower()).strip("_") or "rest"
            while name in self._names.values():
                name += "_"
            self._names[prefix] = name
        self.prefixes = sorted(self._names, key=len, reverse=True)
        self.others = 0  # requests that are of none of these

    def __call__(self, target: str) -> str | None:
        """The name of the route; None: it is none of these."""
        if not self.prefixes:
            return self._alone
        path = target.partition("?")[0]
        return next((self._names[prefix] for prefix in self.prefixes if path.startswith(prefix)), None)

    def prefix(self, name: str) -> str:
        """The prefix of a name."""
        return next((prefix for prefix, own in self._names.items() if own == name), "/")


def arrivals(log: AccessLog, keyed: Keyed, routes: Routes) -> Iterator[tuple[str, bytes, int]]:
    """Of each request the name of its route, its key, and when it came, in milliseconds since 1970."""
    for entry, values in log.entries():
        name = routes(entry.target)
        key = keyed(entry, values)
        if name is None:
            routes.others += 1
        elif not key:
            keyed.without += 1
        else:
            came = entry.end if log.coarse or entry.took < 0.0 else entry.end - entry.took
            yield name, key, round(came * 1000)
