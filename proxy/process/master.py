"""The master: owns sockets and shared memory, starts the children and replaces those that die, and obeys signals.

Rules: it runs no event loop and serves nobody, so nothing a client does can stop it; it sleeps in one select over its
signals and the children's channels. TERM and INT stop fast, QUIT lets requests finish, HUP reads the configuration
again, USR1 reopens logs. What can fail in a reload fails before anything is changed.
"""

from __future__ import annotations

import logging
import os
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final

from proxy.config import check, toml
from proxy.config.model import Model
from proxy.config.source import ConfigError
from proxy.process import pidfile
from proxy.process.backoff import Backoff
from proxy.process.channel import Applied, Channel, Crew, Failed, Message, Outcome, Quit, Ready, Reload, Reopen
from proxy.process.child import MINE, Child, drop_privileges, fork, reason
from proxy.process.estate import Change, Estate, slots_of
from proxy.process.keeper import keep
from proxy.process.log import LEVELS, ErrorLog
from proxy.process.worker import work

KILL_AFTER: Final = 5.0  # seconds between SIGTERM and SIGKILL
AFTER_QUIT: Final = 2.0  # seconds beyond timeouts.shutdown before a child that drains is stopped

log = logging.getLogger("frontgate")


class Post:
    """A place for a child, a worker's slot or the keeper's: who holds it, and when it is filled again."""

    __slots__ = ("backoff", "child", "due", "slot")

    def __init__(self, slot: int | None) -> None:
        self.slot = slot
        self.child: Child | None = None
        self.backoff = Backoff()
        self.due = 0.0


