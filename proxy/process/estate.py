"""What the master owns and its children inherit: sockets, shared memory, TLS contexts, and the Model they belong to.

Rules: a reload prepares a Change beside what there is, and everything that can fail fails there, with a ValueError and
nothing changed; `apply` cannot fail. The arena has rows for twice the workers that it was made for (and 8 at least),
and columns for twice what its configuration counts: memory that others have mapped does not grow, and reading a column
costs a little for every row. What nobody writes to takes no memory.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy import build, ledger
from proxy.apps import cells
from proxy.config.app import folder
from proxy.config.model import Model
from proxy.downstream import tls
from proxy.observe import opened
from proxy.openssl import files
from proxy.process import admitted
from proxy.process.activation import Lent, assigned
from proxy.process.channel import Door, Reload
from proxy.process.checks import checks_of, hold_unproven
from proxy.process.denied import Denied, unopened
from proxy.process.doors import NOTHING, OURS, Doorway, Left, port_of
from proxy.process.log import files as log_files
from proxy.shared import tally
from proxy.shared.arena import CAPACITY, Arena, Layout, Name
from proxy.shared.breakers import Breakers
from proxy.shared.journal import Journals
from proxy.shared.memory import Memory
from proxy.shared.tally import Tally
from proxy.shared.zones import made

ADMIN = "admin"  # what a socket of the service manager's is called that is the admin's
MOST_KEYS = 65536  # clients and other keys that connections and requests in flight are counted by at a time


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots_of(model: Model) -> int:
    """How many workers a Model wants."""
    return model.workers or cores()


@dataclass
class Change:
    """A new configuration, prepared: everything it needs is there already."""

    model: Model
    pems: dict[str, bytes]
    doorways: dict[str, Doorway] = field(default_factory=dict)
    zones: dict[str, Memory] = field(default_factory=dict)
    contexts: dict[str, tls.Certificates] = field(default_factory=dict)
    admin: Doorway | None = None
    new_doors: list[str] = field(default_factory=list)
    new_zones: list[str] = field(default_factory=list)
    new_admin: bool = False
    admitted: dict[str, bytes] = field(default_factory=dict)
    logs: dict[str, int] = field(default_factory=dict)
    new_logs: dict[str, int] = field(default_factory=dict)

    def order(self, slot: int, names: tuple[Name, ...], everything: bool) -> tuple[Reload, list[int]]:
        """What a worker is told, and the descriptors that go with it: those of what is new, or of everything."""
        doors = list(self.doorways) if everything else self.new_doors
        zones = list(self.zones) if everything else self.new_zones
        message = Reload(
            self.model,
            names,
            tuple((name, self.zones[name].size) for name in zones),
            tuple(door(name, self.doorways[name]) for name in doors),
            self.pems,
            tuple(self.logs),
        )
        sockets = [self.doorways[name].of(slot).fileno() for name in doors]
        return message, [*sockets, *(self.zones[name].fd for name in zones), *self.logs.values()]

    def undo(self) -> None:
        """Give back what was made for nothing."""
        for name in self.new_doors:
            self.doorways[name].close()
        for name in self.new_zones:
            self.zones[name].close()
        for fd in self.new_logs.values():
            os.close(fd)
        if self.new_admin and self.admin is not None:
            self.admin.close()


def door(name: str, doorway: Doorway) -> Door:
    """A doorway as the workers hear of it."""
    return Door(name, doorway.address, doorway.tls, doorway.backlog, doorway.heralded)


def own_folder(model: Model) -> None:
    """Have the folder of [acme], if a certificate is ordered, and have it belong to those who serve. ValueError."""
    folder = model.acme.folder
    if not model.ordered:
        return
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.geteuid() == 0 and model.user is not None:
            shutil.chown(folder, model.user)
    except (OSError, LookupError) as error:
        raise ValueError(f"the folder {folder} of [acme] cannot be had: {error}") from None


def own_runtime(model: Model) -> None:
    """Have the folders of applications' sockets, for nobody but those who serve. ValueError."""
    for name in model.app:
        place = folder(model.runtime, name)
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
            os.chmod(place, 0o700)
            if os.geteuid() == 0 and model.user is not None:
                shutil.chown(place, model.user)
        except (OSError, LookupError) as error:
            raise ValueError(
                f"the folder {place} of app {name} cannot be had: {error}: choose another runtime"
            ) from None


