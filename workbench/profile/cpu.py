"""Time by source line: run a target again and again, sampled, and beside it without sampling for the cost of that."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from workbench.errors import InputError
from workbench.profile.attribute import profile_of
from workbench.profile.profile import Profile
from workbench.profile.sampler import Clock, Samples, own_cpu_s, sampling
from workbench.profile.target import Target, target_of
from workbench.stats.median import median, sign_interval

ALPHA = 0.05
ROUNDS = 24  # pairs of a sampled and an unsampled stretch; the interval of the slowdown comes from them


def profile_cpu(
    subject: Any,
    *arguments: Any,
    seconds: float = 3.0,
    rate_per_s: float = 1000,
    clock: Clock = "wall",
    workload: Any = None,
    **parameters: int,
) -> Profile:
    """Return the time by line of a variant or a function; see `workbench.profile.target` for what can be given.

    Samples the machine code that ships. Where a build with line tables is not that code, byte for byte, it samples that
    build instead and the profile's badge says so. About three quarters of `seconds` are sampled, the rest is run
    without, so that the profile states what sampling cost. Raises InputError with one sentence.
    """
    if not 0 < seconds <= 3600:
        raise InputError(f"{seconds} s cannot be sampled: give 0 .. 3600")
    target = target_of(subject, *arguments, workload=workload, **parameters)
    proofs = target.proofs()
    same = all(proof.same for proof in proofs)
    function = target.function if same else target.with_lines()
    samples, slowdown = _sample(target, function, seconds, rate_per_s, clock)
    profile = profile_of(samples, target.title)
    if not same:
        difference = next(proof.badge for proof in proofs if not proof.same)
        profile.badges[target.function.py_func.__qualname__] = difference
    profile.overhead.update(slowdown)
    return profile


def _sample(
    target: Target, function: Any, seconds: float, rate_per_s: float, clock: Clock
) -> tuple[Samples, dict[str, float]]:
    """Run `function` in `ROUNDS` pairs of stretches, in alternating order; sampled ones are three times longer."""
    stretch_s = seconds / ROUNDS / 4
    ratios, parts, shares = [], [], []
    _stretch(target, function, stretch_s)  # caches and branch predictors are warm from here on
    for turn in range(ROUNDS):
        if turn % 2:
            plain = _stretch(target, function, stretch_s)
        with sampling(rate_per_s, clock) as part:
            own_s, began_s = own_cpu_s(), time.monotonic()
            sampled = _stretch(target, function, 3 * stretch_s)
            shares.append((own_cpu_s() - own_s) / (time.monotonic() - began_s))
        if not turn % 2:
            plain = _stretch(target, function, stretch_s)
        parts.append(part)
        ratios.append(math.log(sampled / plain))
    return _joined(parts), {**_interval(ratios), "keeper_core_share": float(np.mean(shares))}


def _stretch(target: Target, function: Any, seconds: float) -> float:
    """Run for about `seconds`; return the mean CPU time of one run, what prepares it left out.

    CPU time of the process, less that of the sampler's own threads: they run on another core where there is one, and
    their share of it is told apart. Another process on the same core does not change CPU time, as it would the wall's.
    """
    spent, runs, end = 0.0, 0, time.perf_counter() + seconds
    while not runs or time.perf_counter() < end:
        target.prepare()
        began = time.process_time() - own_cpu_s()
        target.run(function)
        spent += time.process_time() - own_cpu_s() - began
        runs += 1
    return spent / runs


def _interval(ratios: list[float]) -> dict[str, float]:
    """Return the median slowdown and its 95 % sign-test interval, from the logarithms of the paired ratios.

    A median, because a neighbour on the same host that takes the core or the memory for a while spoils some pairs
    entirely, and a mean with them.
    """
    interval = sign_interval(ratios, ALPHA)
    assert interval is not None  # ROUNDS are enough for one
    return {
        "slowdown": math.exp(median(ratios)),
        "slowdown_low": math.exp(interval.low),
        "slowdown_high": math.exp(interval.high),
    }


def _joined(parts: list[Samples]) -> Samples:
    first = parts[0]
    return Samples(
        np.concatenate([part.pc for part in parts]),
        np.concatenate([part.caller for part in parts]),
        np.concatenate([part.thread for part in parts]),
        sum(part.lost for part in parts),
        sum(part.duration_s for part in parts),
        first.rate_per_s,
        first.clock,
        min(part.sample_cost_ns for part in parts),
        {thread: name for part in parts for thread, name in part.names.items()},
        list(dict.fromkeys(note for part in parts for note in part.notes)),
    )
