"""The life of an exchange, top to bottom.

    advance (the route's steps) -> destination.send -> answered -> ended -> finish
        ^ PARKED ... resume            |  failed, unwanted: once more, or an answer of our own

Rules: no I/O, no clock, no chance. Every exchange ends in `finish` exactly once, and what was taken from a backend is
settled by then, once per attempt. Whoever calls in here has finished its own bookkeeping first, since any of these
functions may start the client's next request before it returns.
"""

from __future__ import annotations

from typing import Final

from proxy import faults
from proxy.exchange import Answers, Backend, Exchange, Route
from proxy.faults import Fault
from proxy.http.answer import Answer
from proxy.http.message import ResponseHead
from proxy.http.render import REASONS, answer_of, kept_of
from proxy.policy import attempts
from proxy.policy.pattern import Endless
from proxy.policy.retry import NO
from proxy.verdict import AGAIN, PARKED, Reply, Verdict

BODYLESS: Final = (204, 304)
NO_ANSWER: Final = 444  # the status of a `return` that closes the connection, as in nginx


def advance(exchange: Exchange) -> None:
    """A request head has been read and its route found, or what the exchange was parked for has come: go through the
    steps that are left, of which the iterator is the cursor, and on to the destination."""
    verdict: Verdict = AGAIN
    try:
        while verdict is AGAIN:
            verdict = None
            for step in exchange.pending:
                verdict = step(exchange)
                if verdict is not None:
                    break
        if verdict is None:
            exchange.route.destination.send(exchange)
        elif isinstance(verdict, Reply):
            reply(exchange, verdict)
    except Endless as problem:
        endless(exchange, problem)


def enter(exchange: Exchange, route: Route) -> None:
    """Go on with another route, from its first step: an internal redirect, or an error page."""
    if exchange.tried and exchange.course is not None:
        exchange.course.earlier += (exchange.tried,)
        attempts.turn(exchange)
    exchange.tried = ()
    exchange.deadline = 0.0
    exchange.route = route
    exchange.pending = iter(route.steps)
    advance(exchange)


def fits(exchange: Exchange) -> Verdict:
    """A step of routes that are entered late: a body that its route does not take ends the exchange, however it came
    here. Error pages and requests of our own only carry the length of a body that was weighed before."""
    course = exchange.course
    weighed = course is not None and (course.failed or course.inner)
    if exchange.fields.length > exchange.route.max_body and not weighed:
        failed(exchange, faults.BODY_TOO_LARGE)
        return PARKED
    return None


def whole_body(exchange: Exchange) -> Verdict:
    """A step: go on when the request's body is whole. Where a body may never be, its route streams."""
    if exchange.upload_done or (exchange.course is not None and exchange.course.failed):
        return None
    exchange.downstream.accept(whole=True)
    return PARKED


def timed(exchange: Exchange) -> Verdict:
    """A step: the deadline of the route runs from here, behind all that it was the client who took its time."""
    exchange.deadline = exchange.clock.now + exchange.route.timeouts.deadline
    return None


def resume(exchange: Exchange) -> None:
    """Continue a parked exchange, if the client is still there."""
    if not exchange.finished:
        advance(exchange)


def reply(exchange: Exchange, answer: Reply) -> None:
    """Answer the exchange ourselves."""
    answers = exchange.route.answers
    if answer.status == NO_ANSWER:
        exchange.status = answer.status
        exchange.downstream.last()
        finish(exchange)
    elif answers is None:
        plain(exchange, answer)
    else:
        try:
            replied(exchange, answer, answers)
        except Endless as problem:
            endless(exchange, problem)


def plain(exchange: Exchange, answer: Reply) -> None:
    """Answer without pages and filters."""
    exchange.status = answer.status
    exchange.downstream.reply(exchange, answer)
    finish(exchange)


def endless(exchange: Exchange, problem: Endless) -> None:
    """A search of an expression was given up, so nobody knows what the configuration wants of this exchange: a plain
    500, since a page or a filter could lead where a match would have forbidden to go."""
    problem.tell(exchange.clock.now)
    failed(exchange, faults.ENDLESS)


