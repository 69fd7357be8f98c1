"""What the soak's clients and backends agree on: the faults there are, what a client may see of each, and every byte.

Rules: pure. A request is its target, `/FAULT/NONCE/SEED/DOWN/UP`: the backend does what the fault says, SEED decides
the details, DOWN and UP are the sizes of the two bodies. Bodies follow from the nonce, so that both sides know every
byte. `once-FAULT` misbehaves on the first attempt only; the next one is answered well.
`FAULT@N` breaks off behind N bytes instead of where SEED says.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

# What became of a request. A number is the status of a whole answer whose every byte is right.
CUT = "cut"  # the answer is visibly not whole
GONE = "gone"  # the connection ended before the first byte of an answer
LEFT = "left"  # the client left on purpose
IDEMPOTENT = frozenset(("GET", "HEAD", "PUT"))
FAILED = frozenset(("502", "504", CUT, GONE))


@dataclass(frozen=True)
class Mischief:
    """One fault. `allowed`: what a client may see when every attempt meets it; `share`: how often it comes.

    `retried`: an idempotent request whose first attempt meets it is answered by the next. `bodily`: it is in the body,
    so that an answer to HEAD does not have it. `slow`: it costs the read timeout.
    """

    allowed: tuple[str, ...]
    share: int = 10
    retried: bool = False
    bodily: bool = False
    slow: bool = False


FAULTS: dict[str, Mischief] = {
    "ok": Mischief(("200",), 1500),
    "chunks": Mischief(("200",), 60),  # chunked, in odd sizes, with extensions and trailers
    "until": Mischief(("200",), 20),  # the body ends with the connection
    "drip": Mischief(("200",), 10),  # a few bytes at a time
    "hints": Mischief(("200",), 20),  # up to ten 1xx responses before the answer
    "idle": Mischief(("200",), 150),  # the connection is closed unasked, within 50 ms
    "extra": Mischief(("200",), 30),  # a second response behind the answer
    "cut": Mischief(("502",), 30, retried=True),  # closed at any byte of the head
    "reset": Mischief(("502",), 30, retried=True),  # the same with a reset
    "half": Mischief((CUT, "502"), 20, bodily=True),  # closed within the body
    "resetbody": Mischief((CUT, "502"), 20, bodily=True),
    "garbage": Mischief(("502",), 20),  # what no reader takes for a response
    "lengths": Mischief(("502",), 20),  # two Content-Lengths
    "badchunk": Mischief((CUT, "502"), 20, bodily=True),
    "storm": Mischief(("502",), 10),  # a hundred 1xx responses
    "switch": Mischief(("502",), 20),  # 101 unasked, and a tunnel's bytes
    "early": Mischief(("413",), 20),  # answered before the upload is read, and then half-closed
    "rude": Mischief(("413", "502", CUT), 10),  # the same, closed with the upload unread: a reset may eat any part
    "mute": Mischief(("504",), 3, slow=True),  # reads, and says nothing
    "stall": Mischief((CUT, "504"), 3, bodily=True, slow=True),  # falls silent within the body
}
ONCE = tuple(f"once-{name}" for name, mischief in FAULTS.items() if mischief.retried)
# Where statuses are tried again and trailers are passed on; the shares are beside those of FAULTS
STATUSES: dict[str, Mischief] = {
    "busy": Mischief(("503",), 40, retried=True),  # a 503, whole, with trailers mostly
    "trailed": Mischief(("200",), 60),  # chunked, with trailers, in one piece
}


def allowed(fault: str, method: str) -> tuple[str, ...]:
    """What a client may see of a request."""
    once = fault.startswith("once-")
    name = fault.removeprefix("once-")
    mischief = FAULTS.get(name) or STATUSES[name]
    if (once and method in IDEMPOTENT) or (mischief.bodily and method == "HEAD"):
        return ("200",)
    return mischief.allowed


def down(nonce: str, size: int) -> bytes:
    """The body of the answer: the nonce, and `size` bytes that follow from it."""
    return f"{nonce}\n".encode() + hashlib.shake_128(b"down " + nonce.encode()).digest(size)


def up(nonce: str, size: int) -> bytes:
    """The body of the request."""
    return hashlib.shake_128(b"up " + nonce.encode()).digest(size)


def pieces(data: bytes, rng: random.Random, most: int) -> list[bytes]:
    """Data in pieces of 1 to `most` bytes."""
    found = []
    while data:
        size = rng.randint(1, most)
        found.append(data[:size])
        data = data[size:]
    return found


def chunked(parts: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """Parts as chunks."""
    return b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n%b\r\n" % trailer


@dataclass(frozen=True)
class Ask:
    """One request, as its target says."""

    fault: str
    nonce: str
    seed: int
    down: int
    up: int

    @property
    def target(self) -> str:
        """The target."""
        return f"/{self.fault}/{self.nonce}/{self.seed}/{self.down}/{self.up}"

    @classmethod
    def of(cls, target: str) -> Ask:
        """What a target says."""
        _, fault, nonce, *numbers = target.split("/")
        return cls(fault, nonce, *map(int, numbers))
