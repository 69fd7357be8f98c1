"""The life of an exchange, with everybody around the engine replaced."""

from __future__ import annotations

import pytest

from proxy import engine, faults
from proxy.clock import Clock
from proxy.exchange import Exchange
from proxy.http.message import RequestFields, RequestLine, ResponseHead
from proxy.parties import Client
from proxy.policy.backend import Backend
from proxy.policy.retry import Retry
from proxy.policy.routing import Route
from proxy.verdict import PARKED, Reply


class Scene:
    """A downstream, a destination and an observer in one, that write down what they are told."""

    def __init__(self, *steps, method=b"GET"):
        self.told = []
        self.another = self.affordable = True
        self.is_behind = self.awaited = False
        self.clock = Clock(50.0)
        route = Route("s", b"/", self, steps=steps, observers=(lambda exchange: self.told.append("observed"),))
        client = Client(b"1.2.3.4", b"\1\2\3\4", b"http", b"")
        line = RequestLine(method, b"/", 1, b"/", b"/", b"")
        self.exchange = Exchange(self, client, line, RequestFields(()), self.clock, route)

    def send(self, exchange):
        self.told.append("sent")

    def has_another(self, exchange, pause=0.0):
        return self.another

    def affords(self, exchange):
        return self.affordable

    def awaits(self, exchange, backend):
        return self.awaited

    def send_again(self, exchange, pause):
        self.told.append("sent" if not pause else ("sent", pause))

    def behind(self):
        return self.is_behind

    def attempt(self):
        self.exchange.backend = Backend("b")
        self.exchange.backend.upstream = self
        self.exchange.backend.take(self.clock.now)
        self.exchange.tried = (*self.exchange.tried, self.exchange.backend)
        self.exchange.link = Link(self.told)
        return self.exchange.backend

    def head(self, exchange, head, body, end):
        exchange.replied = True
        self.told.append(("head", head.status, body, end))

    def reply(self, exchange, reply):
        exchange.replied = True
        self.told.append(("reply", reply.status, reply.close))

    def upgrade(self, exchange, head, rest):
        self.told.append(("upgrade", rest))

    def abort(self):
        self.told.append("abort")

    def done(self):
        self.told.append("done")


class Link:
    def __init__(self, told):
        self.told = told

    def abort(self):
        self.told.append("link aborted")


END = ["observed", "done"]


def test_steps_then_the_destination():
    seen = []
    scene = Scene(lambda exchange: seen.append(1), lambda exchange: seen.append(2))
    engine.advance(scene.exchange)
    assert seen == [1, 2] and scene.told == ["sent"]


def test_a_step_that_answers():
    scene = Scene(lambda exchange: Reply(403), lambda exchange: pytest.fail("too far"))
    engine.advance(scene.exchange)
    assert scene.told == [("reply", 403, False), *END] and scene.exchange.status == 403
    assert scene.exchange.finished == 50.0


def test_parked_and_resumed():
    seen = []
    scene = Scene(lambda exchange: PARKED, lambda exchange: seen.append(2))
    engine.advance(scene.exchange)
    assert scene.told == [] and not seen
    engine.resume(scene.exchange)
    assert scene.told == ["sent"] and seen == [2]


def test_parked_and_gone():
    scene = Scene(lambda exchange: PARKED)
    engine.advance(scene.exchange)
    engine.left(scene.exchange)
    engine.resume(scene.exchange)
    engine.left(scene.exchange)
    engine.failed(scene.exchange, faults.BODY_TIMEOUT)
    assert scene.told == END and scene.exchange.fault is faults.CLIENT_LEFT and scene.exchange.status == 499


@pytest.mark.parametrize("end", [True, False])
def test_answered(end):
    scene = Scene()
    backend = scene.attempt()
    engine.answered(scene.exchange, ResponseHead(200, b"OK", ()), b"x", end)
    assert scene.told == [("head", 200, b"x", end), *(END if end else [])]
    assert backend.settled == (1 if end else 0)


FAULTS = sorted(faults.TABLE.values(), key=lambda fault: fault.name)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("state", ["fresh", "streamed", "replied"])
def test_every_fault(fault, method, state):
    scene = Scene(method=method)
    backend = scene.attempt()
    setattr(scene.exchange, state, True)
    scene.exchange.status = 200 if state == "replied" else 0
    engine.failed(scene.exchange, fault)
    retried = state == "fresh" and fault.cause in ("connect", "closed") and (fault.unsent or method == b"GET")
    assert scene.told[0] == "link aborted"
    if retried:
        assert scene.told[1:] == ["sent"] and not scene.exchange.finished
    elif state == "replied" or not fault.status:
        assert scene.told[1:] == ["abort", *END]
    else:
        assert scene.told[1:] == [("reply", fault.status, fault.blame is faults.CLIENT), *END]
    assert backend.taken == backend.settled == 1 and scene.exchange.backend is None and scene.exchange.link is None
    assert backend.fails == (1 if fault.health and fault.blame is faults.BACKEND else 0)
    assert backend.failures == backend.fails
    assert scene.exchange.status == (0 if retried else 200 if state == "replied" else fault.status) or retried


