"""Spools against a model of plain bytes, with disks that refuse, files that are counted and descriptors that return."""

from __future__ import annotations

import errno
import gc
import os
import random
import resource
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from proxy.downstream import spool as module
from proxy.downstream.spool import BLOCK, Spools

MEGABYTE = 1024 * 1024
REFUSALS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE)


def noise(length, seed=1):
    return random.Random(seed).randbytes(length)


def descriptors():
    """All that are open, and what they are: pairs, so that a failure names the one too many."""
    return {(fd, target) for fd in os.listdir("/proc/self/fd") if (target := link(fd))}


def link(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""  # it was the list's own


def drained(spool, most=50_000):
    return b"".join(iter(lambda: spool.take(most), b""))


def reap(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def disk(**calls):
    """Calls of `os`, as the module under test sees them, replaced for a while."""
    before = {name: getattr(os, name) for name in calls}
    try:
        for name, call in calls.items():
            setattr(module.os, name, call)
        yield
    finally:
        for name, call in before.items():
            setattr(module.os, name, call)


def refuses(error):
    def call(*_, **__):
        raise OSError(error, os.strerror(error))

    return call


def full_after(allowed, error=errno.ENOSPC):
    """A pwrite that takes so many bytes, some at a time, and then refuses."""
    real = os.pwrite
    left = [allowed]

    def call(fd, piece, at):
        if not left[0]:
            raise OSError(error, os.strerror(error))
        written = real(fd, piece[: max(1, min(left[0], len(piece) // 2))], at)
        left[0] -= written
        return written

    return call


@pytest.fixture
def folder(tmp_path):
    """A folder for files; at the end of each test no name and no descriptor may be left."""
    gc.collect()
    before = descriptors()
    yield str(tmp_path)
    gc.collect()
    assert descriptors() == before
    assert os.listdir(tmp_path) == []


# --- a model --------------------------------------------------------------------------------------------------------


class SpoolsAgainstBytes(RuleBasedStateMachine):
    """Three spools of one worker, one of which keeps; each has a model: its bytes, and how many of them were taken.

    Blocks are small here, so that few steps lead over many of their edges.
    """

    BLOCK, SMALL = 500, 40
    MEMORY, TOTAL, LIMIT = 200, 5 * BLOCK, 7 * BLOCK

    def __init__(self):
        super().__init__()
        gc.collect()
        self.before = descriptors()
        self.spools = Spools(FOLDER[0], self.MEMORY, self.TOTAL)
        self.all = [self.spools.open(self.LIMIT, keep=number == 2) for number in range(3)]
        self.models = [b"", b"", b""]
        self.taken = [0, 0, 0]
        self.seed = 0

    numbers = st.integers(0, 2)
    lengths = st.one_of(
        st.integers(0, 2 * SMALL),
        st.integers(0, 3 * BLOCK),
        st.sampled_from((BLOCK - 1, BLOCK, BLOCK + 1)),
    )

    def part(self, length):
        self.seed += 1
        return noise(length, self.seed)

    def added(self, number, part):
        self.models[number] += part

    @rule(number=numbers, length=lengths)
    def add(self, number, length):
        part = self.part(length)
        spool = self.all[number]
        held = spool.size
        if spool.add(part):
            assert held + length <= self.LIMIT
            assert not spool.trouble
            self.added(number, part)
        else:
            assert spool.trouble
            assert held + length > self.LIMIT or self.spools.in_files + length > self.TOTAL - self.BLOCK

    @rule(number=numbers, length=lengths)
    def must(self, number, length):
        part = self.part(length)
        assert self.all[number].add(part, must=True)
        self.added(number, part)

    @rule(number=numbers, length=lengths, allowed=st.integers(0, 3 * BLOCK), error=st.sampled_from(REFUSALS))
    def add_to_a_disk_that_fills(self, number, length, allowed, error):
        part = self.part(length)
        held = self.all[number].size
        with disk(pwrite=full_after(allowed, error)):
            taken = self.all[number].add(part)
        if taken:
            self.added(number, part)
        else:
            assert self.all[number].trouble
            assert (
                allowed < length
                or held + length > self.LIMIT
                or self.spools.in_files + length > self.TOTAL - self.BLOCK
            )

    @rule(number=numbers, length=lengths, must=st.booleans())
    def add_without_a_file(self, number, length, must):
        part = self.part(length)
        with disk(open=refuses(errno.EMFILE)):
            if self.all[number].add(part, must=must):
                self.added(number, part)
            else:
                assert self.all[number].trouble
                assert not must

    @rule(number=numbers, most=st.one_of(st.integers(-1, 100), st.integers(0, 2 * BLOCK)))
    def take(self, number, most):
        at = self.taken[number]
        wanted = self.models[number][at : at + max(0, most)]
        assert self.all[number].take(most) == wanted
        self.taken[number] += len(wanted)

    @rule(number=numbers, most=st.integers(1, 2 * BLOCK))
    def take_from_a_disk_that_fails(self, number, most):
        at = self.taken[number]
        with disk(pread=refuses(errno.EIO)):
            try:
                piece = self.all[number].take(most)
            except OSError:
                piece = b""
        assert self.models[number][at : at + most].startswith(piece)
        self.taken[number] += len(piece)

    @rule()
    def rewind(self):
        self.all[2].rewind()
        self.taken[2] = 0

    @rule(number=numbers)
    def close_and_open(self, number):
        self.all[number].close()
        self.all[number].close()
        self.all[number] = self.spools.open(self.LIMIT, keep=number == 2)
        self.models[number] = b""
        self.taken[number] = 0

    @invariant()
    def counts_are_right(self):
        for spool, model, taken in zip(self.all, self.models, self.taken, strict=True):
            assert spool.left == len(model) - taken
            assert spool.size == (len(model) if spool.keep else spool.left)
        files = [spool.file for spool in self.all if spool.file]
        assert all(file.live for file in files)
        assert all(os.fstat(file.fd).st_size == file.size for file in files)
        assert sum(file.size for file in files) == self.spools.in_files <= self.TOTAL
        assert len(files) == self.spools.files
        open_now = descriptors() - self.before
        assert len(open_now) == len(files), open_now

    def teardown(self):
        for spool, model, taken in zip(self.all, self.models, self.taken, strict=True):
            assert drained(spool) == model[taken:]
            spool.close()
        assert self.spools.in_files == self.spools.files == 0
        assert descriptors() == self.before


FOLDER = [""]
EXAMPLES = int(os.environ.get("FRONTGATE_SPOOL_EXAMPLES", "150"))


def test_spools_against_bytes(folder, monkeypatch):
    FOLDER[0] = folder
    monkeypatch.setattr(module, "BLOCK", SpoolsAgainstBytes.BLOCK)
    monkeypatch.setattr(module, "SMALL", SpoolsAgainstBytes.SMALL)
    run_state_machine_as_test(SpoolsAgainstBytes, settings=settings(max_examples=EXAMPLES, stateful_step_count=50))


# --- one by one -----------------------------------------------------------------------------------------------------


def test_memory_first_then_a_file_then_none(folder):
    spools = Spools(folder, memory=100, total=MEGABYTE)
    spool = spools.open(10_000)
    assert spool.add(b"a" * 100)
    assert spools.files == 0
    assert spool.add(b"b" * 900)
    assert (spools.files, spools.in_files) == (1, 900)
    assert spool.take(100) == b"a" * 100
    assert spool.add(b"c" * 50)  # memory has room again; the order stays
    assert spools.in_files == 900
    assert spool.take(899) == b"b" * 899
    assert spools.files == 1
    assert spool.take(99) == b"b" + b"c" * 50
    assert (spools.files, spools.in_files, spool.size) == (0, 0, 0)
    assert spool.take(1) == b""


def test_a_part_is_given_out_without_a_copy(folder):
    spool = Spools(folder, memory=MEGABYTE, total=0).open(MEGABYTE)
    part = noise(200_000)
    spool.add(part)
    assert spool.take(200_000) is part


def test_the_limit_counts_memory_and_file(folder):
    spools = Spools(folder, memory=100, total=MEGABYTE)
    spool = spools.open(1_000)
    assert spool.add(b"a" * 100)
    assert spool.add(b"b" * 900)
    assert not spool.add(b"c")
    assert spool.trouble == "1000 bytes wait, 1 more came, and 1000 are allowed"
    assert spool.take(1) == b"a"
    assert spool.add(b"c")
    assert spool.trouble == ""
    assert drained(spool) == b"a" * 99 + b"b" * 900 + b"c"


def test_the_total_is_that_of_all_files(folder):
    spools = Spools(folder, memory=0, total=1_000)
    one, other = spools.open(MEGABYTE), spools.open(MEGABYTE)
    assert one.add(b"a" * 600)
    assert not other.add(b"b" * 401)
    assert other.trouble == "the files of this worker have 600 of the 1000 bytes that are allowed"
    assert spools.files == 1  # none is open for nothing
    assert other.add(b"b" * 400)
    assert not one.add(b"c")
    assert drained(one) == b"a" * 600
    assert other.add(b"d" * 600)
    assert drained(other) == b"b" * 400 + b"d" * 600
    assert spools.in_files == 0
    assert spools.faults == 0  # a limit is no fault of the disk


def test_what_must_be_taken_is_taken_in_order_beyond_all_limits(folder):
    spools = Spools(folder, memory=10, total=20)
    spool = spools.open(40)
    assert spool.add(b"a" * 10, must=True)
    assert spool.trouble == ""
    assert spool.add(b"b" * 20, must=True)
    assert (spool.trouble, spools.in_files) == ("", 20)
    assert spool.add(b"c" * 10, must=True)
    assert "of the 20 bytes that are allowed" in spool.trouble
    assert spool.add(b"d" * 10, must=True)
    assert "and 40 are allowed" in spool.trouble
    assert not spool.add(b"e")
    assert spool.take(30) == b"a" * 10 + b"b" * 20
    assert spool.add(b"f" * 10)
    assert drained(spool) == b"c" * 10 + b"d" * 10 + b"f" * 10


@pytest.mark.parametrize("error", REFUSALS)
def test_what_must_be_taken_is_taken_after_a_fault_of_the_disk(folder, error):
    spools = Spools(folder, memory=10, total=MEGABYTE)
    spool = spools.open(MEGABYTE)
    assert spool.add(b"a" * 100)
    with disk(pwrite=refuses(error)):
        assert not spool.add(b"b" * 100)
        assert spool.trouble == f"the folder {folder} takes no more: {os.strerror(error)}"
        assert spool.add(b"b" * 100, must=True)
    assert spools.faults == 2
    assert spool.add(b"c" * 100)
    assert drained(spool) == b"a" * 100 + b"b" * 100 + b"c" * 100


def test_a_source_that_goes_on_when_the_spool_is_ready_does_not_fill_memory(folder):
    """All files together are full, and the spool's own limit is far: 10 MB pass through little memory."""
    spools = Spools(folder, memory=1_000, total=0)
    spool = spools.open(100 * MEGABYTE)
    stream = noise(10 * MEGABYTE)
    heard, at, stopped = [], 0, False
    while at < len(stream) or spool.left:
        if at < len(stream) and not stopped:
            part = stream[at : at + 30_000]
            at += len(part)
            if not spool.add(part):
                assert spool.add(part, must=True)
                stopped = True
        else:
            heard.append(spool.take(4_000))
        stopped = stopped and not spool.ready
        assert spool.in_memory <= 31_000
    assert b"".join(heard) == stream


def test_a_spool_is_ready_when_half_of_its_limit_is_free(folder):
    spools = Spools(folder, memory=10, total=1_000)
    spool = spools.open(100)
    assert spool.add(b"a" * 10)
    assert spool.ready
    assert spool.add(b"b" * 90)
    assert not spool.ready
    spool.take(49)
    assert not spool.ready
    spool.take(1)
    assert spool.ready


def test_a_disk_that_fills_in_the_middle_of_a_part_keeps_nothing_of_it(folder):
    spools = Spools(folder, memory=0, total=10 * MEGABYTE)
    spool = spools.open(10 * MEGABYTE)
    assert spool.add(noise(BLOCK - 5))
    with disk(pwrite=full_after(BLOCK // 2)):
        assert not spool.add(b"x" * BLOCK)
    assert os.fstat(spool.file.fd).st_size == spools.in_files == BLOCK - 5
    assert spool.add(noise(BLOCK, 2))
    assert drained(spool) == noise(BLOCK - 5) + noise(BLOCK, 2)


def test_a_disk_that_takes_little_at_a_time_takes_all(folder):
    spools = Spools(folder, memory=0, total=10 * MEGABYTE)
    spool = spools.open(10 * MEGABYTE)
    body = noise(2 * BLOCK + 77)
    with disk(pwrite=full_after(len(body))):
        assert spool.add(body)
    real = os.pread
    with disk(pread=lambda fd, length, at: real(fd, max(1, length // 3), at)):
        assert spool.take(len(body)) == body


def test_refused_parts_do_not_make_a_file_grow(folder):
    spools = Spools(folder, memory=0, total=3 * BLOCK)
    spool = spools.open(10 * MEGABYTE)
    assert spool.add(b"a")
    for _ in range(10):
        with disk(pwrite=full_after(100)):
            assert not spool.add(b"b" * BLOCK)
        assert not spool.add(b"c" * (3 * BLOCK))
    assert spool.add(b"d" * BLOCK)
    assert spools.in_files == BLOCK + 1
    assert drained(spool) == b"a" + b"d" * BLOCK


def test_a_block_is_used_again_only_when_all_of_it_was_read(folder):
    spools = Spools(folder, memory=10, total=10 * MEGABYTE)
    spool = spools.open(10 * MEGABYTE)
    said = [b"m" * 10, noise(1_000), b"n" * 10, noise(1_000, 2), noise(BLOCK, 3), noise(BLOCK, 4)]
    assert spool.add(said[0])
    assert spool.add(said[1])
    heard = spool.take(10)
    assert spool.add(said[2])  # in memory, between two pieces of one block
    assert spool.add(said[3])
    heard += spool.take(1_000)
    assert spool.add(said[4])  # goes into another block
    assert spool.add(said[5])
    assert heard + drained(spool) == b"".join(said)


def test_a_real_limit_of_the_system_on_files(folder):
    """RLIMIT_FSIZE in a process of its own: the system takes the first half of the part and refuses the rest."""
    child = os.fork()
    if not child:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK, resource.RLIM_INFINITY))
            spools = Spools(folder, memory=0, total=10 * MEGABYTE)
            spool = spools.open(10 * MEGABYTE)
            first = spool.add(noise(BLOCK // 2))
            second = spool.add(noise(BLOCK, 2))
            worded = os.strerror(errno.EFBIG) in spool.trouble
            third = spool.add(noise(BLOCK // 2, 3))
            right = drained(spool) == noise(BLOCK // 2) + noise(BLOCK // 2, 3)
            code = 0 if (first, second, worded, third, right) == (True, False, True, True, True) else 2
        finally:
            os._exit(code)
    assert reap(child) == 0


def test_a_folder_that_is_not_there(tmp_path):
    spools = Spools(str(tmp_path / "none"), memory=10, total=MEGABYTE)
    spool = spools.open(MEGABYTE)
    assert spool.add(b"a" * 10)
    assert not spool.add(b"b")
    assert spool.trouble == f"the folder {tmp_path}/none takes no more: {os.strerror(errno.ENOENT)}"
    assert (spools.faults, spools.files) == (1, 0)
    assert drained(spool) == b"a" * 10


def test_no_descriptor_left(folder):
    """The system has none: the spool says so, and goes on when there is one again."""
    child = os.fork()
    if not child:
        code = 1
        try:
            spools = Spools(folder, memory=0, total=MEGABYTE)
            spool = spools.open(MEGABYTE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            first = spool.add(b"a")
            worded = os.strerror(errno.EMFILE) in spool.trouble
            resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            second = spool.add(b"b")
            code = 0 if (first, worded, second, drained(spool)) == (False, True, True, b"b") else 2
        finally:
            os._exit(code)
    assert reap(child) == 0


def test_a_file_system_without_nameless_files(folder):
    real = os.open

    def without(path, flags, *rest, **more):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, *rest, **more)

    spools = Spools(folder, memory=0, total=MEGABYTE)
    spool = spools.open(MEGABYTE)
    with disk(open=without):
        assert spool.add(b"a" * 1_000)
    assert os.listdir(folder) == []
    assert drained(spool) == b"a" * 1_000


def test_a_file_that_cannot_lose_its_name_is_not_used(folder):
    spools = Spools(folder, memory=0, total=MEGABYTE)
    spool = spools.open(MEGABYTE)
    before = descriptors()
    with disk(unlink=refuses(errno.EROFS)):
        real = os.open
        with disk(
            open=lambda path, flags, *rest: refuses(errno.EISDIR)() if path == folder else real(path, flags, *rest)
        ):
            assert not spool.add(b"a")
    assert descriptors() == before
    assert spools.files == 0
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))


def test_a_file_holds_little_more_than_ever_waited_in_it(folder):
    """A slow client that never quite catches up: 20 MB go through a window of 300 KB."""
    spools = Spools(folder, memory=0, total=MEGABYTE)
    spool = spools.open(MEGABYTE)
    stream = noise(20 * MEGABYTE)
    heard = []
    for at in range(0, len(stream), 100_000):
        assert spool.add(stream[at : at + 100_000])
        if at > 200_000:
            heard.append(spool.take(100_000))
        assert spool.size == 0 or spools.in_files <= 300_000 + 2 * BLOCK
    heard.append(drained(spool))
    assert b"".join(heard) == stream


def test_crumbs_are_joined(folder):
    spools = Spools(folder, memory=50_000, total=MEGABYTE)
    for keep in (False, True):
        spool = spools.open(200_000, keep=keep)
        stream = noise(100_000)
        for at in range(0, len(stream), 2):
            assert spool.add(stream[at : at + 2])
        assert len(spool.parts) <= 20  # 50,000 parts came
        assert drained(spool, 3) == stream
        assert len(spool.kept) <= 20
        spool.close()


def test_a_kept_spool_is_read_again_from_the_beginning(folder):
    spools = Spools(folder, memory=1_000, total=10 * MEGABYTE)
    spool = spools.open(10 * MEGABYTE, keep=True)
    body = noise(3 * BLOCK)
    for at in range(0, len(body), 70_000):
        assert spool.add(body[at : at + 70_000])
    for most in (1_000, 33_333, len(body)):
        assert drained(spool, most) == body
        assert (spool.size, spool.left) == (len(body), 0)
        spool.rewind()
        assert spool.left == len(body)
    assert spool.take(100) == body[:100]
    assert spool.add(b"more")
    spool.rewind()
    assert drained(spool) == body + b"more"
    assert spools.files == 1
    spool.close()
    assert (spools.files, spools.in_files) == (0, 0)


def test_what_was_discarded_is_not_read_again(folder):
    spool = Spools(folder, memory=10, total=0).open(10)
    spool.add(b"abc")
    assert spool.take(1) == b"a"
    with pytest.raises(ValueError, match="is gone"):
        spool.rewind()
    assert spool.take(2) == b"bc"


def test_no_room_is_said_once_a_minute(folder, caplog, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    spools = Spools(folder, memory=10, total=MEGABYTE)
    with caplog.at_level("WARNING", "frontgate"):
        for now, said in ((100.0, 1), (159.0, 1), (160.0, 2)):
            clock[0] = now
            with disk(pwrite=refuses(errno.ENOSPC)):
                assert not spools.open(MEGABYTE).add(b"a" * 11)
            assert len(caplog.records) == said
        clock[0] = 300.0
        spools.total = 0
        assert not spools.open(MEGABYTE).add(b"a" * 11)  # all files together have their bound
        assert not spools.open(5).add(b"a" * 11)  # that one answer may have no more is as it should be
    assert len(caplog.records) == 3
    assert os.strerror(errno.ENOSPC) in caplog.messages[0]
    assert caplog.messages[2].endswith("the files of this worker have 0 of the 0 bytes that are allowed")


def test_a_disk_that_does_not_give_back_is_told_and_nothing_is_skipped(folder):
    spools = Spools(folder, memory=10, total=MEGABYTE)
    spool = spools.open(MEGABYTE)
    spool.add(b"a" * 10)
    spool.add(b"b" * 100)
    with disk(pread=refuses(errno.EIO)):
        assert spool.take(50) == b"a" * 10
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            spool.take(50)
    with disk(pread=lambda *_: b""), pytest.raises(OSError, match="shorter than"):
        spool.take(50)
    assert drained(spool) == b"b" * 100
    assert spools.faults == 3


def test_closing_gives_all_back_and_takes_nothing_more(folder):
    spools = Spools(folder, memory=10, total=MEGABYTE)
    spool = spools.open(MEGABYTE, keep=True)
    spool.add(b"a" * 10)
    spool.add(b"b" * 100)
    spool.close()
    spool.close()
    assert (spool.size, spool.left, spools.files, spools.in_files) == (0, 0, 0, 0)
    assert spool.take(10) == b""
    assert not spool.add(b"c")
    assert not spool.add(b"c", must=True)
    assert spool.trouble == "the spool is closed"


def test_a_forgotten_spool_gives_its_file_back(folder):
    spools = Spools(folder, memory=0, total=MEGABYTE)
    before = descriptors()
    spool = spools.open(MEGABYTE)
    spool.add(b"a" * 1_000)
    assert (spools.files, spools.in_files, len(descriptors())) == (1, 1_000, len(before) + 1)
    circle = [spool]
    circle.append(circle)
    del spool, circle
    gc.collect()
    assert (spools.files, spools.in_files, len(descriptors())) == (0, 0, len(before))