class Estate:
    """Everything that outlives a worker. `slots` is the number of workers."""

    def __init__(self, model: Model, inherited: Mapping[str, Left] | None = None, lent: Sequence[Lent] = ()) -> None:
        """Open and make everything, but for sockets that were `inherited`, by address, or are `lent` to us. ValueError
        with a sentence, and nothing left open, when something cannot be."""
        self.model = model
        self.slots = slots_of(model)
        names = ledger.counters(model)
        self.layout = Layout(names, max(CAPACITY, 2 * len(names)))
        self.rows = max(2 * self.slots, cores(), 8) + 2  # and the supervisor's and the keeper's
        size = Arena.size(self.rows, self.layout.capacity)
        self.arena = Arena(Memory(size), self.rows, self.layout)
        self.tally = Tally(tally.made(tally.size_for(MOST_KEYS, self.rows), self.rows), self.rows)
        self.breakers = Breakers(Memory(Breakers.size()))
        self.journals = Journals(Memory(Journals.size(self.rows)), self.rows)
        self.admitted: dict[str, bytes] = {}  # the files of [admin], by path
        self.bells = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(self.rows)]
        self.doorways: dict[str, Doorway] = {}
        self.zones: dict[str, Memory] = {}
        self.contexts: dict[str, tls.Certificates] = {}
        self.admin: Doorway | None = None
        self.logs: dict[str, int] = {}  # descriptors of the log files, by path
        self.pems: dict[str, bytes] = {}
        self._inherited = dict(inherited or {})
        self._lent = tuple(lent)
        self.apply(self.prepare(model))
        for left in self._inherited.values():  # of listeners that are no more: who left them serves them to the end
            for one in left.sockets:
                one.close()
        self._inherited.clear()

    def prepare(self, model: Model) -> Change:
        """Make what a Model needs and is not there. ValueError with a sentence when something cannot be had."""
        slots = slots_of(model)
        if slots > self.rows - 2:
            raise ValueError(f"workers = {slots} is more than the {self.rows - 2} there is room for: restart frontgate")
        own_folder(model)
        own_runtime(model)
        pems = tls.read_pems(model)
        change = Change(model, pems, contexts=tls.certificates(model, pems), admitted=admitted.read(model))
        self.layout.extend(ledger.counters(model))
        hold_unproven(self.arena, checks_of(model))
        for name in model.app:
            cells.hold(self.arena, name, [server.address for server in model.upstream[name].servers])
        try:
            self._open(change, slots)
        except Denied:
            self.abandon(change)
            raise
        except (ValueError, OSError) as error:
            self.abandon(change)
            raise ValueError(str(error)) from error
        return change

    def abandon(self, change: Change) -> None:
        """Give back what was made for a change that does not come."""
        change.undo()
        for doorway in self.doorways.values():
            doorway.settle(self.slots)

    def _open(self, change: Change, slots: int) -> None:
        model = change.model
        for name, size in build.zone_sizes(model).items():
            old = self.zones.get(name)
            if old is None or old.size != size:
                change.new_zones.append(name)
            change.zones[name] = old if old is not None and old.size == size else made(name, size)
        for name, listen in model.listen.items():
            old_door = self.doorways.get(name)
            if old_door is not None and old_door.serves(listen):
                old_door.stretch(slots)
                change.doorways[name] = old_door
                continue
            beside = self._beside(listen.address)
            ours = [*self.doorways.values(), *change.doorways.values()]
            shared = any(one.port == port_of(listen.address) for one in ours)
            left = self._left(model, name, listen.address)
            change.doorways[name] = Doorway(listen.address, listen.tls, listen.backlog, slots, beside, shared, left)
            change.doorways[name].heralded = listen.proxy_protocol
            change.new_doors.append(name)
        self._open_admin(change)
        self._open_logs(change)

    def _open_admin(self, change: Change) -> None:
        address = change.model.admin.listen
        if address is not None and self.admin is not None and self.admin.address == address:
            change.admin = self.admin
        elif address is not None or self.admin is not None:
            change.new_admin = True
            left = self._left(change.model, ADMIN, address or "")
            change.admin = Doorway(address, False, 64, 1, left=left, mode=OURS) if address is not None else None

    def _left(self, model: Model, name: str, address: str) -> Left:
        """What another process has opened of a listener's."""
        if address in self._inherited:
            return self._inherited.pop(address)
        if not self._lent:
            return NOTHING
        wanted = {one: table.address for one, table in model.listen.items()}
        if model.admin.listen is not None:
            wanted[ADMIN] = model.admin.listen
        found = assigned(self._lent, wanted).get(name, [])
        return Left([one.dup() for one in found], bool(found))

    def _open_logs(self, change: Change) -> None:
        """Open the log files that are new, with our rights: a worker might not be allowed to."""
        paths = log_files(change.model)
        try:
            change.new_logs = opened.opened(path for path in paths if path not in self.logs)
        except OSError as error:
            raise unopened(error) from error
        found = self.logs | change.new_logs
        change.logs = {path: found[path] for path in paths if path in found}

    def reopen(self) -> tuple[tuple[str, ...], list[int]]:
        """Open the log files anew, after they were moved away; their paths and descriptors. One that cannot be opened
        stays as it was."""
        fresh: dict[str, int] = {}
        for path in log_files(self.model):
            try:
                fresh |= opened.opened([path])
            except OSError as error:
                denied = unopened(error)
                text = denied.nginx if self.model.log.style == "nginx" else str(denied)
                logging.getLogger("frontgate").error("%s", text)
                fresh |= {path: self.logs[path]} if path in self.logs else {}
        self.logs = fresh
        opened.give(fresh)
        return tuple(fresh), list(fresh.values())

    def _beside(self, address: str) -> Doorway | None:
        """A doorway of ours that has the address already."""
        if address.endswith(":0"):
            return None
        return next((doorway for doorway in self.doorways.values() if doorway.address == address), None)

    def apply(self, change: Change) -> None:
        """Make a prepared change the present: close what is gone, take over the rest."""
        for name in change.new_doors:
            change.doorways[name].succeed()
        for name, doorway in self.doorways.items():
            if change.doorways.get(name) is not doorway:
                doorway.close()
        for name, zone in self.zones.items():
            if change.zones.get(name) is not zone:
                zone.close()
        if change.new_admin and self.admin is not None:
            self.admin.close()
        self.slots = slots_of(change.model)
        for doorway in change.doorways.values():
            doorway.settle(self.slots)
        for name, context in change.contexts.items():
            self._certify(name, context, change)
        self.contexts = {name: self.contexts[name] for name in change.contexts}
        self.model, self.admin, self.admitted = change.model, change.admin, change.admitted
        self.pems = change.pems
        files.give(change.pems)  # children inherit them
        self.doorways, self.zones, self.logs = change.doorways, change.zones, change.logs
        opened.give(self.logs)  # these too

    def _certify(self, name: str, fresh: tls.Certificates, change: Change) -> None:
        """Certificates change within the old context, so that session tickets of before stay good."""
        old = self.contexts.setdefault(name, fresh)
        if old is not fresh:
            try:
                old.certify(change.model, change.pems)
            except ValueError as error:  # the files were good an instant ago, when the change was prepared
                logging.getLogger("frontgate").error("%s", error)

    def certify(self, pems: dict[str, bytes]) -> None:
        """Show other certificates, of the same configuration. ValueError, and the old ones stay, when they are no
        good."""
        tls.certificates(self.model, pems)  # so that either all listeners change or none
        for context in self.contexts.values():
            context.certify(self.model, pems)
        self.pems = pems
        files.give(pems)

    def close(self) -> None:
        """Close all listening sockets and remove their files."""
        for doorway in self.doorways.values():
            doorway.close()
        if self.admin is not None:
            self.admin.close()

    @property
    def doors(self) -> list[Doorway]:
        """All doorways, that of the admin too."""
        return [*self.doorways.values(), *([self.admin] if self.admin is not None else [])]

    def forget(self, slot: int | None) -> None:
        """In a child: close what belongs to other slots; `None` is the keeper."""
        for one in self._lent:
            one.socket.close()
        for doorway in self.doorways.values():
            doorway.forget(-1 if slot is None else slot)
        if self.admin is not None:
            self.admin.forget(0)
            if slot is not None:
                self.admin.of(0).close()
