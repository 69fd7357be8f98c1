"""What another host's word about a backend changes here: as little as it deserves.

Rules: pure. Nobody's breaker opens or closes by another's word. Whoever hears that others leave a backend alone acts as
if all failures but the last had happened here: the next one opens the breaker, and the next success, which is our own
word, puts everything back. That holds for failures in a row; of the share of failures a hint says nothing.
"""

from __future__ import annotations

from proxy.policy.breaker import CLOSED, CONSECUTIVE, PHASE, STATE, Record


def warn(record: Record, failures: int) -> bool:
    """Be wary of a backend whose breaker opens after so many failures in a row. False when that changes nothing."""
    if failures < 2:
        return False
    with record:
        cells = record.cells
        if cells[PHASE] & STATE != CLOSED or cells[CONSECUTIVE] >= failures - 1:
            return False
        cells[CONSECUTIVE] = failures - 1
    return True
