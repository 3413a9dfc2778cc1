"""A kernel as a user writes one, with variants that do a known share of extra work: what the gate is proven on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels import Kernel
from proof.dosed_kernel._mean import LONG_SHARE_PPM, WINDOW

MILLION = 1_000_000
ITEM = np.dtype([("price", np.float64), ("fate_ppm", np.int64)])


class Reference:
    """The same in plain Python, without any dose: one exponentially weighted mean for each event."""

    def __init__(self, **parameters: int):
        self._decay = 1 / 64

    def replay(self, items: np.ndarray) -> np.ndarray:
        """Return the mean after each of `items`; prices before the first are 0."""
        out = np.zeros(len(items))
        for i in range(len(items)):
            rounds = 3 * WINDOW if items["fate_ppm"][i] < LONG_SHARE_PPM else WINDOW
            mean = 0.0
            for k in range(rounds - 1, -1, -1):
                place = i - k % 1024
                price = items["price"][place] if place >= 0 else 0.0
                mean += (price - mean) * self._decay
            out[i] = mean
        return out


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the price of each event and its fate: where it stands, in millionths, in an order that a hash makes.

    The share of events below a fate is exact, and which they are has no period.
    """
    hashed = np.arange(len(events), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashed = (hashed ^ (hashed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashed ^= hashed >> np.uint64(27)
    items = np.zeros(len(events), ITEM)
    items["price"] = events["price_ticks"]
    items["fate_ppm"][np.argsort(hashed)] = np.arange(len(events)) * MILLION // max(len(events), 1)
    return items


def _parameters_for(events: np.ndarray) -> dict[str, int]:
    return {}


def _output(items: np.ndarray, parameters: Mapping[str, int]) -> Any:
    return np.zeros(len(items))


KERNEL = Kernel(
    name="dosed",
    title="Weighted mean of recent prices, with known extra work",
    card="For the proof of the gate: `base` and variants that do the same with a known share of more iterations.",
    operations={"event": "one weighted mean of the last prices, computed anew"},
    counters={"rounds": "iterations of the inner loop"},
    invariants=("the mean lies between the lowest and the highest price of the window, or 0",),
    parameters=(),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=_parameters_for,
    output=_output,
    length=len,
    count_operations=len,
)
