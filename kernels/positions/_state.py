"""The canonical form of the positions, which every variant writes and reads, and what growing has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.catalog import Canonical
from kernels.machine.memory import aligned
from kernels.messages import MAX_PRICE_TICKS
from kernels.positions._rules import (
    ACCOUNTS,
    CONTROL_LENGTH,
    LIMIT,
    LIVE,
    MAX_PROFIT,
    MAX_QUANTITY,
    REASONS,
    SYMBOL_BITS,
    SYMBOLS,
)

HELD = np.dtype([("account", "<i8"), ("symbol", "<i8"), ("quantity", "<i8"), ("cost", "<i8"), ("realised", "<i8")])
"""One position of the canonical form, 40 bytes. An account that was flat again keeps its row: it has a profit."""


def common(accounts: int, symbols: int, limit: int) -> dict[str, np.ndarray]:
    """Return the arrays that every variant has: `control`, `marks` and the counts of refusals."""
    control = aligned(CONTROL_LENGTH, np.int64)
    control[ACCOUNTS], control[SYMBOLS], control[LIMIT] = accounts, symbols, limit
    return {"control": control, "marks": aligned(symbols, np.int64), "bad": aligned(8, np.int64)}


def reset_common(state: Any) -> None:
    """Forget marks, refusals and how many positions there are."""
    state.control[LIVE] = 0
    state.marks[:] = 0
    state.bad[:] = 0


def canonical(state: Any, keys: np.ndarray, held: np.ndarray) -> Canonical:
    """Return the canonical form of the positions with `keys` and `held`, int64[n, 3]; sorted by account and symbol."""
    rows = np.zeros(len(keys), HELD)
    order = np.argsort(keys)
    rows["account"], rows["symbol"] = (keys[order] - 1) >> SYMBOL_BITS, (keys[order] - 1) & (2**SYMBOL_BITS - 1)
    for place, name in enumerate(("quantity", "cost", "realised")):
        rows[name] = held[order, place]
    return {"positions": rows, "marks": state.marks.copy(), "bad": state.bad[:REASONS].copy()}


def check_canonical(given: Canonical, state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return keys and int64[n, 3] of the positions in `given`. Raises ValueError for what `state` cannot hold."""
    accounts, symbols = int(state.control[ACCOUNTS]), int(state.control[SYMBOLS])
    for name in ("positions", "marks", "bad"):
        if name not in given:
            raise ValueError(f"positions: a canonical state has positions, marks and bad, and no {name!r}")
    rows, marks, bad = given["positions"], given["marks"], given["bad"]
    if rows.dtype != HELD or rows.ndim != 1 or marks.shape != (symbols,) or bad.shape != (REASONS,):
        raise ValueError(f"positions: canonical 'positions' must be of HELD, with {symbols} marks, {REASONS} counts")
    fits = (rows["account"] >= 0) & (rows["account"] < accounts) & (rows["symbol"] >= 0) & (rows["symbol"] < symbols)
    fits &= (abs(rows["quantity"]) <= MAX_QUANTITY) & (rows["cost"] >= 0) & (abs(rows["realised"]) <= MAX_PROFIT)
    fits &= rows["cost"] <= abs(rows["quantity"]) * MAX_PRICE_TICKS
    if not np.all(fits) or np.any((marks < 0) | (marks > MAX_PRICE_TICKS)) or np.any(bad < 0):
        raise ValueError("positions: a position or mark of the canonical state is out of range, or of no account here")
    keys = ((rows["account"] << SYMBOL_BITS) | rows["symbol"]) + 1
    if len(np.unique(keys)) != len(keys):
        raise ValueError("positions: two positions of the canonical state have the same account and symbol")
    return keys, np.stack([rows["quantity"], rows["cost"], rows["realised"]], axis=1)


def import_into(
    state: Any, given: Canonical, reset: Callable[[Any], None], grow: Callable[[Any], Any], place: Callable[..., Any]
) -> Any:
    """Return `state` with the content of `given`, grown where it had to be. Raises ValueError, changing nothing."""
    keys, held = check_canonical(given, state)
    reset(state)
    begin = 0
    while (begin := place(state, keys, held, begin)) < len(keys):
        state = grow(state)
    state.marks[:] = given["marks"]
    state.bad[:REASONS] = given["bad"]
    return state


def moved(old: Any, new: Any, export: Callable[[Any], Canonical], place: Callable[..., Any]) -> Any:
    """Return `new`, which has more room, with the content of `old`."""
    content = export(old)
    keys, held = check_canonical(content, new)
    assert place(new, keys, held, 0) == len(keys)
    new.marks[:] = content["marks"]
    new.bad[:REASONS] = content["bad"]
    return new
