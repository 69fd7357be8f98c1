"""What a configuration names in Python, "package.module:name", imported with a folder on the path, as for an app.

Rules: what lies in the folder comes first, whatever else is installed, and is read anew when its files have changed, so
that a reload takes up what was edited. No bytecode is written there. Whatever goes wrong is a ValueError, a sentence.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import reduce
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from proxy.config.words import nearest

Files = tuple[tuple[str, int], ...]

_read: Final[dict[str, Files]] = {}  # by the name of what lies in a folder: its files and when they were written


def imported(text: str, folder: str | None = None) -> Callable[..., Any]:
    """What "package.module:name" stands for; `folder` is the current one when none is given."""
    place = str(Path(folder or ".").absolute())
    module, _, name = text.partition(":")
    try:
        found = _module(module, place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise _problem(text, error) from None
        raise ValueError(
            f'there is no strategy "{text}": there is no module {error.name} in {place}, nor is one installed'
        ) from None
    except Exception as error:
        raise _problem(text, error) from None
    try:
        named = reduce(getattr, name.split("."), found)
    except AttributeError:
        there = [one for one, value in vars(found).items() if callable(value) and not one.startswith("_")]
        where = getattr(found, "__file__", None) or module
        raise ValueError(f'there is no strategy "{text}": {where} has no {name}{nearest(name, there)}') from None
    if not callable(named):
        raise ValueError(f'"{text}" makes no strategy: write a class, or a function of (backends, clock, rng)')
    return named


def _problem(text: str, error: Exception) -> ValueError:
    return ValueError(f'the strategy "{text}" cannot be imported: {type(error).__name__}: {error}')


def _module(name: str, folder: str) -> ModuleType:
    top = name.partition(".")[0]
    spec = PathFinder.find_spec(top, [folder])
    if spec is not None:
        _forget(top, spec.origin, _files(folder, top))
    importlib.invalidate_caches()
    quiet, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = quiet
        if folder not in sys.path:
            sys.path.append(folder)  # for what it imports while it runs


def _files(folder: str, top: str) -> Files:
    """The sources of a module or package, and when they were written."""
    paths = [Path(folder, f"{top}.py"), *sorted(Path(folder, top).rglob("*.py"))]
    return tuple((str(path), path.stat().st_mtime_ns) for path in paths if path.is_file())


def _forget(top: str, origin: str | None, files: Files) -> None:
    """Have a module be imported anew that lies elsewhere now, or has changed. ImportError when it is no such one."""
    there = sys.modules.get(top)
    if there is None or (top not in _read and getattr(there, "__file__", None) == origin):
        if there is None:
            _read[top] = files
        return
    if top not in _read:
        raise ImportError(f"{origin} has the name of a module that is loaded already: give it another")
    if _read[top] != files:
        _read[top] = files
        for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
            del sys.modules[name]
