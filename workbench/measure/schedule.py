"""When operations are meant to begin under an open loop: at a fixed rate, at random, or as they were recorded.

An open loop does not wait for the operation before: who is late has a queue, as on the day. Pure: no clock.
"""

from __future__ import annotations

import numpy as np

from workbench.errors import InputError

LONGEST_NS = 2**62


def fixed(rate_per_s: float, count: int) -> np.ndarray:
    """Return when `count` operations begin at an even pace, int64 ns from the first one on."""
    _check(rate_per_s, count)
    return np.round(np.arange(count) * (1e9 / rate_per_s)).astype(np.int64)


def poisson(rate_per_s: float, count: int, seed: int = 0) -> np.ndarray:
    """Return when `count` operations begin that know nothing of one another, int64 ns from the first one on.

    The gaps are exponential with mean ``1 / rate_per_s``: bursts and pauses as of many independent sources.
    """
    _check(rate_per_s, count)
    gaps = np.random.default_rng(seed).exponential(1e9 / rate_per_s, max(count - 1, 0))
    return np.concatenate([np.zeros(min(count, 1)), np.cumsum(gaps)]).round().astype(np.int64)


def recorded(timestamps_ns: np.ndarray, speed: float = 1.0) -> np.ndarray:
    """Return when events begin that were recorded at `timestamps_ns` (int64[n]), `speed` times as fast; int64 ns.

    A timestamp before the one above it begins with that one, as it would in a queue of the feed.
    """
    if not 0 < speed < float("inf"):
        raise InputError(f"a recording cannot be replayed at speed {speed}: give one above 0")
    if not len(timestamps_ns):
        raise InputError("there is no event: nothing can be replayed")
    ordered = np.maximum.accumulate(np.asarray(timestamps_ns, np.int64))
    spread = (ordered - ordered[0]) / speed
    if spread[-1] > LONGEST_NS:
        raise InputError(f"at speed {speed} the recording takes {spread[-1] / 1e9:.3g} s: give a higher speed")
    due: np.ndarray = np.round(spread).astype(np.int64)
    return due


def burst(rate_per_s: float, count: int, factor: float, begin: int, length: int) -> np.ndarray:
    """Return `fixed` with the operations from number `begin` on, `length` of them, `factor` times as close together."""
    _check(rate_per_s, count)
    if not factor > 0:
        raise InputError(f"a burst cannot be {factor} times as fast: give a factor above 0")
    gaps = np.full(max(count - 1, 0), 1e9 / rate_per_s)
    gaps[begin : begin + length] /= factor
    return np.concatenate([np.zeros(min(count, 1)), np.cumsum(gaps)]).round().astype(np.int64)


def rate_of(due_ns: np.ndarray) -> float:
    """Return how many operations a second a schedule asks for; 0 for fewer than two."""
    return (len(due_ns) - 1) * 1e9 / float(due_ns[-1]) if len(due_ns) > 1 and due_ns[-1] else 0.0


def _check(rate_per_s: float, count: int) -> None:
    if not 0 < rate_per_s <= 1e9:
        raise InputError(f"operations cannot come {rate_per_s} times a second: give a rate above 0, at most 1e9")
    if count < 0 or count * 1e9 / rate_per_s > LONGEST_NS:
        raise InputError(f"{count} operations at {rate_per_s} a second take too long: give a higher rate")
