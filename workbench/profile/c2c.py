"""``perf c2c``: which cache lines are passed between cores, counted by hardware. Whether it works is tried once."""

from __future__ import annotations

import functools

from workbench import abilities


@functools.cache
def missing() -> str | None:
    """Return why perf c2c cannot record here, as one clause; None where it did in a trial."""
    ability = abilities.false_sharing()
    return None if ability.works else ability.reason
