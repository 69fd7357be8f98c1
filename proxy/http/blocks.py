"""What a lenient decoder of compressed fields lets pass of RFC 7541: a block is looked at again when it was decoded.

Rules: none of this changes a field, so it is no danger to backends; a client that does it is broken all the same, and
is told so. What was decoded has lengths that are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BITS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b080606060505"
    "050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e060f050605"
    "06050606060507070606060506070605050607070707070f0b0e0d1c14161414161616171617171717171817181816171817"
    "1717171516171617171816151416161717151716161815161717151516151716171714161616171616171a1a141316171619"
    "1a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c"
    "1b1b1b1b1b1a"
)
"""How many bits each byte has in the Huffman code (RFC 7541 appendix B)."""
HUFFMAN: Final = 0x80
INDEXED, INDEXING, RESIZING = 0x80, 0x40, 0x20


def lawful(block: bytes, fields: Sequence[Sequence[bytes]]) -> bool:
    """Whether a block has no change of the table's size behind a field (section 4.2), and its strings are padded with
    the beginning of EOS, by less than a byte (section 5.2). `fields` are what it was decoded to."""
    at = place = 0
    while at < len(block):
        first = block[at]
        if first & INDEXED:
            _, at = _number(block, at, 7)
        elif first & INDEXING or not first & RESIZING:
            index, at = _number(block, at, 6 if first & INDEXING else 4)
            if not index:
                at = _string(block, at, fields[place][0])
            at = _string(block, at, fields[place][1]) if at else 0
            if not at:
                return False
        elif place:
            return False
        else:
            _, at = _number(block, at, 5)
            continue
        place += 1
    return True


def _string(block: bytes, at: int, text: bytes) -> int:
    """Where a string ends; 0 when its padding is wrong."""
    packed = block[at] & HUFFMAN
    length, at = _number(block, at, 7)
    end = at + length
    if packed and length:
        spare = 8 * length - sum(bytes(text).translate(BITS))
        ones = (1 << spare) - 1 if 0 <= spare < 8 else -1
        if ones < 0 or block[end - 1] & ones != ones:
            return 0
    return end


def _number(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """An integer (section 5.1), and where it ends."""
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value == most:
        shift = 0
        while True:
            more = block[at]
            at += 1
            value += (more & 0x7F) << shift
            shift += 7
            if not more & 0x80:
                break
    return value, at
