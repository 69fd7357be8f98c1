"""Who waits for Redis, and until when: over a fake connection, by a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("hiredis", reason="hiredis is not installed")

from proxy.clock import Clock, Parking
from proxy.config.redis import Redis as Table
from proxy.shared.redis import pipe as pipe_module
from proxy.shared.redis.pipe import Command, Pipe, Refused
from proxy.shared.redis.script import CHARGING, SCRIPTS, Call, packed
from proxy.shared.redis.store import Store

CALL = Call(CHARGING, 1000, 0, 1)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self):
        self.writes = []
        self.gone = False

    def write(self, data):
        assert not self.gone
        self.writes.append(data)

    def is_closing(self):
        return self.gone

    def abort(self):
        self.gone = True


class Scene:
    """A store with one node, connected."""

    def __init__(self, monkeypatch, **words):
        self.clock = Clock(1000.0)
        self.parking = Parking(lambda at: None)
        self.turn = []
        monkeypatch.setattr(pipe_module, "monotonic", lambda: self.clock.now)
        table = Table(url="redis://127.0.0.1:1", **{"deadline": 0.025, "failures": 3} | words)
        self.store = Store(table, self.clock, self.parking, self.turn.append)
        self.node = self.store.nodes.node
        self.mended = 0
        self.heard = []
        monkeypatch.setattr(type(self.node), "mend", lambda node: setattr(self, "mended", self.mended + 1))
        self.connect()

    def connect(self):
        self.wire = Wire()
        self.pipe = self.node._made()
        self.pipe.connection_made(self.wire)
        self.node.pipe = self.pipe
        self.node.circuit.close()

    def ask(self, name="x", **words):
        key = f"k:{{{name}}}".encode()
        return self.store.ask(
            Command(CALL.of(key), key, CHARGING, lambda heard: self.heard.append((name, heard))), **words
        )

    def flush(self):
        turn, self.turn[:] = list(self.turn), []
        for call in turn:
            call()

    def says(self, *answers):
        self.pipe.data_received(b"".join(one if isinstance(one, bytes) else b":%d\r\n" % one for one in answers))

    def wait(self, seconds):
        """Let time pass, a millisecond at a time, as alarms do."""
        for _ in range(round(seconds * 1000)):
            self.clock.now += 0.001
            self.parking.ring(self.clock.now)

    def reasons(self):
        return [(name, heard.reason if isinstance(heard, Refused) else heard) for name, heard in self.heard]


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch)


def test_all_decisions_of_a_turn_are_one_write(scene):
    for name in "abc":
        assert scene.ask(name)
    assert scene.wire.writes == []
    scene.flush()
    assert len(scene.wire.writes) == 1 and scene.wire.writes[0].count(b"EVALSHA") == 3
    scene.says(1, 2, 3)
    assert scene.heard == [("a", 1), ("b", 2), ("c", 3)]
    assert scene.store.waiting == 0
    scene.ask()
    scene.flush()
    assert len(scene.wire.writes) == 2


def test_answers_in_pieces(scene):
    scene.ask("a"), scene.ask("b")
    for byte in b":12\r\n:-7\r\n":
        scene.pipe.data_received(bytes((byte,)))
    assert scene.heard == [("a", 12), ("b", -7)]


def test_a_late_answer_is_nobodys(scene):
    scene.ask("a")
    scene.wait(0.024)
    assert scene.heard == []
    scene.wait(0.002)
    assert scene.reasons() == [("a", "no answer in time")]
    scene.ask("b")
    scene.says(1)
    assert len(scene.heard) == 1
    scene.says(2)
    assert scene.heard[1:] == [("b", 2)]
    assert scene.store.counts.late == 1 and scene.store.waiting == 0


def test_each_waits_for_its_own_deadline(scene):
    scene.ask("a")
    scene.wait(0.010)
    scene.ask("b")
    scene.wait(0.016)
    assert [name for name, _ in scene.heard] == ["a"]
    scene.wait(0.010)
    assert [name for name, _ in scene.heard] == ["a", "b"]
    assert len(scene.parking) == 0


def test_whoever_began_to_wait_earlier_is_late_earlier(scene):
    scene.ask("a")
    scene.wait(0.010)
    scene.ask("b", since=scene.clock.now - 0.020)
    scene.wait(0.006)
    assert [name for name, _ in scene.heard] == ["b"]
    scene.wait(0.011)
    assert [name for name, _ in scene.heard] == ["b", "a"]


def test_the_circuit_opens_and_nobody_waits_any_more(scene):
    for name in "abcde":
        scene.ask(name)
        scene.wait(0.001)
    scene.wait(0.027)
    # The third that was late opened it, so the last two need not wait to their end.
    assert scene.reasons() == [
        *((name, "no answer in time") for name in "ab"),
        ("d", "no answer within 25 ms"),
        ("e", "no answer within 25 ms"),
        ("c", "no answer in time"),
    ]
    assert scene.wire.gone and scene.node.pipe is None and scene.mended == 1
    assert not scene.ask("f")
    counts = scene.store.counts
    assert (counts.late, counts.refused, counts.opened, scene.store.waiting) == (3, 2, 1, 0)


def test_an_answer_between_keeps_it_closed(scene):
    for _ in range(5):
        scene.ask("a"), scene.ask("b")
        scene.wait(0.030)
        scene.says(1, 2)
        scene.ask("c")
        scene.says(3)
    assert scene.node.pipe is not None and scene.store.counts.late == 10


def test_a_server_that_always_answers_too_late_is_left_alone(scene):
    for name in "abc":
        assert scene.ask(name)
        scene.flush()
        scene.wait(0.030)  # the deadline is 25 ms
        if not scene.wire.gone:
            scene.says(0)
    assert scene.node.circuit.open and scene.wire.gone
    assert all(isinstance(heard, Refused) for _, heard in scene.heard)


def test_answers_of_a_connection_that_was_left_are_not_heard(scene):
    scene.ask("a")
    old = scene.pipe
    scene.node.leave("for a test")
    scene.connect()
    scene.ask("b")
    old.data_received(b":1\r\n")
    old.connection_lost(None)
    assert scene.reasons() == [("a", "for a test")] and scene.node.pipe is not None
    scene.says(2)
    assert scene.heard[1:] == [("b", 2)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b":1\r\n:2\r\n", "it says what nobody has asked"),
        (b"HTTP/1.1 400 Bad Request\r\n", "what it says is no Redis"),
        (b"$2000000\r\n" + b"x" * 1_100_000, "its answer is too long"),
    ],
)
def test_whoever_is_no_redis_is_left(scene, said, reason):
    scene.ask("a")
    scene.pipe.data_received(said)
    assert scene.wire.gone and scene.node.trouble == reason


def test_how_many_wait_is_bounded(monkeypatch):
    scene = Scene(monkeypatch, pending=16, failures=100)
    assert [scene.ask(str(n)) for n in range(18)] == [True] * 16 + [False] * 2
    assert scene.store.counts.full == 2
    scene.wait(0.030)
    assert len(scene.heard) == 16 and not scene.ask("more")  # places of those that are late are still to be answered
    scene.says(*range(16))
    assert scene.ask("more")


def test_a_script_that_was_forgotten_is_loaded_once_a_turn(scene):
    scene.ask("a"), scene.ask("b")
    scene.flush()
    asked = scene.wire.writes.pop()
    scene.says(b"-NOSCRIPT No matching script.\r\n" * 2)
    scene.flush()
    assert scene.wire.writes == [SCRIPTS[0].load + asked]
    scene.says(b"$40\r\n" + b"0" * 40 + b"\r\n", 1, 2)
    assert scene.heard == [("a", 1), ("b", 2)]


def test_a_script_that_is_forgotten_again_and_again(scene):
    scene.ask("a")
    answers = 0
    while scene.pipe.row:
        scene.flush()
        scene.says(b"+OK\r\n" if scene.pipe.row[0] is None else b"-NOSCRIPT No\r\n")
        answers += 1
        assert answers < 10
    assert scene.reasons() == [("a", "NOSCRIPT No")]


@pytest.mark.parametrize("error", ["READONLY You can't write", "LOADING it is", "NOAUTH who are you"])
def test_a_server_that_must_not_be_asked_is_left_at_once(scene, error):
    scene.ask("a")
    scene.says(f"-{error}\r\n".encode())
    assert scene.reasons() == [("a", error)] and scene.node.pipe is None


def test_other_errors_count(scene):
    for name in "abc":
        assert scene.node.pipe is not None
        scene.ask(name)
        scene.says(b"-OOM command not allowed\r\n")
    assert scene.node.pipe is None and len(scene.heard) == 3


def test_an_alarm_that_is_late_lets_the_answer_in_first(scene):
    """This worker was busy: what it waits for may lie in the socket."""
    scene.ask("a")
    scene.clock.now += 0.5
    scene.parking.ring(scene.clock.now)
    assert scene.heard == []
    scene.says(5)  # the loop reads
    scene.wait(0.010)
    assert scene.heard == [("a", 5)] and scene.store.counts.late == 0
    scene.ask("b")
    scene.clock.now += 0.5
    scene.parking.ring(scene.clock.now)
    scene.wait(0.002)
    assert scene.reasons()[1:] == [("b", "no answer in time")]


def test_the_end_refuses_whoever_waits(scene):
    scene.ask("a")
    scene.store.close()
    assert scene.reasons() == [("a", "it is asked no more")]
    assert scene.wire.gone and not scene.ask("b")


def test_whoever_is_told_may_ask_again(scene):
    """Re-entrancy: a request that goes on asks for the next decision."""
    key = b"k:{x}"

    def again(heard):
        scene.heard.append(("first", heard))
        scene.ask("second")

    scene.store.ask(Command(CALL.of(key), key, CHARGING, again))
    scene.wait(0.030)
    assert [name for name, _ in scene.heard] == ["first"] and scene.store.waiting == 1
    scene.says(1, 2)
    assert scene.heard[1:] == [("second", 2)]


@given(
    events=st.lists(
        st.one_of(
            st.just("ask"),
            st.tuples(st.just("wait"), st.integers(1, 40)),
            st.tuples(st.just("answer"), st.integers(1, 5)),
            st.just("lose"),
        ),
        max_size=60,
    )
)
def test_everybody_hears_once_and_his_own(events):
    """Whatever is late, lost or asked between: the n-th command that a connection was given has the n-th answer."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        scene = Scene(monkeypatch, failures=1000)
        asked, serial = [], 0  # what this connection has been asked and has not answered
        for event in events:
            if event == "ask":
                serial += 1
                assert scene.ask(serial)
                asked.append(serial)
            elif event == "lose":
                scene.pipe.connection_lost(None)
                asked.clear()
                scene.connect()
            elif event[0] == "wait":
                scene.wait(event[1] / 1000)
            else:
                now, asked = asked[: event[1]], asked[event[1] :]
                if now:
                    scene.says(*now)
        scene.wait(0.1)
        assert sorted(name for name, _ in scene.heard) == list(range(1, serial + 1))
        assert all(isinstance(heard, Refused) or heard == name for name, heard in scene.heard)
        assert scene.store.waiting == 0 and len(scene.parking) == 0


def test_words_are_packed_as_redis_reads_them():
    assert packed(b"SET", b"a b", b"") == b"*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n"
    digest = CHARGING.digest
    assert CALL.of(b"k:{x}") == packed(b"EVALSHA", digest, b"1", b"k:{x}", b"1000", b"0", b"1")


def test_a_pipe_that_was_given_up_before_it_was_there(scene):
    pipe = Pipe(scene.clock, scene.turn.append, lambda *said: None, lambda *said: None)
    pipe.give_up("for a test")
    wire = Wire()
    pipe.connection_made(wire)
    assert wire.gone
