"""The control kernel of the gate: work that nobody changes, measured on every side of every gate.

Its operation is a chain of integer arithmetic and dependent loads, half from a table that fits the first-level cache
and half from one that fits the second. What moves it (frequency, a neighbour on the core or in the caches, where memory
came to lie) moves other kernels too; so when it moves, no other difference is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.catalog import Kernel

KEYS = 8_192  # operations of one replay: a few ms
ROUNDS = 32  # how often a key goes through both tables: a few hundred ns, well above any clock's step
SMALL_BITS = 11  # 2,048 numbers of 8 bytes: 16 KiB, in the first-level cache
LARGE_BITS = 15  # 32,768 numbers: 256 KiB, in the second
MULTIPLIER = 6_364_136_223_846_793_005  # of Knuth's generator for 64 bits: MMIX
INCREMENT = 1_442_695_040_888_963_407
_MASK = 2**64 - 1


def sequence(count: int, seed: int) -> np.ndarray:
    """Return `count` numbers (uint64) of Knuth's generator from `seed`: the same on every machine."""
    made = np.empty(count, np.uint64)
    value = seed
    for i in range(count):
        value = (value * MULTIPLIER + INCREMENT) & _MASK
        made[i] = value
    return made


class Reference:
    """The same work in plain Python."""

    def __init__(self) -> None:
        self._small = [int(value) for value in sequence(2**SMALL_BITS, 1)]
        self._large = [int(value) for value in sequence(2**LARGE_BITS, 2)]

    def replay(self, keys: np.ndarray) -> np.ndarray:
        """Return what each key (uint64) comes to, in an array of the same length."""
        return np.array([self._digest(int(key)) for key in keys], np.uint64)

    def _digest(self, value: int) -> int:
        for _ in range(ROUNDS):
            value = (value * MULTIPLIER + INCREMENT) & _MASK
            value ^= self._small[value >> (64 - SMALL_BITS)]
            value = (value * MULTIPLIER + INCREMENT) & _MASK
            value ^= self._large[value >> (64 - LARGE_BITS)]
        return value


def _prepare(_events: np.ndarray, _parameters: Mapping[str, int]) -> Any:
    """Return the keys: the market events play no part, so that the control is the same with every workload."""
    return sequence(KEYS, 3)


KERNEL = Kernel(
    name="gate_control",
    title="The gate's control: work that nobody changes",
    card=(
        "A chain of integer arithmetic and dependent loads from a table of 16 KiB and one of 256 KiB. It has one "
        "variant, since its only task is to be the same on every side of a gate."
    ),
    operations={"key": "one key digested: 32 times a multiplication, a load, a multiplication, a load"},
    counters={"keys": "keys digested"},
    invariants=("every key comes to what the reference says",),
    parameters=(),  # a parameter's name might be another kernel's too, and then the control would change
    package=__name__,
    reference=Reference,
    prepare=_prepare,
    parameters_for=lambda events: {},
    output=lambda keys, parameters: np.zeros(len(keys), np.uint64),
    length=len,
    count_operations=len,
)
