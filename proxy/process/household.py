"""The processes of a frontgate as the master keeps them: born into posts, heard, replaced when they die, and ended.

Rules: nothing here waits for anybody. A worker that dies gives its slot, with its sockets and its row of counters, to
the next one; what it had in flight is cleared first. A worker that leaves its slot is gone before another takes it.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final

from proxy.acme.renewer import learn
from proxy.downstream.tls import read_pems
from proxy.ledger import GAUGES
from proxy.policy.backoff import Backoff
from proxy.process import pidfile, succession
from proxy.process.channel import Anew, Applied, Certify, Channel, Crew, Failed, Look, Message, Outcome, Ready, Shown
from proxy.process.checks import checks_of
from proxy.process.child import KILL_AFTER, Child, drop_privileges, fork, reason
from proxy.process.estate import Estate
from proxy.process.hints import wants
from proxy.process.keeper import keep
from proxy.process.log import ErrorLog
from proxy.process.notify import Notify
from proxy.process.supervisor import supervise
from proxy.process.watch import LOOK, Watch, shown
from proxy.process.worker import work

STOP_MORE: Final = 2.0  # seconds beyond those of its workers that the supervisor has to go

log = logging.getLogger("frontgate")


class Post:
    """A place for a child, a worker's slot or the keeper's: who holds it, and when it is filled again."""

    __slots__ = ("backoff", "child", "due", "slot")

    def __init__(self, slot: int | None) -> None:
        self.slot = slot
        self.child: Child | None = None
        self.backoff = Backoff()
        self.due = 0.0


class Household:
    """All children of the master, the posts they hold, and what the master and they tell each other."""

    def __init__(self, estate: Estate, error_log: ErrorLog) -> None:
        self.estate = estate
        self.error_log = error_log
        self.workers = [Post(slot) for slot in range(self.estate.slots)]
        self.keeper = Post(None)
        self.supervisor = Post(None)  # of applications
        self.lifeline = os.pipe()  # its end is that of the applications' workers: nobody else holds where it is written
        self.leaving: list[Child] = []  # children without a post, on their way out
        self.restarts = 0  # of workers
        self.keeper_restarts = 0
        self.started = time.time()
        self.outcome = Outcome(True, self.started)
        self.serving = False  # every worker has been ready once
        self.serves: Callable[[], None] = lambda: None  # called then
        self.refused: Callable[[str], None] | None = None  # called before that, with why a child cannot start
        self.stopping = False
        self.resting = False  # nobody serves until the next reload
        self.heir = 0  # the process that was started to take our place
        self.status = 0
        self.unanswered: set[int] = set()  # processes that have not said yet how a reload went
        self.reload_good = True
        self.wanted_anew = False  # the keeper was asked for a reload
        self.selector = selectors.DefaultSelector()
        self.watch_files = Watch()
        self.watch_files.changed(estate.model)
        self.next_look = monotonic() + LOOK
        self.private: list[socket.socket] = []  # the master's own, which children close
        self.notify = Notify()

    # --- births and deaths ------------------------------------------------------------------------------------------

    def posts(self) -> Iterator[Post]:
        """All places for children."""
        if self.estate.model.app:
            yield self.supervisor
        yield from self.workers
        model = self.estate.model
        if self.estate.admin is not None or model.ordered or checks_of(model) or wants(model):
            yield self.keeper

    def children(self) -> Iterator[Child]:
        """All living children."""
        for post in (*self.workers, self.keeper, self.supervisor):
            if post.child is not None:
                yield post.child
        yield from self.leaving

    def vacant(self, post: Post) -> bool:
        """Whether a post is to be filled. A worker that is leaving its slot still counts in that row of the arena."""
        if self.stopping or self.resting or post.child is not None:
            return False
        if post.slot is not None and not self.serving and self.estate.model.app and not self.supervised():
            return False  # requests wait in the sockets until applications have come up
        return post.slot is None or all(child.slot != post.slot for child in self.leaving)

    def supervised(self) -> bool:
        """Whether applications have come up."""
        return self.supervisor.child is not None and self.supervisor.child.ready

    def fill_posts(self) -> None:
        """Fork a child for each post that is empty and due."""
        now = monotonic()
        for post in self.posts():
            if self.vacant(post) and post.due <= now:
                post.child = self.bear(post)
                if post is self.keeper:
                    self.tell_keeper()

    def bear(self, post: Post) -> Child:
        """Fork a worker, the keeper or the supervisor."""
        slot = post.slot

        def life(channel: Channel) -> int:
            os.close(self.lifeline[1])
            self.selector.close()
            for one in self.private:
                one.close()
            for sibling in self.children():
                sibling.channel.close()
            self.estate.forget(slot)
            if post is self.keeper and self.estate.model.ordered:
                learn()  # while the program's files can still be read, whoever we become
            umask = drop_privileges(self.estate.model)
            if post is self.supervisor:
                if self.estate.admin is not None:
                    self.estate.admin.of(0).close()  # it is the keeper's
                arena, model = self.estate.arena, self.estate.model
                return supervise(arena, model, channel, self.error_log, self.lifeline[0], umask)
            if slot is None:
                return keep(self.estate, channel, self.error_log, self.started)
            return work(self.estate, slot, channel, self.error_log)

        child = fork(slot, life)
        if post is self.supervisor:
            child.name = "the supervisor"
            child.grace = max(app.stop for app in self.estate.model.app.values()) + STOP_MORE
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
            elif pid == self.heir:
                self.heir = 0
                log.error("the new program (process %d) is gone: %s", pid, reason(status))
                succession.come_back(self.estate.model.pid)
                for doorway in self.estate.doors:
                    doorway.claim()

    def bury(self, child: Child, status: int) -> None:
        """Hear a dead child's last words, and see to its replacement."""
        self.hear(child)
        self.dismiss_channel(child)
        self.answered(child)
        if child in self.leaving:
            self.leaving.remove(child)
        else:
            self.vacate(child, status)
        if child.slot is not None and not any(post.child and post.child.slot == child.slot for post in self.workers):
            for word in GAUGES:
                self.estate.arena.clear(child.slot, suffix=word)
            self.estate.tally.clear(child.slot)
        if self.stopping and not any(one.slot is not None for one in self.children()):
            self.end([one for one in self.children() if one.deadline is None])

    def vacate(self, child: Child, status: int) -> None:
        """A child has died in its post: say why, and when the post is filled again."""
        post = next(one for one in (*self.workers, self.keeper, self.supervisor) if one.child is child)
        post.child = None
        if self.stopping or self.resting:
            return
        lived = monotonic() - child.born
        delay = post.backoff.died(lived)
        post.due = monotonic() + delay
        what = f"{child.name} (process {child.pid}) died after {lived:.1f} s: {reason(status)}"
        if not self.serving and post is not self.keeper:
            log.error("%s; frontgate does not start", what)
            self.status = 1 if post is not self.supervisor else max(1, os.waitstatus_to_exitcode(status))
            self.stop()
            return
        if post is self.keeper:
            self.keeper_restarts += 1
        elif post is not self.supervisor:
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
            self.tell(self.keeper.child, Crew(pids, self.restarts, self.keeper_restarts))
            self.tell(self.keeper.child, self.outcome)
            self.tell(self.keeper.child, Shown(shown(self.estate.model, self.estate.pems)))

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
            elif isinstance(message, Failed) and not self.serving and self.refused is not None:
                self.refused(message.sentence)
            elif isinstance(message, Failed):
                log.error("%s cannot start: %s", child.name, message.sentence)
            elif isinstance(message, Applied):
                self.answered(child)
            elif isinstance(message, Look):
                self.look_at_files()
            elif isinstance(message, Anew):
                self.wanted_anew = True
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
        number = len(self.workers)
        status = f"serving with {number} worker{'' if number == 1 else 's'}: {', '.join(places(self.estate))}"
        log.info("%s", status)
        self.notify.ready(status)
        self.serves()

    def answered(self, child: Child) -> None:
        """A worker has said how the reload went; when all have, report."""
        if child.pid in self.unanswered:
            self.unanswered.discard(child.pid)
            if not self.unanswered:
                if self.reload_good:
                    log.info("the new configuration is in force, the one before has exited with code 0")
                self.report(self.reload_good)

    def report(self, good: bool) -> None:
        """Tell the keeper how a reload ended."""
        self.outcome = Outcome(good, time.time())
        if not self.stopping:
            self.notify.ready("serving" if good else "serving, the last reload was refused: see the error log")
        self.tell_keeper()

    # --- certificates -----------------------------------------------------------------------------------------------

    def look_at_files(self) -> None:
        """Show what the files of certificates say now, if they have changed and are good."""
        self.next_look = monotonic() + LOOK
        if self.stopping or not self.watch_files.changed(self.estate.model):
            return
        try:
            pems = read_pems(self.estate.model)
            if pems == self.estate.pems:
                return
            self.estate.certify(pems)
        except ValueError as error:
            log.error("the certificates of before stay in use: %s", error)
            return
        log.info("files of certificates have changed, and are in use now")
        for child in self.children():
            if child.slot is not None:
                self.tell(child, Certify(pems))
        self.tell_keeper()

    # --- ends -------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop at once."""
        if not self.stopping:
            log.info("stopping")
            self.notify.stopping("stopping", self.heir)
        self.stopping = True
        self.end(list(self.children()))

    def end(self, children: list[Child]) -> None:
        """Send SIGTERM now and SIGKILL later."""
        for child in children:
            child.signal(signal.SIGTERM)
            child.deadline = monotonic() + child.grace

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
