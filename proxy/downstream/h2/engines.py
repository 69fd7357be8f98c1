"""The engines that are there, and the one that is used.

Rules: the fast one where its library is installed, in a version that our suite was run on; else the careful one;
without either there is no HTTP/2, and a configuration that asks for it is refused at load.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from proxy.downstream.h2.engine import Engine, Hearer

Make = Callable[[Hearer], Engine]

NAMES: Final = {"ngh2": ("by_ngh2", "Ngh2Engine"), "h2": ("by_h2", "H2Engine")}


def found() -> dict[str, Make]:
    """The engines whose libraries can be imported, the best first."""
    engines: dict[str, Make] = {}
    for name, (module, kind) in NAMES.items():
        try:
            engines[name] = getattr(importlib.import_module(f"proxy.downstream.h2.{module}"), kind)
        except ImportError:
            continue
    return engines


ENGINES: Final = found()
"""Those, by name."""


def best() -> Make | None:
    """The one that is used unless something else is said."""
    return next(iter(ENGINES.values()), None)
