"""Time by source line: run a target again and again, sampled, and in between without sampling for the cost of that."""

from __future__ import annotations

import contextlib
import math
import random
import time
from typing import Any, NamedTuple

from workbench.errors import InputError
from workbench.measure.timing_lock import held_timing_lock
from workbench.profile import sampler
from workbench.profile.attribute import profile_of
from workbench.profile.profile import Profile
from workbench.profile.sampler import Clock, Samples
from workbench.profile.target import Target, target_of
from workbench.stats.median import median, sign_interval

ALPHA = 0.05
SEGMENT_S = 0.05  # long against a sample's period, short against a neighbour's work on the same host
SETTLE_S = 0.003  # after sampling went on or off: signals on their way arrive, what was cold becomes warm
MIN_PAIRS = 12  # as many as a median needs for an interval, and a few that are spoilt
PATIENCE = 3  # times the seconds that were asked for: pairs that would take longer are not begun


class Spent(NamedTuple):
    """What one run took, on average over a segment."""

    cpu_s: float
    wall_s: float
    own_s: float  # CPU time of the sampler's own threads


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
    build instead and the profile's badge says so. About half of `seconds` is sampled, the other half is run without, in
    segments of 0.05 s by turns, so that the profile states what sampling cost. Where a run is so long that twelve pairs
    of segments would take more than three times `seconds`, it is sampled only, for `seconds` and at least once: what
    that cost is an estimate, and a note says so. Two runs in advance, not sampled, warm the caches and tell how long a
    run is. Raises InputError with one sentence.
    """
    if not 0 < seconds <= 3600:
        raise InputError(f"{seconds} s cannot be sampled: give 0 .. 3600")
    target = target_of(subject, *arguments, workload=workload, **parameters)
    proofs = target.proofs()
    same = all(proof.same for proof in proofs)
    function = target.function if same else target.with_lines()
    with held_timing_lock(f"time by line of {target.title}"):
        samples, slowdown = _sample(target, function, seconds, rate_per_s, clock)
    profile = profile_of(samples, target.title)
    if not same:
        difference = next(proof.badge for proof in proofs if not proof.same)
        profile.badges[target.function.__name__] = difference
    profile.overhead.update(slowdown)
    return profile


def _sample(
    target: Target, function: Any, seconds: float, rate_per_s: float, clock: Clock
) -> tuple[Samples, dict[str, float]]:
    """Run `function` in pairs of segments, one sampled and one not, in random order; return samples and slowdown.

    Where the fewest pairs would take too long, all is sampled, there is no slowdown, and the profile shows the
    estimate. So it does inside a region that is sampled already: a pause would leave holes in the other's samples.
    """
    alone = not sampler.is_sampling()
    segment_s = min(SEGMENT_S, seconds / 2 / MIN_PAIRS)
    run_s = whole_s = math.inf  # of one run; the second with what prepares it
    for _ in range(2):  # caches and branch predictors are warm from the first on
        began = time.monotonic()
        run_s = min(run_s, _segment(target, function, 1).wall_s)
        whole_s = min(whole_s, time.monotonic() - began)
    runs, settling = max(1, round(segment_s / run_s)), math.ceil(SETTLE_S / run_s) if run_s < SEGMENT_S else 0
    pairs_s = 2 * MIN_PAIRS * (runs + settling) * whole_s
    in_pairs = alone and pairs_s <= PATIENCE * seconds
    pairs: list[tuple[Spent, Spent]] = []
    with sampler.sampling(rate_per_s, clock) as samples:
        end = time.monotonic() + seconds
        if not in_pairs:
            _segment(target, function, 1)
            while time.monotonic() < end:
                _segment(target, function, 1)
        while in_pairs and (len(pairs) < MIN_PAIRS or time.monotonic() < end):
            taken: dict[bool, Spent] = {}
            for sampled in random.sample((True, False), 2):
                with contextlib.nullcontext() if sampled else sampler.paused():
                    _segment(target, function, settling)
                    taken[sampled] = _segment(target, function, runs)
            pairs.append((taken[True], taken[False]))
    if alone and not in_pairs:
        samples.notes.append(
            f"{MIN_PAIRS} pairs of runs with and without sampling would take {pairs_s:.2g} s where {seconds:g} s were "
            "asked for: what sampling costs is an estimate, which more seconds would measure"
        )
    return samples, _slowdown(pairs) if in_pairs else {}


def _segment(target: Target, function: Any, runs: int) -> Spent:
    """Run `runs` times; return what one run took, without what prepares it.

    CPU time is that of the process less that of the sampler's own threads: those run on another core where there is
    one, and their share of it is told apart. Another process on the same core does not change CPU time, as it does the
    wall's.
    """
    cpu_s = wall_s = own_s = 0.0
    for _ in range(runs):
        target.prepare()
        wall_began, cpu_began, own_began = time.perf_counter(), time.process_time(), sampler.own_cpu_s()
        target.run(function)
        wall_ended, cpu_ended, own_ended = time.perf_counter(), time.process_time(), sampler.own_cpu_s()
        wall_s += wall_ended - wall_began
        own_s += own_ended - own_began
        cpu_s += cpu_ended - cpu_began
    return Spent((cpu_s - own_s) / max(1, runs), wall_s / max(1, runs), own_s / max(1, runs))


def _slowdown(pairs: list[tuple[Spent, Spent]]) -> dict[str, float]:
    """Return the median slowdown in CPU and in wall time, each with its 95 % interval by signs, and how many pairs.

    ``run_s`` is what one run takes that is not sampled. Medians, because a neighbour on the same host that takes the
    core or the memory for a while spoils some pairs entirely, and a mean with them. Segments of a pair follow each
    other, so that what is slow for longer hits both.
    """
    found = {"slowdown_pairs": float(len(pairs))}
    for name, field in (("slowdown", "cpu_s"), ("wall_slowdown", "wall_s")):
        ratios = [getattr(sampled, field) / getattr(plain, field) for sampled, plain in pairs]
        interval = sign_interval(ratios, ALPHA)
        assert interval is not None  # MIN_PAIRS are enough for one
        found |= {name: median(ratios), f"{name}_low": interval.low, f"{name}_high": interval.high}
    found["run_s"] = median([plain.wall_s for _, plain in pairs])
    found["keeper_core_share"] = median([sampled.own_s / sampled.wall_s for sampled, _ in pairs])
    return found
