"""Lives of the machine of states: by Hypothesis, which makes a failure small, and by dice, which are much faster.

FRONTGATE_FUZZ_EXAMPLES says how many (60 by default, by dice ten times as many: a few seconds); from a number of 1000
on they are different each time, and by Hypothesis longer.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import ANSWERS, BAD, CONFIGS, KINDS, Machine

EXAMPLES = int(os.environ.get("FRONTGATE_FUZZ_EXAMPLES", "60"))
LONG = EXAMPLES >= 1000
Dice = random.Random
pytestmark = pytest.mark.timeout(60 + 4 * EXAMPLES)
SIZE_WORDS = (0, 1, 20, 4095, 65_536, 100_000, 300_000)


def size(dice: Dice) -> int:
    """Mostly small."""
    return dice.choice((dice.randint(0, 40), dice.randint(0, 40), dice.choice(SIZE_WORDS)))


def cut(dice: Dice) -> int:
    """A byte, some, or all."""
    return dice.choice((1, dice.randint(1, 60), dice.randint(1, 2000), 1 << 30, 1 << 30))


def pick(dice: Dice) -> int:
    """Which."""
    return dice.randint(0, 1000)


def coin(dice: Dice) -> bool:
    """Whether."""
    return dice.random() < 0.5


# What is done, how often, and with what.
DEEDS: tuple[tuple[float, str, dict[str, Callable[[Dice], Any]]], ...] = (
    (2, "connect", {}),
    (
        8,
        "ask",
        {
            "number": pick,
            "kind": lambda dice: dice.choice(KINDS),
            "size": size,
            "piece": lambda dice: dice.randint(1, 70_000),
            "cut": cut,
        },
    ),
    (0.5, "ask_badly", {"number": pick, "kind": lambda dice: dice.choice(BAD), "cut": cut}),
    (8, "send", {"number": pick, "cut": cut}),
    (2, "jam_client", {"number": pick, "jammed": coin}),
    (2, "client_takes", {"number": pick, "size": lambda dice: dice.randint(1, 100_000)}),
    (0.7, "client_leaves", {"number": pick, "reset": coin}),
    (
        8,
        "answer",
        {
            "number": pick,
            "kind": lambda dice: dice.choice(ANSWERS),
            "size": size,
            "interim": lambda dice: dice.choice((0, 0, 1, 2)),
            "cut": cut,
        },
    ),
    (10, "say", {"number": pick, "cut": cut}),
    (1.5, "backend_leaves", {"number": pick, "busy": coin, "reset": coin}),
    (0.7, "backend_says_something_unasked", {"number": pick}),
    (2, "jam_backend", {"number": pick, "jammed": coin}),
    (1, "door_of_a_backend", {"number": pick, "accepts": lambda dice: dice.choice((True, True, False, None))}),
    (2, "wait", {"seconds": lambda dice: dice.choice((0.1, 0.1, 0.1, 0.6, 0.6, 2.0, 6.0, 61.0))}),
    (0.7, "reload", {"toml": lambda dice: dice.choice(CONFIGS)}),
)


def live(seed: int, steps: int) -> Machine:
    """One life; the machine, when it is over."""
    dice = Dice(seed)
    machine = Machine()
    try:
        machine.connect()
        machine.connect()
        for _, name, words in dice.choices(DEEDS, [often for often, _, _ in DEEDS], k=steps):
            values = {word: throw(dice) for word, throw in words.items()}
            if name != "connect" or sum(talker.talks for talker in machine.talkers) < 4:
                getattr(machine, name)(**values)
                machine.look()
    except BaseException:
        machine.patch.undo()
        raise
    machine.teardown()
    return machine


def test_lives_by_dice() -> None:
    logging.getLogger("frontgate").setLevel(logging.CRITICAL)
    first = random.SystemRandom().randrange(1 << 40) if LONG else 0
    statuses: set[int] = set()
    answered = 0
    try:
        for seed in range(first, first + EXAMPLES * 10):
            try:
                machine = live(seed, 150)
            except Exception as error:
                error.add_note(f"in the life of seed {seed}")
                raise
            answered += sum(talker.answered for talker in machine.talkers)
            statuses |= {exchange.status for exchange in machine.door.finished}
    finally:
        logging.getLogger("frontgate").setLevel(logging.NOTSET)
    assert answered > EXAMPLES * 50 and statuses >= {200, 204, 304, 400, 499, 502}


def test_lives() -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=80 if LONG else 40,
        derandomize=not LONG,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=chosen)
