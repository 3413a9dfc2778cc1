"""Sums over the best levels: every variant gives the reference's, whatever part of its state the levels lie in."""

import numpy as np
import pytest
import streams

from kernels.order_book import features
from kernels.order_book.reference import Reference


def sums(levels):
    """Return what `depth_sum` should say of a list of ``(price, size)``."""
    return len(levels), sum(size for _, size in levels), sum(price * size for price, size in levels)


@pytest.mark.parametrize("window_ticks", [64, 256])
def test_sums_are_those_of_the_reference(variant, window_ticks):
    """The walk leaves its window, so that levels lie above, inside and below it, and some rows are empty."""
    instance, reference = variant.build(symbols=3, window_ticks=window_ticks), Reference(symbols=3)
    for part in np.array_split(streams.walk(31, 1500, symbols=2), 30):
        variant.replay(instance, part)
        reference.replay(part)
        for symbol, side, n in ((0, 0, 3), (0, 1, 64), (1, 0, 64), (1, 1, 1), (0, 0, 0), (2, 1, 5)):
            found = features.depth_sum(instance.state, symbol, side, n)
            assert found == sums(reference.depth(symbol, side, n))


def test_features_of_both_sides(variant):
    rows = [streams.add(1, 100, 30), streams.add(2, 98, 10), streams.add(3, 90, 99)]
    rows += [streams.add(4, 103, 5, side=1), streams.add(5, 104, 15, side=1)]
    rows += [streams.add(6, 50, 7, symbol=1)]
    instance = variant.build(symbols=3, window_ticks=64)
    variant.replay(instance, streams.make(rows))
    assert features.features(instance.state, 0, 2) == (40, 20, 99.5, 103.75, 1 / 3)
    assert features.features(instance.state, 1, 2) == (7, 0, 50.0, 0.0, 1.0)
    assert features.features(instance.state, 2, 2) == (0, 0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("n", [-1, features.MOST_LEVELS + 1])
def test_a_depth_out_of_range_is_refused(variant, n):
    with pytest.raises(ValueError, match="0 to 64 levels"):
        features.depth_sum(variant.build().state, 0, 0, n)
