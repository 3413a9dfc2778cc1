"""One long series: lanes that go down eight stretches of it at once, and windows that fit into registers."""

import numpy as np
import pytest
from signal_cases import KERNEL, assert_agrees, random_bars, run

from kernels.signals._lanes import LANES

BASELINE, SIMD, ALIGNED = (KERNEL.variants[name] for name in ("baseline", "simd", "aligned"))
ROWS = 40_960  # with a window of 2 three times eight stretches of 1,608 bars, and a rest
FIRST = 104  # bars behind which the stretches may begin: those of a guess and a vector

pytestmark = pytest.mark.slow


def changed(change):
    """Return a long series after `change` of its closes, which it gets as an array of one dimension."""
    bars = random_bars(3, ROWS, 1)
    change(bars.close[:, 0])
    return bars


@pytest.mark.parametrize("variant", [SIMD, ALIGNED], ids=["simd", "aligned"])
@pytest.mark.parametrize("window", [1, 2, 3, 20])
def test_stretches_side_by_side_are_the_plain_loops(variant, window):
    bars = changed(lambda close: None)
    assert_agrees(run(variant, "rsi", bars, window), run(BASELINE, "rsi", bars, window), "rsi", bars, 1e-12)


@pytest.mark.parametrize("begin", range(FIRST, FIRST + 12_864, 1_300))
def test_a_guess_that_a_flat_market_makes_wrong_is_not_used(begin):
    """Two averages that shrink for hundreds of bars keep their ratio, which a guess made in between cannot know."""

    def flatten(close):
        close[begin : begin + 800] = close[begin]

    bars = changed(flatten)
    assert_agrees(run(SIMD, "rsi", bars, 2), run(BASELINE, "rsi", bars, 2), "rsi", bars, 1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_bar_in_any_stretch_is_seen(bad):
    for row in (FIRST - 1, FIRST + 60, FIRST + 1_608, FIRST + 5_000, 13_050, 30_000, ROWS - 1):

        def spoil(close, row=row):
            close[row] = bad

        bars = changed(spoil)
        assert_agrees(run(SIMD, "rsi", bars, 2), run(BASELINE, "rsi", bars, 2), "rsi", bars, 1e-12)


@pytest.mark.parametrize("name", ["min", "max"])
@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_window_of_a_few_vectors(name, times):
    for window in (times * LANES - 1, times * LANES, times * LANES + 1):
        bars = random_bars(window, 3000, 1)
        bars.close[1234] = np.nan
        for variant in (SIMD, ALIGNED):
            found, expected = run(variant, name, bars, window), run(BASELINE, name, bars, window)
            assert np.array_equal(found, expected, equal_nan=True)
