"""Looks after the certificates that are ordered, in the keeper's loop.

Rules: what speaks with authorities blocks, so each look is a daemon thread's, one at a time; the loop only waits for
it, and a keeper that goes waits for nobody. A look that takes longer than PATIENCE goes on beside those at other
certificates, so that no authority holds them all up. The modules that speak need a second and tens of megabytes, so
they are loaded by the keeper alone, and only where a certificate is ordered at all. Nothing that goes wrong here ends
anything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from proxy.config.acme import mark
from proxy.config.model import Model, Site

EVERY: Final = 600.0  # seconds between two looks at a certificate that nobody is in a hurry with
STEP: Final = 2.0  # seconds between two looks at requests, and at the times of attempts
PATIENCE: Final = 60.0  # seconds that the others wait for one look

ORDERS: Final = "proxy.acme.orders"

T = TypeVar("T")
log = logging.getLogger("frontgate")


class Renewer:
    """Keeps the certificates of a Model there. `changed` is called when there is another file to show."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._over = threading.Event()
        self._task: asyncio.Task[None] | None = None

    def adopt(self, model: Model) -> None:
        """Look after the certificates of another Model from now on; an order that has begun is given up."""
        self.close()
        self._over = threading.Event()
        if model.ordered:
            self._task = asyncio.get_running_loop().create_task(self._run(model, self._over))

    def close(self) -> None:
        """Look after nothing any more."""
        self._over.set()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, model: Model, over: threading.Event) -> None:
        made = orders = None
        while orders is None:
            try:
                made = await aside(partial(importlib.import_module, ORDERS))
                orders = made.Orders(model.acme, over)
                await aside(orders.store.prepare)
                await aside(orders.store.sweep)
            except (ImportError, OSError) as error:
                orders = None
                log.error("certificates cannot be ordered: %s; it is tried again in 10 min", error)
                await asyncio.sleep(EVERY)
        wanted = [_wanted(made, model, name, site) for name, site in model.ordered.items()]
        once = {one.mark: one for one in reversed(wanted)}  # two sites may have the same names, on other listeners
        await self._stand_in(orders, once)
        await self._keep(orders, once)

    async def _keep(self, orders: Any, once: dict[str, Any]) -> None:
        """Look at each when its time has come, or somebody asks for it."""
        loop = asyncio.get_running_loop()
        due = dict.fromkeys(once, 0.0)
        looks: dict[str, asyncio.Task[float]] = {}
        try:
            while True:
                wanted = await aside(lambda: {name for name in once if orders.store.wanted(name)})
                for name, one in once.items():
                    if name not in looks and (loop.time() >= due[name] or name in wanted):
                        looks[name] = loop.create_task(self._look(orders, one))
                        await asyncio.wait((looks[name],), timeout=PATIENCE)
                for name in [name for name, look in looks.items() if look.done()]:
                    due[name] = loop.time() + looks.pop(name).result()
                await asyncio.sleep(STEP)
        finally:
            for look in looks.values():
                look.cancel()

    async def _stand_in(self, orders: Any, once: dict[str, Any]) -> None:
        for one in once.values():
            with contextlib.suppress(OSError):
                await aside(partial(orders.stand_in, one))
        self._changed()

    async def _look(self, orders: Any, one: Any) -> float:
        """Do what is due for a certificate; gives the seconds until the next look."""
        try:
            if await aside(partial(orders.look, one)):
                log.info("there is a new certificate for site %s", one.site)
                self._changed()
            return float(await aside(partial(orders.patience, one)))
        except OSError as error:
            log.error("the certificate of site %s cannot be looked after: %s", one.site, error)
            return EVERY
        except Exception:
            log.exception("the certificate of site %s cannot be looked after", one.site)
            return EVERY


def asked(model: Model) -> object:
    """All that an order depends on: of two Models for which it is the same, none has to be given up."""
    sites = {name: site.names for name, site in model.ordered.items()}
    return model.acme, sites, {listen.tls for listen in model.listen.values()}


def _wanted(made: Any, model: Model, name: str, site: Site) -> Any:
    """The certificate of a site, and how its names can be proven on the listeners that there are."""
    plain = any(not listen.tls for listen in model.listen.values())
    secure = any(listen.tls for listen in model.listen.values())
    able = {"http-01": plain, "tls-alpn-01": secure and made.CAN_SHAKE}
    kinds = tuple(kind for kind in model.acme.challenges if able[kind])
    return made.Wanted(mark(site.names), name, made.wanted_of(site.names), kinds)


def learn() -> Any:
    """The modules that speak with authorities. Where they cannot be loaded, `Renewer` says so."""
    with contextlib.suppress(ImportError, OSError):
        return importlib.import_module(ORDERS)
    return None


async def aside(call: Callable[[], T]) -> T:
    """What a call gives, made in a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop has gone
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=work, daemon=True, name="acme").start()
    return await answer
