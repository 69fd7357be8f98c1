"""The engines that are there, and the one that is used.

Rules: the fast one where its library is installed, in a version that our suite was run on; else a careful one, `jh2`
before `h2`, since its compression is native; a configuration may name another. Without any there is no HTTP/2, and a
configuration that asks for it is refused at load.
"""

from __future__ import annotations

import importlib
from typing import Final

from proxy.downstream.h2.engine import Make

NAMES: Final = {"ngh2": "by_ngh2", "jh2": "by_h2", "h2": "by_h2"}


def found() -> dict[str, Make]:
    """The engines whose libraries can be imported, the best first."""
    engines: dict[str, Make] = {}
    for name, module in NAMES.items():
        try:
            engines[name] = importlib.import_module(f"proxy.downstream.h2.{module}").engine_of(name)
        except ImportError:
            continue
    return engines


ENGINES: Final = found()
"""Those, by name."""


def chosen(name: str) -> Make:
    """The engine of this name, or with "auto" the best that there is. ValueError with a sentence if it is missing."""
    if not ENGINES:
        raise ValueError('HTTP/2 is asked for, and no engine of it is installed: pip install "frontgate[http2]" first')
    if name == "auto":
        return next(iter(ENGINES.values()))
    if name not in ENGINES:
        raise ValueError(f'[http2] engine = "{name}" is not installed: pip install {name} first')
    return ENGINES[name]
