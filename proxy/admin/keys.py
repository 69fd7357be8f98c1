"""Who is limited: the keys that workers have seen rejected most, added up over all of them.

Rules: every worker keeps a few keys for each limit by the space-saving sketch (`shared.offenders`), so a count may be
too high by what is said with it, and never too low; who is rejected often is always there.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from proxy.admin.shapes import LimitedKey
from proxy.admin.standing import Standing
from proxy.config.limit import Limit
from proxy.shared.journal import KEYS
from proxy.shared.records import Offence

MOST: Final = 20  # keys of a limit that are told


def limited(standing: Standing) -> dict[str, list[LimitedKey]]:
    """Keys by limit, those rejected most first."""
    if standing.journals is None:
        return {}
    sums: dict[str, dict[bytes, Offence]] = {}
    for row in range(standing.journals.rows):
        for name, offences in standing.journals.read(row, KEYS) or ():
            found = sums.setdefault(name, {})
            for one in (Offence(*offence) for offence in offences):
                other = found.get(one.key, Offence(one.key, 0, 0, 0.0))
                found[one.key] = Offence(
                    one.key, one.times + other.times, one.excess + other.excess, max(one.last, other.last)
                )
    return {
        name: [
            told(standing.model.limit[name], one)
            for one in sorted(found.values(), key=lambda one: one.times, reverse=True)[:MOST]
        ]
        for name, found in sums.items()
        if name in standing.model.limit
    }


def told(limit: Limit, one: Offence) -> LimitedKey:
    """An offence as the API tells it."""
    return LimitedKey(
        key=written(limit, one.key),
        rejected=one.times,
        at_least=one.times - one.excess,
        at_most=one.times,
        last=round(one.last, 3),
    )


def written(limit: Limit, key: bytes) -> str:
    """A key for people: packed addresses as text, IPv6 with the prefix that counts as one client."""
    by_address = limit.key in ("address", "$binary_remote_addr")
    if by_address and len(key) in (4, 16):
        text = str(ip_address(key))
        return f"{text}/{limit.ipv6_prefix}" if len(key) == 16 and limit.key == "address" else text
    return key.decode("utf-8", "backslashreplace")
