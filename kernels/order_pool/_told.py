"""What a pool tells of misuse, and what an instrumented one counts."""

from __future__ import annotations

from enum import IntEnum


class Told(IntEnum):
    """Why a pool refused; each is counted in ``state.told``."""

    EXHAUSTED = 0  # there was no free slot: `take` returned -1
    FOREIGN = 1  # `give_back` of a number that is no slot of the pool
    FREE_ALREADY = 2  # `give_back` of a slot that nobody has taken


EXHAUSTED, FOREIGN, FREE_ALREADY = int(Told.EXHAUSTED), int(Told.FOREIGN), int(Told.FREE_ALREADY)
TOLD_LENGTH = len(Told)

# Counters, in the order of the card.
CAS_RETRIES, WORDS_SCANNED, LINES_TOUCHED, REFILLS, REFUSED = range(5)
