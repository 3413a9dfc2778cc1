"""The levels of `_wide_levels`, with word left of each change that readers of the depth have to see."""

from __future__ import annotations

from typing import Any

from kernels.order_book import _published, _wide_levels
from kernels.order_book._apply import LINES_TOUCHED, cold, hot
from kernels.order_book._published import ALWAYS, touch
from kernels.probe import count

allocate = _wide_levels.allocate
grown = _wide_levels.grown
settle = _wide_levels.settle
level_size = _wide_levels.level_size
best_level = _wide_levels.best_level
copy_levels = _wide_levels.copy_levels


def reset(state: Any) -> None:
    """Empty every row, and show that to the readers. Who follows a symbol still does."""
    _wide_levels.reset(state)
    _published.publish_all(state)


@hot
def change_level(state, row, key, change, probe):
    """Do as `_wide_levels.change_level`."""
    touch(state, row, key)
    count(probe, LINES_TOUCHED, 1)  # the row's floor
    return _wide_levels.change_level(state, row, key, change, probe)


@cold
def change_settled(state, row, key, change, probe):
    """Do as `_wide_levels.change_settled`."""
    touch(state, row, key)
    count(probe, LINES_TOUCHED, 1)  # the row's floor
    return _wide_levels.change_settled(state, row, key, change, probe)


@cold
def clear_levels(state, row, probe):
    """Take every level of `row` out."""
    touch(state, row, -ALWAYS - 1)  # above every key, below the floor of a row that nobody follows
    _wide_levels.clear_levels(state, row, probe)
