"""The step that limits: what passes, waits and is rejected, with one limit and with several."""

from __future__ import annotations

import pytest

from proxy.clock import Clock, Parking
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.shared.buckets import Buckets
from proxy.shared.limit import OUTCOMES, Limit, Limits, OneLimit
from proxy.shared.memory import Memory
from proxy.verdict import PARKED


class Asking:
    """An exchange as far as limits know it."""

    def __init__(self, key=b"k", other=b"o"):
        self.keys = (key, other)
        self.limit_status = ""
        self.extra_fields = b""


class Scene:
    def __init__(self):
        self.clock = Clock(1000.0)
        self.parking = Parking(lambda at: None)
        self.resumed = []

    def limit(self, rate, burst=0, delay=0, key=0, **words):
        leaky = Leaky(rate * REQUEST, burst * REQUEST, None if delay is None else delay * REQUEST)
        counts = [0] * len(OUTCOMES)
        buckets = Buckets(Memory(1 << 16), leaky)
        return Limit("l", lambda exchange: exchange.keys[key], leaky, buckets, counts, **words)

    def step(self, *limits):
        return OneLimit(limits[0], *self.parts) if len(limits) == 1 else Limits(limits, *self.parts)

    @property
    def parts(self):
        return self.clock, self.parking, self.resumed.append


@pytest.fixture
def scene():
    return Scene()


def outcomes(limit):
    return dict(zip(OUTCOMES, limit.counts, strict=True))


@pytest.mark.parametrize("alone", [True, False])
def test_one_limit_rejects(scene, alone):
    limit = scene.limit(1, 2, None, alone=alone)
    step = scene.step(limit)
    assert [step(Asking()) for _ in range(3)] == [None] * 3
    asking = Asking()
    reply = step(asking)
    assert reply.status == 429 and asking.limit_status == "rejected"
    assert reply.fields == b'Retry-After: 1\r\nRateLimit-Policy: "l";q=3;w=3\r\nRateLimit: "l";r=0;t=3\r\n'
    assert outcomes(limit) | {"passed": 3, "rejected": 1} == outcomes(limit)
    scene.clock.now += 1
    assert step(Asking()) is None


def test_headers_never_and_always(scene):
    silent = scene.step(scene.limit(1, headers="never", status=503))
    assert silent(Asking()) is None
    reply = silent(Asking())
    assert reply.status == 503 and reply.fields == b"Retry-After: 1\r\n"
    loud = scene.step(scene.limit(1, 5, None, headers="always"))
    asking = Asking()
    loud(asking)
    assert asking.extra_fields == b'RateLimit-Policy: "l";q=6;w=6\r\nRateLimit: "l";r=5;t=0\r\n'


def test_an_empty_key_is_not_limited(scene):
    for step in (scene.step(scene.limit(1)), scene.step(scene.limit(1), scene.limit(1))):
        assert [step(Asking(b"")) for _ in range(5)] == [None] * 5


def test_a_delay_parks_and_resumes(scene):
    limit = scene.limit(10, 5)
    step = scene.step(limit)
    first, second = Asking(), Asking()
    assert step(first) is None and step(second) is PARKED
    scene.parking.ring(1000.099)
    assert not scene.resumed
    scene.parking.ring(1000.1)
    assert scene.resumed == [second] and second.limit_status == "delayed"
    assert outcomes(limit)["delayed"] == 1


def test_the_longest_delay_wins(scene):
    step = scene.step(scene.limit(10, 5), scene.limit(1, 5))
    step(Asking())
    assert step(Asking()) is PARKED
    scene.parking.ring(1000.5)
    assert not scene.resumed
    scene.parking.ring(1001.0)
    assert scene.resumed


def test_what_another_limit_rejects_is_refunded(scene):
    wide, narrow = scene.limit(1, 1, None), scene.limit(1, 0, None, key=1)
    step = scene.step(wide, narrow)
    assert step(Asking()) is None
    for _ in range(10):
        assert step(Asking()).status == 429  # by the narrow one; the wide one is not used up by these
    assert step(Asking(other=b"somebody else")) is None
    assert outcomes(narrow)["rejected"] == 10 and outcomes(wide)["rejected"] == 0


def test_a_first_request_that_another_limit_rejects_costs_nothing(scene):
    wide, narrow = scene.limit(1, 0, None), scene.limit(1, 0, None, key=1)
    step = scene.step(wide, narrow)
    step(Asking(key=b"one"))
    assert step(Asking(key=b"two")).status == 429
    assert step(Asking(key=b"two", other=b"new")) is None


def test_limits_behind_a_rejection_are_not_charged(scene):
    narrow, wide = scene.limit(1, 0, None), scene.limit(1, 0, None, key=1)
    step = scene.step(narrow, wide)
    step(Asking(other=b"one"))
    assert step(Asking(other=b"two")).status == 429
    assert step(Asking(key=b"new", other=b"two")) is None


def test_a_dry_run_counts_and_lets_pass(scene):
    strict = scene.limit(1, 0, None, dry_run=True)
    step = scene.step(strict)
    step(Asking())
    asking = Asking()
    assert step(asking) is None and asking.limit_status == "rejected_dry_run"
    slow = scene.limit(1, 5, dry_run=True)
    step = scene.step(slow)
    step(Asking())
    asking = Asking()
    assert step(asking) is None and asking.limit_status == "delayed_dry_run"
    assert outcomes(strict)["dry_rejected"] == 1 and outcomes(slow)["dry_delayed"] == 1


def test_a_dry_run_beside_one_that_rejects(scene):
    dry, strict = scene.limit(1, 0, None, dry_run=True), scene.limit(1, 0, None, key=1)
    step = scene.step(dry, strict)
    assert step(Asking()) is None
    assert step(Asking(other=b"new")) is None
    assert step(Asking()).status == 429


def test_the_policy_field_never_has_a_window_of_zero(scene):
    assert b";w=1\r\n" in scene.limit(1000).policy
