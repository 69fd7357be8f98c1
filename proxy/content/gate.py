"""The step that lets in or turns away: rules over addresses, passwords, and the word of another service.

Rules: nginx's access phase. With `any` one check that grants is enough, else all must; a 401 weighs more than a 403,
and an answer other than these two ends the matter. Requests that we make ourselves are not weighed again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from proxy import engine
from proxy.clock import Parking
from proxy.content.subrequest import Ways, inner
from proxy.content.user_file import UserFiles
from proxy.exchange import Exchange
from proxy.http.headers import unbroken
from proxy.http.message import quoted
from proxy.policy.access import Rules, refused
from proxy.policy.passwords import credentials
from proxy.policy.script import course_of
from proxy.policy.template import Template
from proxy.verdict import PARKED, Parked, Reply, Verdict

OFF: Final = b"off"  # a realm that asks for no password
ERROR: Final = Reply(500)
Outcome = bool | Reply | None  # granted; the answer to give; no opinion
Then = Callable[[Outcome], None]


class Check(Protocol):
    """One of a gate's: PARKED if it has to ask; `then` hears of it."""

    def __call__(self, exchange: Exchange, then: Then) -> Outcome | Parked: ...


class ByRules:
    """By address."""

    __slots__ = ("_rules",)

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def __call__(self, exchange: Exchange, then: Then) -> Outcome | Parked:
        """What the rules say."""
        allowed = self._rules.of(exchange)
        return refused(exchange) if allowed is False else allowed


class ByPassword:
    """By user and password, of a file whose name may hold variables."""

    __slots__ = ("_file", "_files", "_realm")

    def __init__(self, realm: Template, file: Template, files: UserFiles) -> None:
        self._realm = realm
        self._file = file
        self._files = files

    def __call__(self, exchange: Exchange, then: Then) -> Outcome | Parked:
        """Weigh the credentials."""
        realm = self._realm(exchange)
        if realm == OFF:
            return None
        given = credentials(exchange.fields.get(b"authorization") or b"")
        if given is None:
            return _challenge(realm)
        user, password = given
        file = self._file(exchange)
        try:
            kept = self._files.users(file).get(user)
        except (OSError, ValueError) as error:
            course_of(exchange).note("error", f'open() "{_shown(file)}" failed ({error})')
            return Reply(403) if isinstance(error, FileNotFoundError) else ERROR
        if kept is None:
            course_of(exchange).note("error", f'user "{_shown(user)}" was not found in "{_shown(file)}"')
            return _challenge(realm)
        if not self._files.holds(password, kept):
            course_of(exchange).note("error", f'user "{_shown(user)}": password mismatch')
            return _challenge(realm)
        return True


class ByRequest:
    """By what is answered at another path: 2xx grants, 401 and 403 are passed on. `set` are variables that get what
    texts are worth there."""

    __slots__ = ("_path", "_set", "_ways")

    def __init__(self, path: bytes, ways: Ways, set: Sequence[tuple[str, Template]] = ()) -> None:
        self._path = path
        self._ways = ways
        self._set = tuple(set)

    def __call__(self, exchange: Exchange, then: Then) -> Outcome | Parked:
        """Ask."""
        asked = _Asked(self, exchange, then)
        inner(exchange, self._ways, self._path, b"", b"GET", False, asked)
        if asked.answered:
            return asked.outcome
        asked.waits = True
        return PARKED

    def judged(self, exchange: Exchange, answered: Exchange) -> Outcome:
        """What an answer means."""
        for name, value in self._set:
            course, text = course_of(exchange), value(answered)
            if name == "args":
                course.args, course.changed = text, True
            else:
                course.values[name] = text
        status = answered.status
        if 200 <= status < 300:
            return True
        if status == 403:
            return Reply(403)
        if status == 401:
            head = answered.answer
            lines = [value for name, value in head.fields if name == b"www-authenticate"] if head is not None else []
            return Reply(401, fields=b"".join([b"WWW-Authenticate: %b\r\n" % value for value in lines]))
        course_of(exchange).note("error", f"auth request unexpected status: {status}")
        return ERROR


class _Asked:
    """A question that is under way."""

    __slots__ = ("_check", "_exchange", "_then", "answered", "outcome", "waits")

    def __init__(self, check: ByRequest, exchange: Exchange, then: Then) -> None:
        self._check = check
        self._exchange = exchange
        self._then = then
        self.waits = self.answered = False
        self.outcome: Outcome = None

    def __call__(self, answered: Exchange) -> None:
        """The answer is here."""
        self.answered = True
        self.outcome = self._check.judged(self._exchange, answered)
        if self.waits:
            self._then(self.outcome)


class Gate:
    """All checks of a route, in nginx's order; `delay` seconds pass before a 401 is told."""

    __slots__ = ("_any", "_checks", "_delay", "_parking")

    def __init__(self, checks: Sequence[Check], any: bool, delay: float, parking: Parking) -> None:
        self._checks = tuple(checks)
        self._any = any
        self._delay = delay
        self._parking = parking

    def __call__(self, exchange: Exchange) -> Verdict:
        """Weigh an exchange."""
        if exchange.course is not None and exchange.course.inner:
            return None
        return self._weigh(exchange, 0, None)

    def _weigh(self, exchange: Exchange, at: int, refusal: Reply | None) -> Verdict:
        """From one check on; `refusal` is what stands against the exchange already."""
        while at < len(self._checks):
            outcome = self._checks[at](exchange, partial(self._heard, exchange, at, refusal))
            if isinstance(outcome, Parked):
                return outcome
            if outcome is True and self._any:
                return None
            if isinstance(outcome, Reply):
                if not self._any or outcome.status not in (401, 403):
                    return self._told(exchange, outcome)
                refusal = outcome if refusal is None or refusal.status != 401 else refusal
            at += 1
        return self._told(exchange, refusal) if refusal is not None else None

    def _heard(self, exchange: Exchange, at: int, refusal: Reply | None, outcome: Outcome) -> None:
        """A check that had to ask knows its outcome: go on behind it."""
        if exchange.finished:
            return
        verdict: Verdict = None
        if isinstance(outcome, Reply) and (not self._any or outcome.status not in (401, 403)):
            verdict = self._told(exchange, outcome)
        elif not (outcome is True and self._any):
            if isinstance(outcome, Reply) and (refusal is None or refusal.status != 401):
                refusal = outcome
            verdict = self._weigh(exchange, at + 1, refusal)
        if isinstance(verdict, Reply):
            engine.reply(exchange, verdict)
        elif verdict is None:
            engine.resume(exchange)

    def _told(self, exchange: Exchange, answer: Reply) -> Verdict:
        """The answer, now or after the delay."""
        if answer.status != 401 or not self._delay:
            return answer
        self._parking.park(exchange.clock.now + self._delay, partial(_late, exchange, answer))
        return PARKED


def _late(exchange: Exchange, answer: Reply) -> None:
    if not exchange.finished:
        engine.reply(exchange, answer)


def _challenge(realm: bytes) -> Reply:
    """A 401 that says what is asked for; a realm can end neither its quotation nor its line."""
    said = unbroken(realm).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return Reply(401, fields=b'WWW-Authenticate: Basic realm="%b"\r\n' % said)


def _shown(text: bytes) -> str:
    return quoted(text).decode("ascii")
