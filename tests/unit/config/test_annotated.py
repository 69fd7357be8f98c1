"""config/frontgate.toml says that its values are the defaults: they are, but for a table of intended differences."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from proxy.config.model import Model
from proxy.config.sentences import field_class
from proxy.config.source import Where
from proxy.config.toml import load

FILE = Path(__file__).resolve().parents[3] / "config" / "frontgate.toml"

# Keys that have a default and another value here, each told in its comment, and what is written.
INTENDED: dict[str, Any] = {
    "workers": 2,
    "admin.listen": "127.0.0.1:9000",
    "log.format": "json",
    "listen.web.tls": True,
    "listen.plain.redirect": "https",
    "limit.per_address.burst": 20,
    "limit.per_address.nodelay": True,
    "limit.login.burst": 5,
    "limit.login.nodelay": True,
    "upstream.app.balance": "least_conn",
    "upstream.app.keepalive_timeout": "60s",
    "upstream.app.retry.attempts": 2,
    "upstream.app.health.path": "/healthz",
    "upstream.app.fallback.body": "We will be back in a minute.\n",
    "limit.per_address.rate": "10r/s",
    "limit.login.rate": "30r/m",
    "site.api.default": True,
}
# Whose default is told elsewhere: in the line below, or in the heading of their table.
UNTOLD = (
    "upstream.app.keepalive_timeout",
    "upstream.app.fallback.body",
    "limit.per_address.rate",
)
# Where everything written is an example: a site, its routes, and the servers.
EXAMPLES = ("upstream.app.servers", "site.api.")


def written(tables: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Every key with a value that is no table, and the value."""
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from written(value, (*where, key))
        else:
            yield (*where, key), value


def differences() -> dict[str, Any]:
    """The keys of the file, but for examples, that have a default and whose value is another one."""
    tables = tomllib.loads(FILE.read_text())
    model = load(FILE)[0]
    found = {}
    for where, value in written(tables):
        name = ".".join(map(str, where))
        if name not in INTENDED and name.startswith(EXAMPLES):
            continue
        kind, place = field_class(where[:-1]), model
        assert isinstance(kind, type) and issubclass(kind, BaseModel)
        for part in where:
            place = place[part] if isinstance(place, dict) else getattr(place, str(part))
        field = kind.model_fields[str(where[-1])]
        if not field.is_required() and field.get_default() != place:
            found[name] = value
    return found


def test_values_are_the_defaults_but_for_the_intended_ones() -> None:
    assert differences() == INTENDED


def test_the_first_of_a_kind_tells_the_default_beside_another_value() -> None:
    text, source = FILE.read_text().splitlines(), load(FILE)[1]
    for name in INTENDED:
        comment = text[source.line(tuple(name.split("."))) - 1].partition("#")[2]
        assert name.startswith("limit.login.") or "default" in comment or name in UNTOLD, name


def test_every_setting_that_is_not_of_a_route_is_written_or_spoken_of() -> None:
    text = FILE.read_text()
    for table in (Model, *(field_class((name,)) for name in ("admin", "log", "timeouts", "buffer", "http"))):
        assert [key for key in table.model_fields if key not in text] == []


def test_it_is_sound(tmp_path: Path) -> None:
    copy = tmp_path / "frontgate.toml"
    shutil.copy(FILE, copy)
    assert load(copy)[0].timeouts.tunnel == 3600.0
