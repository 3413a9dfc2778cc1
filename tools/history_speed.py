"""How long a history takes: 200 series of 10,000 nights searched for steps and drift, in one process.

A quarter of the series has no step, the others one to three; half are rounded so that most values have a twin. Run from
the checkout: ``python tools/history_speed.py [SERIES] [NIGHTS]``. The time is that of the analysis; making the series
and importing are apart.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from workbench.policy import HISTORY_Q
from workbench.stats.changepoint import find_changes
from workbench.stats.drift import find_drift
from workbench.stats.multiplicity import findings


def made(series: int, nights: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Return logarithms of costs: heavy-tailed noise, steps of 5 %, some rounded to 0.5 %."""
    rng = np.random.default_rng(7)
    found = []
    for place in range(series):
        values = 0.01 * rng.standard_t(4, nights)
        for step in rng.integers(nights // 20, nights - nights // 20, place % 4):
            values[step:] += rng.choice((-0.05, 0.05))
        found.append(np.round(values, 3 if place % 2 else 12))
    return found


def main() -> None:
    """Print the time and what was found."""
    numbers = [int(text) for text in sys.argv[1:3]]
    series, nights = (numbers + [200, 10_000][len(numbers) :])[:2]
    everything, days = made(series, nights), np.arange(float(nights))
    begun = time.perf_counter()
    searched = [find_changes(values, HISTORY_Q, 4_999 if series <= 50 else 19_999) for values in everything]
    after_steps = time.perf_counter()
    drifts = [find_drift(days, values) for values in everything]
    changed = findings([p for _, p in searched], HISTORY_Q)
    findings([1.0 if drift is None else drift.p for drift in drifts], HISTORY_Q)
    ended = time.perf_counter()
    steps = sum(len(changes) for changes, _ in searched)
    print(f"{series} series of {nights:,} nights: {ended - begun:.2f} s")
    print(f"  steps {after_steps - begun:.2f} s, drift {ended - after_steps:.2f} s")
    with_steps = sum(place % 4 > 0 for place in range(series))
    print(f"  {sum(changed)} series changed, {steps} steps; made with steps: {with_steps}")


if __name__ == "__main__":
    main()
