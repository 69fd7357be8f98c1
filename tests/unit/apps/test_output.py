"""What workers write, line by line."""

from __future__ import annotations

import asyncio
import os

from proxy.apps.output import LONGEST, Output


def spoken(*chunks):
    """The lines that come of these writes."""
    said: list[str] = []

    async def life():
        reads, writes = os.pipe()
        os.set_blocking(reads, False)
        output = Output(reads, "main.0", said.append)
        for chunk in chunks:
            os.write(writes, chunk)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        os.close(writes)
        output.close()
        output.close()  # once more does nothing

    asyncio.run(life())
    return said


def test_lines_stand_behind_the_workers_name():
    assert spoken(b"one\ntwo\r\n") == ["main.0 | one", "main.0 | two"]


def test_a_line_may_come_in_pieces_and_the_last_without_an_end():
    assert spoken(b"on", b"e\nla", b"st") == ["main.0 | one", "main.0 | last"]


def test_what_is_no_text_and_what_is_too_long_are_passed_on_all_the_same():
    assert spoken(b"\xff\n") == ["main.0 | \ufffd"]
    [first, second] = spoken(b"x" * (LONGEST + 5) + b"\n")[:2]
    assert len(first) + len(second) == LONGEST + 5 + 2 * len("main.0 | ")


def test_a_worker_that_gives_its_output_to_a_file_is_not_asked_again_and_again():
    calls = 0

    class Counted(Output):
        def _read(self):
            nonlocal calls
            calls += 1
            return super()._read()

    async def life():
        reads, writes = os.pipe()
        os.set_blocking(reads, False)
        output = Counted(reads, "main.0", lambda line: None)
        os.close(writes)
        for _ in range(20):
            await asyncio.sleep(0)
        output.close()

    asyncio.run(life())
    assert 1 <= calls <= 3


def test_what_is_no_pipe_is_taken_as_well():
    async def life():
        Output(os.open(os.devnull, os.O_RDONLY), "main.0", lambda line: None).close()

    asyncio.run(life())
