"""What the peers share: libraries that compute an indicator of one whole series, measured column by column.

The first replay of some bars gives each symbol's columns to the peer as it likes them best, contiguous, and writes what
it computes into the output. Later replays of the same bars, which are those that are timed, only compute: nothing is
transposed and nothing copied, and what the peer allocates for its results is allocated inside the timed part, since it
cannot be had otherwise. So a peer keeps nothing from one call to the next, and never goes on.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernels.catalog import Variant
from kernels.signals._bars import Bars
from kernels.signals._state import INDICATORS, NAMES

Compute = Callable[..., tuple[Any, ...]]
"""``compute(window, *columns) -> lines``: of one symbol; a line may leave out the bars before its first value."""


class PeerState:
    """The columns of the bars that were seen last, and where their results were written."""

    def __init__(self, indicator: int, window: int, compute: Compute, convert: Callable[[np.ndarray], Any]):
        self.reads, self.window = INDICATORS[indicator].reads, window
        self.compute, self.convert = compute, convert
        self.bars: Bars | None = None
        self.out: np.ndarray | None = None
        self.columns: list[tuple[Any, ...]] = []
        self.results: list[tuple[Any, ...]] = []

    def look_at(self, bars: Bars) -> None:
        """Make the columns of each symbol contiguous."""
        turned = [np.ascontiguousarray(getattr(bars, name).T) for name in self.reads]
        self.columns = [tuple(self.convert(column[i]) for column in turned) for i in range(bars.close.shape[1])]
        self.bars, self.out = bars, None

    def write(self, out: np.ndarray) -> None:
        """Write the results into `out`, float64[lines, rows, symbols], NaN where a line has not begun."""
        for symbol, lines in enumerate(self.results):
            for i, line in enumerate(lines):
                begins = out.shape[1] - len(line)
                out[i, :begins, symbol] = np.nan
                out[i, begins:, symbol] = line
        self.out = out


def replay(state: PeerState, bars: Bars, out: np.ndarray, begin: int, probe: Any) -> int:
    """Compute the indicator of every symbol, from the first bar on; return how many bars there are.

    The bars must not change between two replays of them.
    """
    rows = len(bars.close)
    if begin >= rows:
        return rows
    if state.bars is not bars:
        state.look_at(bars)
    compute, window = state.compute, state.window
    state.results = [compute(window, *columns) for columns in state.columns]
    if state.out is not out:
        state.write(out)
    return rows


def peer(
    package: str,
    idea: str,
    computes: Mapping[str, Compute],
    *,
    least_window: int = 1,
    convert: Callable[[np.ndarray], Any] = lambda column: column,
) -> Variant:
    """Return the variant of a Python package that has the indicators of `computes`, by name."""

    def allocate(parameters: Mapping[str, int]) -> PeerState:
        name = NAMES[parameters["indicator"]]
        return PeerState(parameters["indicator"], parameters["window"], computes[name], convert)

    def missing() -> str | None:
        there = importlib.util.find_spec(package) is not None
        return None if there else f"it needs {package}: pip install 'kernel-workbench[peers]'"

    def refuses(parameters: Mapping[str, int]) -> str | None:
        name = NAMES[parameters["indicator"]]
        if parameters["threads"] > 1:
            return "it is one thread's"
        if name not in computes:
            return f"{package} has no {name} that starts and averages like ours"
        if parameters["window"] < least_window and name != "macd":
            return f"{package} has no window of fewer than {least_window} bars"
        return None

    return Variant(
        name=f"peer_{package}",
        parent=None,
        idea=idea,
        allocate=allocate,
        reset=lambda state: state.results.clear(),  # untimed: their memory is there again for the next ones
        replay_from=replay,
        peer=True,
        relative_tolerance=1e-9,
        missing=missing,
        refuses=refuses,
    )


@functools.cache
def imported(package: str) -> Any:
    """Return a package that only a peer needs."""
    return importlib.import_module(package)
