"""What the makers of sites and routes share: the parts of a Runtime that are there already, and the spot one is at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from proxy import catalog
from proxy.build.logs import Logs
from proxy.build.place import Place
from proxy.build.redis import Sharing
from proxy.build.standing import Standing
from proxy.build.tracing import Traces
from proxy.config import model as config
from proxy.config.model import Model
from proxy.ledger import Ledger
from proxy.policy.routing import Site
from proxy.policy.template import Template, Vocabulary
from proxy.shared.limit import Limit
from proxy.upstream.dns import Dns
from proxy.upstream.dynamic import Kept
from proxy.upstream.group import Group

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Parts:
    """What is there when sites are made. `limits` are those with a rate, by name; `logs` makes access logs."""

    model: Model
    place: Place
    ledger: Ledger
    limits: Mapping[str, Limit]
    upstreams: Mapping[str, Group]
    logs: Logs
    vocabulary: Vocabulary
    kept: Kept
    standing: Standing
    sharing: Sharing
    traces: Traces
    resolvers: dict[object, Dns] = field(default_factory=dict)  # by their settings

    @property
    def hears(self) -> bool:
        """Whether the strategy of some upstream wants to hear of answers and ends."""
        return any(catalog.hears(table) for table in self.model.upstream.values())

    def template(self, text: str) -> Template:
        """A text of the configuration that may hold $variables."""
        return self.vocabulary.template(text)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a route is made: its site's name and table, the Site itself (made first, and empty yet), and its table."""

    name: str
    table: config.Site
    site: Site
    route: config.Route

    def said(self, key: str, default: Value) -> Value:
        """What the route says of a key that its site may say too; else what the site says; else the default."""
        for table in (self.route, self.table):
            value: Value | None = getattr(table, key)
            if value is not None:
                return value
        return default
