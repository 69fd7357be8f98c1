"""What certificates there are, for the operator, and how to ask for another.

Rules: read from the files alone, so it works whether frontgate runs or not; whoever asks needs the right to read them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from proxy.acme.store import Store
from proxy.config import acme, expiry
from proxy.config.model import Model, Site
from proxy.config.tls import each, named


class Listed(NamedTuple):
    """A certificate of a site: its source, when it ends (seconds since 1970; None when there is none), and in words how
    it stands."""

    site: str
    names: tuple[str, ...]
    source: str
    ends: float | None
    state: str


def listed(model: Model) -> list[Listed]:
    """All certificates of sites."""
    found: list[Listed] = []
    for name, site in model.site.items():
        if site.ordered:
            found.append(_ordered(model, name, site))
        else:
            found += [_own(name, site, path) for path in each(site.certificate)]
    return found


def _own(name: str, site: Site, path: str) -> Listed:
    if not named(path):
        return Listed(name, site.names, path.partition(":")[0] if path.startswith("data:") else path, None, "")
    try:
        ends = expiry.ends(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        return Listed(name, site.names, path, None, f"cannot be read: {error}")
    return Listed(name, site.names, path, min(ends) if ends else None, "")


def _ordered(model: Model, name: str, site: Site) -> Listed:
    store, one = Store(model.acme.folder), acme.mark(site.names)
    plan = store.plan(one)
    bundle = store.bundle(one)
    ends = expiry.ends(bundle) if bundle else []
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(plan.again if plan.failures else plan.at))
    if plan.wanted:
        state = "is asked for"
    elif plan.failures:
        state = f"{plan.failures} failed, next attempt {day}: {plan.error}"
    elif not ends:
        state = "has not come yet"
    else:
        state = f"to be renewed {day}" + (", as the authority advises" if plan.window is not None else "")
    return Listed(name, site.names, "acme", min(ends) if ends else None, state)


def held(one: Listed, now: float) -> str:
    """When it ends, for people."""
    if one.ends is None:
        return "-"
    left = (one.ends - now) / 86400
    span = "has ended" if left < 0 else f"{left:.0f} days" if left >= 2 else f"{left * 24:.0f} h"
    return f"{time.strftime('%Y-%m-%d', time.gmtime(one.ends))} ({span})"


def ask(model: Model, name: str) -> None:
    """Ask whoever keeps the certificates for that of a site. ValueError with a sentence."""
    site = model.site.get(name)
    if site is None or not site.ordered:
        known = ", ".join(model.ordered) or "none"
        raise ValueError(f'site "{name}" has no certificate that is ordered; of these there are: {known}')
    path = acme.request_file(model.acme.folder, acme.mark(site.names))
    if not os.path.isdir(os.path.dirname(path)):
        raise ValueError(f"there is no folder {os.path.dirname(path)}: frontgate has not run with this configuration")
    with open(path, "wb"):
        pass
