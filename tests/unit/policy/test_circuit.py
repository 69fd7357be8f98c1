"""When Redis is left alone and tried again."""

from __future__ import annotations

from proxy.policy.limit.circuit import Circuit


def test_it_is_open_until_somebody_was_reached():
    circuit = Circuit(3, 1.0)
    assert circuit.open and not circuit.failed()
    circuit.close()
    assert not circuit.open


def test_failures_in_a_row_open_it():
    circuit = Circuit(3, 1.0)
    circuit.close()
    assert [circuit.failed(), circuit.failed()] == [False, False]
    circuit.well()
    assert [circuit.failed(), circuit.failed(), circuit.failed()] == [False, False, True]
    assert circuit.open and circuit.opened == 1 and not circuit.failed() and not circuit.trip()


def test_pauses_grow_up_to_the_longest():
    circuit = Circuit(1, 1.0)
    assert [circuit.pause() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    circuit.close()
    assert circuit.trip() and circuit.pause() == 0.1


def test_chance_spreads_them():
    class Chance:
        def random(self):
            return 1.0

    assert Circuit(1, 1.0, Chance()).pause() == 0.1 * 1.2