def test_a_backend_that_comes_again_gets_what_did_not_reach_it():
    scene = Scene(method=b"POST")
    scene.awaited, scene.another = True, False
    backend = scene.attempt()
    engine.failed(scene.exchange, faults.CONNECT_REFUSED)
    assert scene.told == ["link aborted", "sent"] and scene.exchange.tried == () and scene.exchange.fresh
    assert not scene.exchange.finished and backend.settled


def test_a_reuse_race_gives_the_backend_another_chance():
    scene = Scene()
    scene.attempt()
    engine.failed(scene.exchange, faults.REUSE_RACE)
    assert scene.exchange.tried == () and scene.exchange.fresh


def test_no_backend_left_tells_of_the_last_that_failed():
    scene = Scene()
    scene.attempt()
    engine.failed(scene.exchange, faults.CONNECT_TIMEOUT)
    engine.failed(scene.exchange, faults.NO_BACKEND)
    assert scene.exchange.fault is faults.CONNECT_TIMEOUT and scene.told[-3] == ("reply", 504, False)


def test_an_answer_forgets_the_fault_of_an_earlier_attempt():
    scene = Scene()
    scene.attempt()
    engine.failed(scene.exchange, faults.CONNECT_REFUSED)
    backend = scene.attempt()
    backend.fails, backend.checked, backend.accessed = 1, 60.0, 50.0
    engine.answered(scene.exchange, ResponseHead(200, b"OK", ()), b"", True)
    assert scene.exchange.fault is None and backend.fails == 0


def scene_with(retry, method=b"GET"):
    scene = Scene(method=method)
    scene.exchange.route.retry = retry
    return scene, scene.attempt()


def refuse(scene, status=503, fields=()):
    engine.answered(scene.exchange, ResponseHead(status, b"", fields), b"no", False)


def test_an_answer_whose_status_is_tried_again():
    scene, backend = scene_with(Retry([503]))
    refuse(scene)
    assert scene.told == ["link aborted", "sent"] and backend.fails == backend.settled == 1
    assert backend.trouble == "answered 503" and scene.exchange.backend is None and not scene.exchange.replied


@pytest.mark.parametrize(
    ("change", "failures"),
    [
        (lambda scene: setattr(scene, "another", False), 1),
        (lambda scene: setattr(scene, "affordable", False), 1),
        (lambda scene: setattr(scene.exchange, "streamed", True), 0),
        (lambda scene: setattr(scene.exchange.line, "method", b"POST"), 0),
    ],
)
def test_an_answer_that_cannot_be_tried_again_is_the_answer(change, failures):
    """Whether there is another is known when the backend has heard how it did: it may be out by that."""
    scene, backend = scene_with(Retry([503]))
    change(scene)
    refuse(scene)
    assert scene.told == [("head", 503, b"no", False)] and backend.settled == backend.fails == failures


def test_retry_after_is_waited_for_unless_it_is_too_long():
    scene, _ = scene_with(Retry([503], cap=10.0))
    refuse(scene, fields=((b"retry-after", b"3"),))
    assert scene.told[-1] == ("sent", 3.0)
    scene, _ = scene_with(Retry([503], cap=2.0))
    refuse(scene, fields=((b"retry-after", b"3"),))
    assert scene.told == [("head", 503, b"no", False)]


def test_the_budget_is_asked_before_a_fault_is_tried_again():
    scene, _ = scene_with(Retry())
    scene.affordable = False
    engine.failed(scene.exchange, faults.CONNECT_REFUSED)
    assert scene.told == ["link aborted", ("reply", 502, False), *END]


def test_a_backend_is_free_before_a_slow_client_has_its_answer():
    scene = Scene()
    backend = scene.attempt()
    engine.answered(scene.exchange, ResponseHead(200, b"OK", ()), b"x", False)
    scene.is_behind = True
    engine.ended(scene.exchange)
    assert backend.settled == 1 and not scene.exchange.finished and scene.exchange.ended == 50.0
    engine.finish(scene.exchange)
    assert backend.settled == 1 and scene.told[-2:] == END


def test_upgraded_then_left():
    scene = Scene()
    backend = scene.attempt()
    engine.upgraded(scene.exchange, ResponseHead(101, b"", ()), b"rest")
    engine.left(scene.exchange)
    assert scene.told == [("upgrade", b"rest"), "link aborted", *END] and scene.exchange.status == 101
    assert backend.settled == 1 and backend.fails == 0


def test_the_table_of_faults_makes_sense():
    for fault in faults.TABLE.values():
        assert fault.blame in (faults.CLIENT, faults.PROXY, faults.BACKEND)
        assert not fault.health or fault.blame is faults.BACKEND
        assert bool(fault.cause) is (fault.blame is faults.BACKEND)
        assert not fault.unsent or fault.cause == "connect"
        assert fault.status == 0 or (400 if fault.blame is faults.CLIENT else 404) <= fault.status < 600
