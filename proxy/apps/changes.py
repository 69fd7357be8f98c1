"""Looks whether the files of an application have changed, for development: then its workers are replaced.

Rules: watchfiles is an extra; without it the log says so once and nothing is watched. Only Python's files count, none
in folders of caches, environments and the like.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence

from proxy.config.app import App

log = logging.getLogger("frontgate")


async def watch(name: str, folders: Sequence[str], changed: Callable[[], Awaitable[object]]) -> None:
    """Call this whenever files have changed, until cancelled."""
    try:
        watchfiles = importlib.import_module("watchfiles")
    except ImportError:
        log.error('app %s: reload needs watchfiles: pip install "frontgate[run]"', name)
        return
    async for changes in watchfiles.awatch(*folders, watch_filter=watchfiles.PythonFilter(), step=100, debounce=400):
        paths = sorted({os.path.relpath(path) for _, path in changes})
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        log.info("app %s: %s%s has changed", name, paths[0], more)
        await changed()


def folders(table: App) -> list[str]:
    """What is watched."""
    return list(table.reload_dirs) or [table.app_dir if table.app_dir is not None else table.folder]


def watching(name: str, table: App, changed: Callable[[], Awaitable[object]]) -> asyncio.Task[None] | None:
    """A task that watches, if the app wants it."""
    return asyncio.create_task(watch(name, folders(table), changed)) if table.reload else None
