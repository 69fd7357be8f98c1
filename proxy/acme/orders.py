"""One certificate that is ordered: what an attempt does, from the lock to the file.

Rules: everything here blocks, so it runs in a thread of its own. An attempt holds the certificate's lock, looks first
whether another process has been quicker, and ends with a plan on disk whatever happens. Behind a failure the
authority's staging is tried before the authority itself. If a name is not proven by one kind of challenge, the other
kind has its turn in a new order.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from threading import Event
from typing import Final, NamedTuple

from proxy.acme import keys
from proxy.acme.authority import Authority, Refusal
from proxy.acme.store import Store
from proxy.config import acme
from proxy.config.acme import Acme
from proxy.openssl.library import LIBRARY
from proxy.policy import renewal
from proxy.policy.renewal import Plan

CAN_SHAKE: Final = LIBRARY is not None  # whether TLS-ALPN-01 can be answered here
EVERY: Final = 600.0  # seconds between two looks at most

log = logging.getLogger("frontgate")


class Wanted(NamedTuple):
    """A certificate that there is to be: its mark, the site it is for, its names, how they can be proven."""

    mark: str
    site: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]


class Orders:
    """Orders certificates as a table says."""

    def __init__(self, table: Acme, over: Event) -> None:
        self.table = table
        self.store = Store(table.folder)
        self.over = over
        self._chance = Random()
        self._authorities: dict[str, Authority] = {}

    def authority(self, directory: str) -> Authority:
        """The one at an address."""
        if directory not in self._authorities:
            self._authorities[directory] = Authority(directory, self.table, self.store, self.over)
        return self._authorities[directory]

    def plan(self, one: Wanted) -> Plan:
        """What is remembered of a certificate, with the time of what there is."""
        plan = self.store.plan(one.mark)
        life = keys.life(self.store.bundle(one.mark))
        if life is not None:
            renewal.know(plan, life, self._chance)
        return plan

    def stand_in(self, one: Wanted) -> None:
        """See that there is something to show until there is a certificate."""
        path = acme.placeholder_file(self.store.folder, one.mark)
        if self.table.until_first == "placeholder" and not os.path.exists(path):
            self.store.write(path, keys.placeholder(one.names))

    def patience(self, one: Wanted) -> float:
        """Seconds until the next look."""
        plan, now = self.plan(one), time.time()
        later = plan.again - now if plan.failures and plan.again > now - 1.0 else EVERY
        if not plan.failures and not self.store.bundle(one.mark):
            later = 30.0  # another process orders it
        return min(max(later, 1.0), EVERY)

    def look(self, one: Wanted) -> bool:
        """Do what is due for a certificate; whether there is a new one. OSError when the folder cannot be used."""
        with self.store.lock(one.mark) as held:
            if not held:
                return False
            plan = self.plan(one)  # now that nobody else changes it
            bundle = self.store.bundle(one.mark)
            self._advise(one, plan, bundle)
            life = keys.life(bundle)
            if not renewal.due(plan, life, time.time()):
                self.store.remember(one.mark, plan)
                return False
            self._dare(one, plan)
            try:
                kind = self._attempt(one, plan, bundle)
            except (Refusal, OSError) as problem:
                if self.over.is_set():
                    self._put_back(one, plan)
                else:
                    self._failed(one, plan, problem)
                return False
            fresh = keys.life(self.store.bundle(one.mark))
            if fresh is not None:
                renewal.got(plan, time.time(), fresh, self._chance, kind)
            self.store.remember(one.mark, plan)
            return True

    def _dare(self, one: Wanted, plan: Plan) -> None:
        """Write down that an attempt has failed before it begins: so there is room on the disk for what will come, and
        a process that dies in it does not begin the next one at once. OSError."""
        broken = replace(plan)
        renewal.failed(broken, time.time(), self._chance, "it was broken off")
        self.store.remember(one.mark, broken)
        self.store.remove(acme.request_file(self.store.folder, one.mark))

    def _put_back(self, one: Wanted, plan: Plan) -> None:
        """An attempt is given up by us: as if it had not begun."""
        self.store.remember(one.mark, plan)
        if plan.wanted:
            self.store.write(acme.request_file(self.store.folder, one.mark), b"")

    def _advise(self, one: Wanted, plan: Plan, bundle: bytes) -> None:
        """Ask the authority when to renew, if it is time to."""
        life, now = keys.life(bundle), time.time()
        if life is None or now >= life.ends or not renewal.asks(plan, now):
            return
        try:
            window, wait = self.authority(self.table.directory).advice(bundle)
        except Refusal as refusal:
            log.debug("no advice on the certificate of site %s: %s", one.site, refusal)
            renewal.advised(plan, now, self._chance, None, refusal.wait or renewal.ADVICE / 6)
        else:
            renewal.advised(plan, now, self._chance, window, wait or renewal.ADVICE)

    def _failed(self, one: Wanted, plan: Plan, problem: Refusal | OSError) -> None:
        now = time.time()
        wait = problem.wait if isinstance(problem, Refusal) else 0.0
        renewal.failed(plan, now, self._chance, str(problem), wait)
        self.store.remember(one.mark, plan)
        later = plan.again - now
        log.error("no certificate for site %s: %s; the next attempt is in %s", one.site, problem, _span(later))

    def _attempt(self, one: Wanted, plan: Plan, bundle: bytes) -> str:
        """Get a certificate and keep it; gives the kind of challenge that has worked. Refusal."""
        rehearsal = self.table.rehearsal
        if rehearsal is not None and renewal.rehearses(plan):
            self._rehearse(rehearsal, one, plan)
        kind, made = self._proven(self.table.directory, one, plan, bundle)
        self.store.write(acme.certificate_file(self.store.folder, one.mark), made)
        return kind

    def _rehearse(self, directory: str, one: Wanted, plan: Plan) -> None:
        """Have the staging find what would fail. Refusal; a staging that is away finds nothing."""
        try:
            plan.kind, _ = self._proven(directory, one, plan, b"")  # it is proven to work
        except Refusal as refusal:
            if not refusal.away:
                raise
            log.warning("%s: the certificate for site %s is ordered without a rehearsal", refusal, one.site)

    def _proven(self, directory: str, one: Wanted, plan: Plan, bundle: bytes) -> tuple[str, bytes]:
        """Kind of challenge, and key and chain, from the authority at a directory. Refusal of the first kind tried."""
        refusals: list[Refusal] = []
        for kind in renewal.kinds(plan, one.kinds):
            try:
                return kind, self._issued(directory, one, kind, bundle)
            except Refusal as refusal:
                refusals.append(refusal)
                if not refusal.proof:
                    break
        sentence = (
            "; ".join(dict.fromkeys(str(refusal) for refusal in refusals)) or "there is no way to prove its names"
        )
        away = bool(refusals) and all(refusal.away for refusal in refusals)
        raise Refusal(sentence, max((refusal.wait for refusal in refusals), default=0.0), away=away)

    def _issued(self, directory: str, one: Wanted, kind: str, bundle: bytes) -> bytes:
        """Key and chain for names that are proven by a kind of challenge. Refusal."""
        shown: list[str] = []

        def present(name: str, token: str, authorization: str) -> None:
            if kind == "http-01":
                path, content = acme.token_file(self.store.folder, token), authorization.encode()
            else:
                path = acme.proof_file(self.store.folder, acme.server_name(name))
                content = keys.proof(name, authorization)
            self.store.write(path, content)
            shown.append(path)

        key = keys.new_key(self.table.key_type)
        try:
            sent = self.authority(directory).issue(one.names, keys.request(key, one.names), kind, present, bundle)
        finally:
            for path in shown:
                self.store.remove(path)
        chain = keys.chain_of(sent)
        problem = keys.wrong(key, chain, one.names, time.time())
        if problem:
            raise Refusal(problem)
        return keys.pem_of(key) + chain


def _span(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def wanted_of(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they stand in a certificate: each once, in their order."""
    return tuple(dict.fromkeys(name.lower() for name in names))
