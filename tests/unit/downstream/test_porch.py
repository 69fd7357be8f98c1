"""Who may begin a handshake, who waits, and who gives way."""

from __future__ import annotations

from proxy.downstream.porch import SPARED, Porch


class Visitor:
    """A connection that only remembers what it was told."""

    def __init__(self, porch):
        self.porch = porch
        self.came_in = self.gone = False

    def come_in(self):
        self.came_in = True

    def give_way(self):
        self.gone = True


def visitors(porch, count, now=0.0):
    """So many, each with whether it may begin at once."""
    made = [Visitor(porch) for _ in range(count)]
    return made, [porch.enter(one, now) for one in made]


def test_as_many_as_there_are_places():
    porch = Porch(2)
    _, begun = visitors(porch, 3)
    assert begun == [True, True, False]
    assert (porch.inside, porch.outside) == (2, 1)


def test_no_bound_at_all():
    assert all(visitors(Porch(), 1000)[1])


def test_whoever_is_done_lets_the_last_of_those_who_wait_in():
    porch = Porch(1)
    made, _ = visitors(porch, 3)
    porch.leave(made[0], 0.1)
    assert [one.came_in for one in made] == [False, False, True]
    porch.leave(made[2], 0.2)
    assert made[1].came_in and not any(one.gone for one in made)
    porch.leave(made[1], 0.3)
    assert (porch.inside, porch.outside) == (0, 0)


def test_whoever_waits_may_go():
    porch = Porch(1)
    made, _ = visitors(porch, 2)
    porch.leave(made[1], 0.1)
    porch.leave(made[0], 0.2)
    assert not made[1].came_in and (porch.inside, porch.outside) == (0, 0)


def test_the_silent_give_way_when_their_time_is_over_and_not_before():
    porch = Porch(2)
    made, _ = visitors(porch, 4)
    porch.press(SPARED / 2)
    assert not any(one.gone for one in made)
    porch.press(SPARED)
    assert [one.gone for one in made] == [True, True, False, False]
    assert [one.came_in for one in made] == [False, False, True, True]


def test_no_more_give_way_than_wait():
    porch = Porch(3)
    made, _ = visitors(porch, 4)
    porch.press(SPARED)
    assert [one.gone for one in made] == [True, False, False, False]


def test_a_new_one_comes_in_at_once_for_one_that_is_late():
    porch = Porch(1)
    (late,), _ = visitors(porch, 1)
    new = Visitor(porch)
    assert not porch.enter(new, SPARED) and new.came_in and late.gone


def test_a_greater_bound_is_used_at_the_next_look():
    porch = Porch(1)
    made, _ = visitors(porch, 3)
    porch.most = 3
    porch.press(0.1)
    assert [one.came_in for one in made] == [False, True, True]