def replied(exchange: Exchange, answer: Reply, answers: Answers) -> None:
    """Answer on a route that has error pages or filters."""
    if answer.close or answer.status in answers.ends:
        exchange.downstream.last()
    other = answers.instead(exchange, answer.status) if answer.status >= 300 else None
    if isinstance(other, Reply):
        answer = other
    elif other is not None:
        if exchange.course is not None:
            exchange.course.kept += kept_of(answer, exchange.course.status)
        enter(exchange, other)
        return
    if answer.status >= 300 and exchange.course is not None:
        exchange.course.status = 0  # what goes wrong on the way to a page counts for more than what led there
    head, body = answer_of(answer, answers.html)
    for change in answers.own:
        change(exchange, head, exchange.downstream)
    through(exchange, head, b"" if exchange.line.method == b"HEAD" else body, True)
    ended(exchange)


def through(exchange: Exchange, answer: Answer, body: bytes, end: bool) -> None:
    """Send a head, and the first of its body, through the filters of its route."""
    course, answers = exchange.course, exchange.route.answers
    if course is not None and course.status:
        if answer.status in BODYLESS:
            answer.length = 0  # its new status is one that has a body
        answer.status, answer.reason = course.status, REASONS.get(course.status, b"")
    if course is not None and course.kept:
        kept, course.kept = course.kept, ()
        answer.keep(kept)
    exchange.ended = 0.0  # it may have been that of an answer which was dropped for this one
    client = below = last = exchange.downstream
    for change in answers.filters if answers is not None else ():
        made = change(exchange, answer, client)
        if made is not client:  # the body goes through them in the order in which they see the head
            if last is client:
                below = made
            else:
                last.below = made  # type: ignore[attr-defined]
            last = made
    exchange.downstream = below
    exchange.answer = head = answer.sealed()
    exchange.status = head.status
    below.head(exchange, head, body, end)


