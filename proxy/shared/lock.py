"""A lock between processes that outlives a holder who was killed: a robust pthread mutex in shared memory.

Rules: whoever gets the lock after its holder died is told so and the lock goes on. `multiprocessing.Lock` is faster and
stays locked for ever in that case. Where the C library has no robust mutexes, record locks of the kernel (fcntl) serve,
which die with their holder. Hold it for microseconds: a worker that waits for it serves nobody.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from typing import Any, Final

from proxy.shared.memory import Memory

SIZE: Final = 64  # bytes of a lock: the mutex (40 or 48) and, in the last 8, whether it was made
MADE: Final = 1
PROCESS_SHARED: Final = 1  # PTHREAD_PROCESS_SHARED of glibc and musl
ROBUST: Final = 1  # PTHREAD_MUTEX_ROBUST of glibc and musl

# PyDLL keeps the interpreter's lock, which is right for calls that return at once; the call that may wait gives it up.
AT_ONCE: Final = ctypes.PyDLL(None)
WAITING: Final = ctypes.CDLL(None)
HAS_ROBUST: Final = os.uname().sysname == "Linux" and hasattr(AT_ONCE, "pthread_mutexattr_setrobust")


class RobustLock:
    """A robust mutex at an offset of shared memory; made there by the first who asks, used by all who follow."""

    __slots__ = ("lock", "mutex", "trylock", "unlock")

    def __init__(self, memory: Memory, offset: int) -> None:
        """Make or find the lock in the `SIZE` zeroed bytes at `offset`, a multiple of 8. Not made by two at once."""
        # A reference by `byref` to functions without declared arguments is the fastest call that ctypes has.
        self.mutex = ctypes.byref((ctypes.c_char * SIZE).from_buffer(memory.map, offset))
        self.trylock = AT_ONCE.pthread_mutex_trylock
        self.unlock = AT_ONCE.pthread_mutex_unlock
        self.lock = WAITING.pthread_mutex_lock
        made = ctypes.c_uint64.from_buffer(memory.map, offset + SIZE - 8)
        if made.value != MADE:
            make_mutex(self.mutex)
            made.value = MADE

    def acquire(self) -> bool:
        """Wait for the lock. True if its last holder died with it, so what it guards may be half done."""
        error = self.trylock(self.mutex)
        return self.settle(error) if error else False

    def settle(self, error: int) -> bool:
        """What to do when the lock was not simply free."""
        if error == errno.EBUSY:
            error = self.lock(self.mutex)
        if error == errno.EOWNERDEAD:
            AT_ONCE.pthread_mutex_consistent(self.mutex)
            return True
        if error:
            raise OSError(error, os.strerror(error))
        return False

    def release(self) -> None:
        """Give the lock back. Only its holder may."""
        self.unlock(self.mutex)


class RecordLock:
    """The same by a record lock of the kernel on one byte of the memory's file; it never knows who died."""

    __slots__ = ("memory", "offset")

    def __init__(self, memory: Memory, offset: int) -> None:
        self.memory = memory
        self.offset = offset

    def acquire(self) -> bool:
        """Wait for the lock. Always False: the kernel has freed what a dead holder held and does not say so."""
        fcntl.lockf(self.memory.fd, fcntl.LOCK_EX, 1, self.offset)
        return False

    def release(self) -> None:
        """Give the lock back."""
        fcntl.lockf(self.memory.fd, fcntl.LOCK_UN, 1, self.offset)


def make_mutex(mutex: Any) -> None:
    """Make a robust mutex for several processes where the reference points."""
    attributes = ctypes.create_string_buffer(64)  # pthread_mutexattr_t has 4 or 8 bytes
    for error in (
        AT_ONCE.pthread_mutexattr_init(attributes),
        AT_ONCE.pthread_mutexattr_setpshared(attributes, PROCESS_SHARED),
        AT_ONCE.pthread_mutexattr_setrobust(attributes, ROBUST),
        AT_ONCE.pthread_mutex_init(mutex, attributes),
    ):
        if error:
            raise OSError(error, os.strerror(error))


class Lock(RobustLock if HAS_ROBUST else RecordLock):  # type: ignore[misc]  # which one is known on the machine only
    """A lock between processes at an offset of shared memory: robust where the system can."""

    __slots__ = ()
