"""The levels of `_window`, with word left of each change that readers of the depth have to see."""

from __future__ import annotations

from typing import Any

from kernels.order_book import _published, _window
from kernels.order_book._apply import cold, hot
from kernels.order_book._published import ALWAYS, touch

allocate = _window.allocate
grown = _window.grown
settle = _window.settle
level_size = _window.level_size
best_level = _window.best_level
copy_levels = _window.copy_levels


def reset(state: Any) -> None:
    """Empty every row, and show that to the readers. Who follows a symbol still does."""
    _window.reset(state)
    _published.publish_all(state)


@hot
def change_level(state, row, key, change, probe):
    """Do as `_window.change_level`."""
    touch(state, row, key)
    return _window.change_level(state, row, key, change, probe)


@cold
def change_settled(state, row, key, change, probe):
    """Do as `_window.change_settled`."""
    touch(state, row, key)
    return _window.change_settled(state, row, key, change, probe)


@cold
def clear_levels(state, row, probe):
    """Take every level of `row` out."""
    touch(state, row, -ALWAYS - 1)  # above every key, below the floor of a row that nobody follows
    _window.clear_levels(state, row, probe)
