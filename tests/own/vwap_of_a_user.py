"""What a user's file looks like: a workload, a plain baseline, a faster form, and one that Numba does not compile."""

import numpy as np
from numba import njit

import workbench as wb


@wb.workload("user_vwap")
def ticks(size: int = 2_000, seed: int = 1):
    rng = np.random.default_rng(seed)
    return rng.random(size) + 100, rng.random(size)


@wb.variant("user_vwap", "baseline")
@njit
def vwap(prices, volumes):
    total = 0.0
    for i in range(prices.shape[0]):
        total += prices[i] * volumes[i]  # the line
    return total / volumes.sum()


@wb.variant("user_vwap", "fast", parent="baseline", idea="sums in any order")
@njit(fastmath=True)
def vwap(prices, volumes):  # noqa: F811  # the same name again, as people write it
    total, volume = 0.0, 0.0
    for i in range(prices.shape[0]):
        total += prices[i] * volumes[i]
        volume += volumes[i]
    return total / volume


@wb.variant("user_vwap", "plain")
def in_python(prices, volumes):
    return (prices * volumes).sum() / volumes.sum()