def answered(exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> bool:
    """The backend's final response head is here, with the first part of its body or all of it. False if the answer is
    not taken: then the exchange is somebody else's already, and whoever brings the answer says no more of it."""
    if head.status >= 400 and unwanted(exchange, head):
        return False
    exchange.status = head.status
    exchange.answered = exchange.clock.now
    exchange.fault = None  # an earlier attempt's; it shows in `tried`
    if not end and exchange.ticket < 0 and exchange.backend is not None:
        exchange.ticket = exchange.backend.answered(exchange.answered, exchange.ticket, head.status)
    answers = exchange.route.answers
    if answers is None:
        if end:
            free(exchange)
        exchange.downstream.head(exchange, head, body, end)
        if end:
            exchange.ended = exchange.clock.now
            finish(exchange)
        return True
    try:
        return changed(exchange, head, body, end, answers)
    except Endless as problem:
        endless(exchange, problem)
        return False


def changed(exchange: Exchange, head: ResponseHead, body: bytes, end: bool, answers: Answers) -> bool:
    """The same on a route that has error pages or filters."""
    exchange.source = head
    other = answers.replaced(exchange, head)
    if other is not None:
        link = exchange.link
        exchange.link = None
        if link is not None:
            link.abort()
        settle(exchange)
        if isinstance(other, Reply):
            reply(exchange, other)
        else:
            enter(exchange, other)
        return False
    through(exchange, Answer.of(head), body, end)
    if end:
        ended(exchange)
    return True


def unwanted(exchange: Exchange, head: ResponseHead) -> bool:
    """Whether the answer is dropped for another attempt, because its status is one that is tried again."""
    retry, backend = exchange.route.retry, exchange.backend
    if backend is None or head.status not in retry.statuses or not retry.repeatable(exchange):
        return False
    pause = retry.asked(exchange, head)
    if pause == NO:
        return False
    exchange.backend = None  # it hears first of how that went: it may be the only one there is to try, or may not be
    backend.trouble = f"answered {head.status}"
    failed = head.status not in (403, 404)  # which say nothing of the backend
    backend.settle(exchange.clock.now, failed, True, exchange.ticket, head.status)
    if not backend.upstream.has_another(exchange, pause) or not backend.upstream.affords(exchange):
        return False
    link = exchange.link
    exchange.link = None
    if link is not None:
        link.abort()
    attempts.close(exchange, head.status, answered=True)
    backend.upstream.send_again(exchange, pause)
    return True


def upgraded(exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
    """The backend has switched protocols: from here on bytes pass as they are, until one side ends."""
    exchange.source = exchange.answer = head
    exchange.status = head.status
    exchange.answered = exchange.clock.now
    exchange.fault = None
    if exchange.backend is not None:
        exchange.ticket = exchange.backend.answered(exchange.answered, exchange.ticket, head.status)
    exchange.downstream.upgrade(exchange, head, rest)


def ended(exchange: Exchange) -> None:
    """The backend's answer is whole, and the backend is free; its client may not have taken all of it yet, and then
    finishes the exchange when it has."""
    settle(exchange)
    if not exchange.downstream.behind():
        finish(exchange)


def failed(exchange: Exchange, fault: Fault) -> None:
    """Something went wrong: try once more if that is safe, else answer, else break off visibly."""
    if exchange.finished:
        return
    link, backend, queue = exchange.link, exchange.backend, exchange.queue
    exchange.link = exchange.backend = None
    if queue is not None:
        queue.leave(exchange)
    if link is not None:
        link.abort()
    if backend is not None:
        backend.trouble = fault.reason
        backend.settle(exchange.clock.now, fault.health, fault.health, exchange.ticket, fault.cause)
        if once_more(exchange, fault, backend):
            return
        attempts.close(exchange, fault.status)
    if fault is faults.NO_BACKEND and exchange.fault is not None:
        fault = exchange.fault  # all were tried: say what happened to the last
    exchange.fault = fault
    if exchange.replied or not fault.status:
        exchange.status = exchange.status or fault.status
        exchange.downstream.abort()
        finish(exchange)
    elif fault is faults.ENDLESS:
        plain(exchange, Reply(fault.status))
    else:
        reply(exchange, Reply(fault.status, fields=fault.fields, close=fault.blame is faults.CLIENT))


def once_more(exchange: Exchange, fault: Fault, backend: Backend) -> bool:
    """Begin another attempt after a fault of a backend, if that is wanted, safe and affordable."""
    retry = exchange.route.retry
    if fault.cause not in retry.causes or not retry.repeatable(exchange, fault.unsent):
        return False
    if fault is faults.REUSE_RACE or (fault is faults.CONNECT_REFUSED and backend.upstream.awaits(exchange, backend)):
        # No verdict on the backend: it may have the exchange again, on a new connection.
        exchange.fresh = True
        exchange.tried = exchange.tried[:-1]
        pause = 0.0
    else:
        pause = retry.pause(exchange, not fault.unsent)
        if pause == NO:
            return False
        if not backend.upstream.has_another(exchange, pause):
            pause = 0.0  # nobody is left to ask: who stands in for them, if anybody does, need not wait
        elif not backend.upstream.affords(exchange):
            return False
        attempts.close(exchange, fault.status)
    exchange.fault = fault
    backend.upstream.send_again(exchange, pause)
    return True


def left(exchange: Exchange) -> None:
    """The client has gone: so does everything done for it."""
    if exchange.finished:
        return
    link, queue = exchange.link, exchange.queue
    exchange.fault = faults.CLIENT_LEFT
    exchange.status = exchange.status or faults.CLIENT_LEFT.status
    if queue is not None:
        queue.leave(exchange)
    if link is not None:
        exchange.link = None
        link.abort()
    finish(exchange)


def settle(exchange: Exchange) -> None:
    """Give the backend back: its part is done."""
    exchange.ended = exchange.clock.now
    free(exchange)


def free(exchange: Exchange) -> None:
    """Let others have the backend, whose answer is whole, before its client gets the last of it: who has that may come
    again at once, at another worker perhaps, and is not to find the backend busy."""
    backend = exchange.backend
    if backend is not None:
        exchange.backend = None
        backend.settle(exchange.clock.now, False, exchange.fault is None, exchange.ticket, exchange.status)


def finish(exchange: Exchange) -> None:
    """The end of every exchange."""
    exchange.finished = exchange.clock.now
    if exchange.backend is not None:
        settle(exchange)
    for observe in exchange.route.observers:
        try:
            observe(exchange)
        except Endless as problem:  # a line of a log is lost, and all else is done
            problem.tell(exchange.finished)
    exchange.body = b""
    if exchange.store is not None:
        exchange.store.close()
    exchange.downstream.done()
