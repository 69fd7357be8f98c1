"""Whom limits reject most, in little room."""

from __future__ import annotations

from random import Random

from proxy.shared.journal import KEYS, Journals
from proxy.shared.memory import Memory
from proxy.shared.offenders import MOST, TOLD, Offenders
from proxy.shared.records import LONGEST, Offence


def test_few_keys_are_counted_exactly():
    offenders = Offenders()
    for _ in range(3):
        offenders.count("per_ip", b"a", 10.0)
    offenders.count("per_ip", b"b", 11.0)
    offenders.count("other", b"c", 12.0)
    assert offenders.top("per_ip") == [Offence(b"a", 3, 0, 10.0), Offence(b"b", 1, 0, 11.0)]
    assert offenders.top("other") == [Offence(b"c", 1, 0, 12.0)] and offenders.top("none") == []


def test_who_is_rejected_often_is_there_among_very_many_and_the_bounds_hold():
    offenders, rng, true = Offenders(), Random(7), {}
    for number in range(20_000):
        key = b"heavy%d" % rng.randrange(5) if rng.random() < 0.5 else b"light%d" % number
        true[key] = true.get(key, 0) + 1
        offenders.count("per_ip", key, float(number))
    top = offenders.top("per_ip", MOST)
    assert len(top) == MOST
    assert {one.key for one in top[:5]} == {b"heavy%d" % number for number in range(5)}
    for one in top:
        assert one.times - one.excess <= true[one.key] <= one.times


def test_long_keys_are_cut():
    offenders = Offenders()
    offenders.count("per_ip", b"k" * 10_000, 0.0)
    assert len(offenders.top("per_ip")[0].key) == LONGEST


def test_they_are_written_when_they_have_changed_and_fewer_when_there_is_no_room():
    journals = Journals(Memory(Journals.size(1)), 1)
    sheet, offenders = journals.sheet(0, KEYS), Offenders()
    offenders.write(sheet)
    assert journals.read(0, KEYS) is None
    offenders.count("per_ip", b"a", 1.0)
    offenders.write(sheet)
    assert journals.read(0, KEYS) == (("per_ip", ((b"a", 1, 0, 1.0),)),)
    for limit in range(100):
        for key in range(TOLD):
            offenders.count(f"limit{limit}", b"%03d" % key * 150, 2.0)
    offenders.write(sheet)
    found = journals.read(0, KEYS)
    assert len(found) == 101 and all(1 <= len(keys) < TOLD for name, keys in found if name != "per_ip")
