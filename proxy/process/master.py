"""The master: owns sockets and shared memory, starts the children and replaces those that die, and obeys signals.

Rules: it runs no event loop and serves nobody, so nothing a client does can stop it; it sleeps in one select over its
signals and the children's channels. TERM and INT stop fast, QUIT lets requests finish, HUP reads the configuration
again, USR1 reopens logs. What can fail in a reload fails before anything is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import selectors
import signal
import socket
from collections.abc import Callable
from time import monotonic
from typing import Final

from proxy.build import strategies
from proxy.config import check, toml
from proxy.config.model import Model
from proxy.config.source import ConfigError, Problem
from proxy.process import activation, pidfile, succession
from proxy.process.channel import Quit, Reload, Reopen
from proxy.process.child import MINE, Child, drop_privileges
from proxy.process.denied import Denied, unopened
from proxy.process.estate import Change, Estate, slots_of
from proxy.process.household import Household, Post
from proxy.process.log import ErrorLog
from proxy.process.log_lines import EMERGENCY, placed
from proxy.process.rehearsal import rehearse

LONGEST: Final = 3600.0  # seconds of one select
PR_SET_CHILD_SUBREAPER: Final = 36
AFTER_QUIT: Final = 2.0  # seconds beyond timeouts.shutdown before a child that drains is stopped

log = logging.getLogger("frontgate")


class Master(Household):
    """One running frontgate. `run` returns its exit code."""

    def __init__(
        self, path: str, model: Model, error_log: ErrorLog, read: Callable[[str], Model] | None = None
    ) -> None:
        """Open everything. `read` gives the configuration again. ValueError when something cannot be had."""
        left = succession.inherited()
        super().__init__(Estate(model, left, activation.lent()), error_log)
        self.path = path
        self.succeeds = bool(left)  # another process, whose sockets these are
        self.parent = os.getppid()
        self.read = read or read_toml
        self.wakeup, self.waker = socket.socketpair()
        self.private += [self.wakeup, self.waker]

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; gives the exit code."""
        raise_descriptor_limit()
        if self.estate.model.app:
            adopt_orphans()
        self.listen_to_signals()
        try:
            while not (self.stopping and not any(self.children())):
                self.fill_posts()
                for key, _ in self.selector.select(self.patience()):
                    if key.data is None:
                        self.obey(self.wakeup.recv(4096))
                    else:
                        self.hear(key.data)
                if self.wanted_anew:
                    self.wanted_anew = False
                    self.reload()
                self.watch_deadlines()
                self.notify.live(monotonic())
                if monotonic() >= self.next_look:
                    self.look_at_files()
        finally:
            signal.set_wakeup_fd(-1)
            self.close_doors()
            if self.estate.model.pid is not None:
                pidfile.remove(self.estate.model.pid)
                pidfile.remove(self.estate.model.pid + succession.OLD)
        log.info("stopped")
        return self.status

    def listen_to_signals(self) -> None:
        """Have signals wake the select; the functions themselves do nothing."""
        self.wakeup.setblocking(False)
        self.waker.setblocking(False)
        signal.set_wakeup_fd(self.waker.fileno(), warn_on_full_buffer=False)
        for number in MINE:
            signal.signal(number, lambda number, frame: None)
        self.selector.register(self.wakeup, selectors.EVENT_READ, None)

    def patience(self) -> float | None:
        """How long the select may sleep: until the next post is due or the next child is to be killed."""
        times = [post.due for post in self.posts() if self.vacant(post)]
        times += [child.deadline for child in self.children() if child.deadline is not None]
        times += [self.notify.due] if self.notify.pause else []
        if self.watch_files.paths and not self.stopping:
            times.append(self.next_look)
        return min(max(0.0, min(times) - monotonic()), LONGEST) if times else None

    def obey(self, signals: bytes) -> None:
        """Do what signals ask for."""
        orders: dict[int, Callable[[], None]] = {
            signal.SIGCHLD: self.reap,
            signal.SIGHUP: self.reload,
            signal.SIGUSR1: self.reopen,
            signal.SIGUSR2: self.replace,
            signal.SIGWINCH: self.rest,
            signal.SIGQUIT: self.quit,
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
        }
        for number in dict.fromkeys(signals):
            if number in orders:
                orders[number]()

    # --- orders -----------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again and put it in force everywhere, or say why not and change nothing."""
        if self.stopping:
            return
        self.resting = False
        self.notify.reloading()
        log.info("reading %s again", self.path)
        try:
            change = self.estate.prepare(self.read(self.path))
            self.try_out(change)
            self.move_log(change)
        except (ConfigError, ValueError, OSError) as error:
            self.refuse(error)
            self.report(False)
            return
        self.spread(change)

    def refuse(self, error: Exception) -> None:
        """Say why a configuration does not come in force."""
        nginx = self.estate.model.log.style == "nginx"
        sentence = error.nginx if nginx and isinstance(error, Denied) else str(error)
        problems = error.errors if isinstance(error, ConfigError) else [Problem("", 0, sentence)]
        for problem in problems:
            text = placed(problem) if nginx or not problem.file else str(problem)
            log.log(EMERGENCY if nginx else logging.ERROR, "%s", text)
        log.error("the old configuration stays in force")

    def try_out(self, change: Change) -> None:
        """See whether workers can serve it. ValueError, the change undone, when they cannot."""
        problem = rehearse(change.model, change.zones, change.pems, change.logs)
        if problem:
            self.estate.abandon(change)
            raise ValueError(f"no worker could serve the new configuration: {problem}")

    def move_log(self, change: Change) -> None:
        """Log where the new configuration says. ValueError, the change undone, when that cannot be opened."""
        try:
            self.error_log.adopt(change.model)
        except OSError as error:
            self.estate.abandon(change)
            raise unopened(error) from None

    def spread(self, change: Change) -> None:
        """Put a prepared change in force: tell every child, start and dismiss workers."""
        old_pid = self.estate.model.pid
        names = tuple(self.estate.layout)
        self.reload_good = True
        self.unanswered.clear()
        kept = self.workers[: slots_of(change.model)]
        for post in kept:
            if post.child is not None and post.slot is not None:
                self.tell(post.child, *change.order(post.slot, names, post.child.behind))
                post.child.behind = False
                self.unanswered.add(post.child.pid)
        anew = change.new_admin or change.model.admin != self.estate.model.admin
        anew = anew or bool(change.model.ordered and not self.estate.model.ordered)  # see `learn`
        keeper, self.keeper.child = self.keeper.child, None if anew else self.keeper.child
        if anew and keeper is not None:
            self.leaving.append(keeper)
            self.end([keeper])
        elif keeper is not None:
            order = Reload(change.model, names, pems=change.admitted, logs=tuple(change.logs))
            self.tell(keeper, order, list(change.logs.values()))
        if anew:
            self.keeper.due = 0.0
            self.estate.arena.clear(self.estate.arena.keeper, suffix="weight")  # as the keeper does at any other reload
        if self.supervisor.child is not None:
            self.tell(
                self.supervisor.child, Reload(change.model, names, logs=tuple(change.logs)), [*change.logs.values()]
            )
        self.estate.apply(change)
        self.watch_files.changed(change.model)
        self.resize()
        if change.model.pid != old_pid:
            self.move_pid(old_pid, change.model.pid)
        if not self.unanswered:  # nobody serves, or everybody is about to
            self.report(True)

    def resize(self) -> None:
        """Have as many posts as the configuration wants; workers beyond that finish their requests and go."""
        extra = self.workers[self.estate.slots :]
        del self.workers[self.estate.slots :]
        for post in extra:
            if post.child is not None:
                self.leaving.append(post.child)
                self.retire(post.child)
        self.workers += [Post(slot) for slot in range(len(self.workers), self.estate.slots)]
        self.tell_keeper()

    def move_pid(self, old: str | None, new: str | None) -> None:
        """Write the pid file where the new configuration wants it."""
        if old is not None:
            pidfile.remove(old)
        try:
            if new is not None:
                pidfile.write(new)
        except OSError as error:
            log.error("the pid file %s cannot be written: %s", new, error.strerror)

    def reopen(self) -> None:
        """Open the log files anew, everywhere."""
        paths, descriptors = self.estate.reopen()
        self.error_log.reopen()
        for child in self.children():
            self.tell(child, Reopen(paths), descriptors)

    def quit(self) -> None:
        """Accept no more and let requests finish; the keeper stays to be asked until the workers are gone."""
        if self.stopping:
            return
        log.info("stopping when all requests are finished, in %g s at the latest", self.estate.model.timeouts.shutdown)
        self.notify.stopping("finishing requests", self.heir)
        self.stopping = True
        self.close_doors()
        for child in list(self.children()):
            if child.slot is not None:
                self.retire(child)
        if not any(child.slot is not None for child in self.children()):
            self.end(list(self.children()))

    def rest(self) -> None:
        """Have all workers finish their requests and start no others until the next reload. Not where there may be a
        terminal: it sends this signal whenever its window changes."""
        model = self.estate.model
        if self.stopping or not (model.daemon or (model.log.style != "nginx" and not terminal())):
            return
        log.info("the workers finish their requests; a reload starts others")
        self.resting = True
        for post in self.workers:
            if post.child is not None:
                self.retire(post.child)

    def replace(self) -> None:
        """Start the program anew beside this one, with the same sockets."""
        if self.stopping or self.heir:
            return
        succession.step_aside(self.estate.model.pid)
        for doorway in self.estate.doors:
            doorway.disown()
        self.heir = succession.start(self.estate.doors)
        log.info("the program was started anew: process %d", self.heir)

    def close_doors(self) -> None:
        """Listen no more. The socket files stay if the process that we were to succeed serves on."""
        if self.succeeds and os.getppid() == self.parent != 1:
            for doorway in self.estate.doors:
                doorway.disown()
        self.estate.close()

    def retire(self, child: Child) -> None:
        """Have a worker finish its requests."""
        self.tell(child, Quit(bool(self.heir) or not self.stopping))
        child.deadline = monotonic() + self.estate.model.timeouts.shutdown + AFTER_QUIT


def read_toml(path: str) -> Model:
    """A checked Model; ConfigError with everything that is wrong."""
    model, source = toml.load(path)
    problems = [*check.problems(model, source), *strategies.problems(model, source, drop_privileges)]
    if problems:
        raise ConfigError(problems)
    return model


def terminal() -> bool:
    """Whether we belong to one."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def adopt_orphans() -> None:
    """Have the workers of applications whose supervisor has died be our children, so that somebody buries them."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def raise_descriptor_limit() -> None:
    """Allow as many open files as the system lets us: a connection needs one, a request in flight two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
