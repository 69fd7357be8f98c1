"""The configuration in force, key by key, with the file and line each value came from.

Rules: defaults are told too, and told apart. Secrets are not shown: what their keys are called, private keys and
passwords that are written into the configuration itself, the user part of URLs, and values of fields that carry them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from proxy.admin.shapes import Configuration, Value
from proxy.config.model import Model
from proxy.config.source import Source, Where

HIDDEN: Final = "(secret)"
SECRET_KEYS: Final = re.compile(
    r"(?i)(^|[_-])(secret|signed|password|passphrase|passwd|token|hmac|credential|api[_-]?key|authorization)s?$"
)
SECRET_PLACES: Final = frozenset([("acme", "eab", "key")])
FIELD_TABLES: Final = frozenset(("set", "add"))  # whose keys are names of header fields
ENVIRONMENT: Final = "env"  # of applications: any of it may be a secret
COLLECTOR: Final = ("trace", "export", "headers")  # so may any field for a collector: each calls its key otherwise
SECRET_FIELDS: Final = re.compile(
    r"(?i)authorization|cookie|token|secret|password|api[-_]?key|credential|signature|dsn"
)
FILES: Final = frozenset(("token", "read_token", "passwords"))  # of which only the path is written
_USER: Final = re.compile(r"(?<=://)[^/@\s]*@")
_REDIS_USER: Final = re.compile(r"(?<=://)\S*@")  # its password may hold what another URL's may not
_PASSWORD: Final = re.compile(r"(?i)(?<=password=)[^&\s]+")
_CREDENTIALS: Final = re.compile(r"(?i)^(basic|bearer)\s+\S")
_FIRST: Final = frozenset(("address", "name", "path", "to"))  # keys that a text alone may stand for


def configuration(model: Model) -> Configuration:
    """All keys of a Model, those that were written first in each table as they stand in it."""
    origin = model.origin
    return Configuration(file=origin.file or None, values=list(_values(model, (), origin)))


def _values(value: Any, where: Where, source: Source) -> Iterator[Value]:
    """The keys of a table, of a mapping, or of an array of tables; else the value itself."""
    if isinstance(value, BaseModel):
        named = str(getattr(value, "name", "") or "") if "value" in type(value).model_fields else ""
        for key in type(value).model_fields:
            place = (*where, _written(type(value), key))
            if key == "value" and SECRET_FIELDS.search(named):  # of a header field
                yield _value(HIDDEN, place, source, True)
            else:
                yield from _values(getattr(value, key), place, source)
    elif isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _values(one, (*where, str(key)), source)
    elif isinstance(value, tuple | list) and any(isinstance(one, BaseModel | Mapping) for one in value):
        for index, one in enumerate(value):
            yield from _values(one, (*where, index), source)
    else:
        yield _value(value, where, source)


def _value(value: Any, where: Where, source: Source, hidden: bool = False) -> Value:
    said = where in source.positions or _said_in_short(where, source)
    position = source.position(where) if said else None
    hidden = hidden or secret(where, value)
    return Value(
        key=".".join(map(str, where)),
        value=HIDDEN if hidden else _plain(value),
        file=(position.file or source.file or None) if position is not None else None,
        line=position.line or None if position is not None else None,
        said=said,
        secret=hidden,
    )


def _said_in_short(where: Where, source: Source) -> bool:
    """Whether it is the first key of an element that is written as a text alone."""
    return len(where) > 1 and isinstance(where[-2], int) and where[:-1] in source.positions and where[-1] in _FIRST


def secret(where: Where, value: Any) -> bool:
    """Whether a value is not to be shown."""
    if value is None or value in ("", (), False, True):
        return False
    words = tuple(str(part) for part in where)
    if words in SECRET_PLACES or ENVIRONMENT in words[:-1] or words[:-1] == COLLECTOR:
        return True
    if isinstance(value, str) and (value.startswith("data:") or "PRIVATE KEY" in value or _CREDENTIALS.match(value)):
        return True
    named = [word for word in words if not word.isdigit()]
    inside = any(word in FIELD_TABLES for word in named[:-1])
    if inside and named and SECRET_FIELDS.search(named[-1]):
        return True
    last = named[-1] if named else ""
    return bool(SECRET_KEYS.search(last)) and last not in FILES and not isinstance(value, int | float)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, str):
        user = _REDIS_USER if value.startswith(("redis", "unix://")) else _USER
        return _PASSWORD.sub(HIDDEN, user.sub(f"{HIDDEN}@", value))
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return value if isinstance(value, int | float | bool) or value is None else str(value)


def _written(kind: type[BaseModel], key: str) -> str:
    """A key as it is written in the configuration."""
    alias = kind.model_fields[key].alias
    return alias if isinstance(alias, str) else key
