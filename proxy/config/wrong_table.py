"""Where a key belongs that stands in the wrong table, such as `workers` at the end of a file, below a site.

Rules: pure; the Model itself is walked, so a new key is known here at once. Nearer tables come first, and names that
the reader has written are kept: `read` in [site.api] belongs to [site.api.timeouts].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel

from proxy.config.model import Model
from proxy.config.source import Where

MOST: Final = 2  # tables that are named
NAME: Final = "NAME"  # stands for whatever a listener, limit, upstream or site is called


def belongs(where: Where) -> list[Where]:
    """The tables that have the last key of a path, the nearest first; none if no table has it."""
    key = str(where[-1])
    here = tuple(part for part in where[:-1] if isinstance(part, str))
    homes = [_named(table, here) for table, keys in _tables((), Model) if key in keys]
    homes.sort(key=lambda home: (-_shared(home, here), len(home)))
    closest = [home for home in homes if _shared(home, here) == _shared(homes[0], here)]
    return list(closest[:MOST])


def _tables(
    where: tuple[str, ...], kind: type[BaseModel], around: tuple[type[BaseModel], ...] = ()
) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Every table of the Model, and the keys it has; a table inside its own kind is not told twice."""
    yield where, {field.alias or key for key, field in kind.model_fields.items()}
    for key, field in kind.model_fields.items():
        for inner, named in _models(field.annotation):
            if inner is not kind and inner not in around:
                yield from _tables((*where, key, NAME) if named else (*where, key), inner, (*around, kind))


def _models(annotation: Any, named: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    """The tables in an annotation, and whether each has a name of its own: a mapping's values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, named
        return
    mapping = len(get_args(annotation)) == 2 and hasattr(annotation, "__origin__") and _is_mapping(annotation)
    for inner in get_args(annotation):
        yield from _models(inner, named or mapping)


def _is_mapping(annotation: Any) -> bool:
    return hasattr(annotation.__origin__, "keys")


def _named(table: tuple[str, ...], here: tuple[str, ...]) -> tuple[str, ...]:
    """A table with the name that is written, as far as it lies on the way to `here`."""
    return (*here[:2], *table[2:]) if table[1:2] == (NAME,) and table[:1] == here[:1] and len(here) > 1 else table


def _shared(home: tuple[str, ...], here: tuple[str, ...]) -> int:
    """How many steps from the top two paths have in common."""
    steps = [one == other for one, other in zip(home, here, strict=False)]
    return steps.index(False) if False in steps else len(steps)