class Master:
    """One running frontgate. `run` returns its exit code."""

    def __init__(self, path: str, model: Model, error_log: ErrorLog) -> None:
        """Open everything. ValueError with a sentence when something cannot be had."""
        self.path = path
        self.error_log = error_log
        self.estate = Estate(model)
        self.workers = [Post(slot) for slot in range(self.estate.slots)]
        self.keeper = Post(None)
        self.leaving: list[Child] = []  # children without a post, on their way out
        self.restarts = 0
        self.started = time.time()
        self.outcome = Outcome(True, self.started)
        self.serving = False  # every worker has been ready once
        self.stopping = False
        self.status = 0
        self.unanswered: set[int] = set()  # processes that have not said yet how a reload went
        self.reload_good = True
        self.selector = selectors.DefaultSelector()
        self.wakeup, self.waker = socket.socketpair()

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; gives the exit code."""
        raise_descriptor_limit()
        self.listen_to_signals()
        try:
            while not (self.stopping and not any(self.children())):
                self.fill_posts()
                for key, _ in self.selector.select(self.patience()):
                    if key.data is None:
                        self.obey(self.wakeup.recv(4096))
                    else:
                        self.hear(key.data)
                self.watch_deadlines()
        finally:
            signal.set_wakeup_fd(-1)
            self.estate.close()
            if self.estate.model.pid is not None:
                pidfile.remove(self.estate.model.pid)
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
        return max(0.0, min(times) - monotonic()) if times else None

    def obey(self, signals: bytes) -> None:
        """Do what signals ask for."""
        orders: dict[int, Callable[[], None]] = {
            signal.SIGCHLD: self.reap,
            signal.SIGHUP: self.reload,
            signal.SIGUSR1: self.reopen,
            signal.SIGQUIT: self.quit,
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
        }
        for number in dict.fromkeys(signals):
            if number in orders:
                orders[number]()

    def posts(self) -> Iterator[Post]:
        """All places for children."""
        yield from self.workers
        if self.estate.admin is not None:
            yield self.keeper

    def children(self) -> Iterator[Child]:
        """All living children."""
        for post in (*self.workers, self.keeper):
            if post.child is not None:
                yield post.child
        yield from self.leaving

    # --- births and deaths ------------------------------------------------------------------------------------------

    def fill_posts(self) -> None:
        """Fork a child for each post that is empty and due."""
        now = monotonic()
        for post in self.posts():
            if self.vacant(post) and post.due <= now:
                post.child = self.bear(post.slot)
                if post.slot is None:
                    self.tell_keeper()

    def vacant(self, post: Post) -> bool:
        """Whether a post is to be filled. A worker that is leaving its slot still counts in that row of the arena."""
        if self.stopping or post.child is not None:
            return False
        return post.slot is None or all(child.slot != post.slot for child in self.leaving)

    def bear(self, slot: int | None) -> Child:
        """Fork a worker or the keeper."""

        def life(channel: Channel) -> int:
            self.selector.close()
            self.wakeup.close()
            self.waker.close()
            for sibling in self.children():
                sibling.channel.close()
            self.estate.forget(slot)
            drop_privileges(self.estate.model)
            if slot is None:
                return keep(self.estate, channel, self.error_log, self.started)
            return work(self.estate, slot, channel, self.error_log)

        child = fork(slot, life)
        self.selector.register(child.channel, selectors.EVENT_READ, child)
        return child

    def reap(self) -> None:
        """Take leave of the children that are gone."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = next((child for child in self.children() if child.pid == pid), None)
            if child is not None:
                self.bury(child, status)

    def bury(self, child: Child, status: int) -> None:
        """Hear a dead child's last words, and see to its replacement."""
        self.hear(child)
        self.dismiss_channel(child)
        self.unanswered.discard(child.pid)
        if child in self.leaving:
            self.leaving.remove(child)
        else:
            self.vacate(child, status)
        if child.slot is not None and not any(post.child and post.child.slot == child.slot for post in self.workers):
            self.estate.arena.clear(child.slot, suffix="inflight")
            self.estate.arena.clear(child.slot, [("worker", "connections")])
        if self.stopping and not any(one.slot is not None for one in self.children()):
            self.end([one for one in self.children() if one.deadline is None])

    def vacate(self, child: Child, status: int) -> None:
        """A child has died in its post: say why, and when the post is filled again."""
        post = self.keeper if child.slot is None else self.workers[child.slot]
        post.child = None
        if self.stopping:
            return
        lived = monotonic() - child.born
        delay = post.backoff.died(lived)
        post.due = monotonic() + delay
        what = f"{child.name} (process {child.pid}) died after {lived:.1f} s: {reason(status)}"
        if not self.serving and child.slot is not None:
            log.error("%s; frontgate does not start", what)
            self.status = 1
            self.stop()
            return
        self.restarts += 1
        log.error("%s; it is replaced %s", what, f"in {delay:.1f} s" if delay else "at once")
        self.tell_keeper()

    def dismiss_channel(self, child: Child) -> None:
        """Close our end of a child's channel."""
        if child.channel.fileno() >= 0:
            self.selector.unregister(child.channel)
            child.channel.close()

    # --- talk -------------------------------------------------------------------------------------------------------

    def tell(self, child: Child, message: Message, descriptors: list[int] | None = None) -> None:
        """Send a message; what does not fit is sent when the child reads."""
        child.channel.send(message, descriptors or [])
        self.watch(child)

    def watch(self, child: Child) -> None:
        """Look for what a child says, and for room when something waits for it."""
        if not child.channel.closed:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.channel.pending else 0)
            self.selector.modify(child.channel, wanted, child)

    def tell_keeper(self) -> None:
        """Tell the keeper who works."""
        if self.keeper.child is not None:
            children = [post.child for post in self.workers if post.child is not None]
            pids = {child.slot: child.pid for child in children if child.ready and child.slot is not None}
            self.tell(self.keeper.child, Crew(pids, self.restarts))
            self.tell(self.keeper.child, self.outcome)

    def hear(self, child: Child) -> None:
        """Take in what a child says."""
        if child.channel.closed:
            return
        child.channel.flush()
        for message, descriptors in child.channel.receive():
            for descriptor in descriptors:
                os.close(descriptor)
            if isinstance(message, Ready):
                self.welcome(child)
            elif isinstance(message, Failed) and child.ready:
                log.error("%s keeps its old configuration: %s", child.name, message.sentence)
                self.reload_good = False
                child.behind = True
                self.answered(child)
            elif isinstance(message, Failed):
                log.error("%s cannot start: %s", child.name, message.sentence)
            elif isinstance(message, Applied):
                self.answered(child)
        if child.channel.closed:
            self.dismiss_channel(child)  # its death will be told by SIGCHLD
        else:
            self.watch(child)

    def welcome(self, child: Child) -> None:
        """A child serves. When all workers do for the first time, say so and write the pid file."""
        child.ready = True
        self.tell_keeper()
        if self.serving or not all(post.child is not None and post.child.ready for post in self.workers):
            return
        self.serving = True
        if self.estate.model.pid is not None:
            try:
                pidfile.write(self.estate.model.pid)
            except OSError as error:
                log.error("the pid file %s cannot be written: %s", self.estate.model.pid, error.strerror)
        log.info("serving with %d workers: %s", len(self.workers), ", ".join(places(self.estate)))

    # --- orders -----------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again and put it in force everywhere, or say why not and change nothing."""
        if self.stopping:
            return
        log.info("reading %s again", self.path)
        try:
            change = self.estate.prepare(read(self.path))
            self.move_log(change)
        except (ConfigError, ValueError, OSError) as error:
            sentences = error.errors if isinstance(error, ConfigError) else [error]
            for sentence in sentences:
                log.error("%s", sentence)
            log.error("the old configuration stays in force")
            self.report(False)
            return
        self.spread(change)

    def move_log(self, change: Change) -> None:
        """Log where the new configuration says. ValueError, the change undone, when that cannot be opened."""
        wanted = change.model.log
        try:
            if wanted.error != self.error_log.path:
                self.error_log.move(wanted.error)
        except OSError as error:
            self.estate.abandon(change)
            raise ValueError(f"the error log {wanted.error} cannot be opened: {error.strerror}") from None
        logging.getLogger().setLevel(LEVELS[wanted.level])

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
        keeper, self.keeper.child = self.keeper.child, self.keeper.child if not change.new_admin else None
        if change.new_admin and keeper is not None:
            self.leaving.append(keeper)
            self.end([keeper])
        elif keeper is not None:
            self.tell(keeper, Reload(change.model, names))
        if change.new_admin:
            self.keeper.due = 0.0
        self.estate.apply(change)
        self.resize()
        if change.model.pid != old_pid:
            self.move_pid(old_pid, change.model.pid)

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

    def answered(self, child: Child) -> None:
        """A worker has said how the reload went; when all have, report."""
        if child.pid in self.unanswered:
            self.unanswered.discard(child.pid)
            if not self.unanswered:
                if self.reload_good:
                    log.info("the new configuration is in force")
                self.report(self.reload_good)

    def report(self, good: bool) -> None:
        """Tell the keeper how a reload ended."""
        self.outcome = Outcome(good, time.time())
        self.tell_keeper()

    def reopen(self) -> None:
        """Open the log files anew, everywhere."""
        self.error_log.reopen()
        for child in self.children():
            self.tell(child, Reopen())

    def quit(self) -> None:
        """Accept no more and let requests finish; the keeper stays to be asked until the workers are gone."""
        if self.stopping:
            return
        log.info("stopping when all requests are finished, in %g s at the latest", self.estate.model.timeouts.shutdown)
        self.stopping = True
        self.estate.close()
        for child in list(self.children()):
            if child.slot is not None:
                self.retire(child)
        if not any(child.slot is not None for child in self.children()):
            self.end(list(self.children()))

    def retire(self, child: Child) -> None:
        """Have a worker finish its requests."""
        self.tell(child, Quit())
        child.deadline = monotonic() + self.estate.model.timeouts.shutdown + AFTER_QUIT

    def stop(self) -> None:
        """Stop at once."""
        if not self.stopping:
            log.info("stopping")
        self.stopping = True
        self.end(list(self.children()))

    def end(self, children: list[Child]) -> None:
        """Send SIGTERM now and SIGKILL later."""
        for child in children:
            child.signal(signal.SIGTERM)
            child.deadline = monotonic() + KILL_AFTER

    def watch_deadlines(self) -> None:
        """Kill the children that should be gone by now."""
        now = monotonic()
        for child in list(self.children()):
            if child.deadline is not None and child.deadline <= now:
                log.warning("%s (process %d) does not stop: killed", child.name, child.pid)
                child.signal(signal.SIGKILL)
                child.deadline = now + KILL_AFTER


def places(estate: Estate) -> list[str]:
    """Where we listen, with the ports that the system chose."""
    found = []
    for name, doorway in estate.doorways.items():
        where = doorway.address
        if where.endswith(":0"):
            where = where[:-1] + str(doorway.of(0).getsockname()[1])
        found.append(f"{name} on {where}")
    if estate.admin is not None:
        found.append(f"admin on {estate.admin.address}")
    return found


def read(path: str) -> Model:
    """A checked Model; ConfigError with everything that is wrong."""
    model, source = toml.load(path)
    problems = check.problems(model, source)
    if problems:
        raise ConfigError(problems)
    return model


def raise_descriptor_limit() -> None:
    """Allow as many open files as the system lets us: a connection needs one, a request in flight two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
