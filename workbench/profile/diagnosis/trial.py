"""Trying a fix: rebuild, check that the results agree, time both builds in turn, say the ratio with its interval."""

from __future__ import annotations

import contextlib
import gc
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from workbench.measure.timing_lock import timing_lock
from workbench.profile.diagnosis import arguments as args_
from workbench.profile.diagnosis.model import Effect, Fix
from workbench.profile.diagnosis.subject import Subject
from workbench.stats.median import Interval, median, sign_interval

ALPHA = 0.05
SAMPLE_S = 300e-6  # long against the clock's step and the call from Python, short against a scheduler's slice
MIN_BLOCKS = 6  # the smallest number whose sign-test interval covers 95 %: 1 - 2 / 2**6
MAX_BLOCKS = 40


class Side:
    """One build with its own arguments: called so that each timed call sees the same input."""

    def __init__(self, function: Callable[..., Any], original: tuple[Any, ...]):
        self.function = function
        self.original = original
        self.live = args_.copied(original)
        self.result = args_.copied(function(*self.live))  # compiles and warms up; the copy survives later calls
        self.after = args_.copied(self.live)
        self.mutates = not args_.same_bytes(self.live, original)
        self.calls = 1

    def calibrate(self) -> float:
        """Return the seconds of one call; the quickest of a few, so that a pause does not count."""
        return min(self.sample() for _ in range(3))

    def sample(self) -> float:
        """Return the seconds of one call, of `calls` made; a function that changes its arguments gets fresh ones."""
        function, live = self.function, self.live
        if self.mutates:
            total = 0
            for _ in range(self.calls):
                args_.put_back(live, self.original)
                began = time.perf_counter_ns()
                function(*live)
                total += time.perf_counter_ns() - began
        else:
            began = time.perf_counter_ns()
            for _ in range(self.calls):
                function(*live)
            total = time.perf_counter_ns() - began
        return total / self.calls / 1e9


def interval(logs: Sequence[float]) -> tuple[float, float, float]:
    """Return median, low and high of `logs`: the sign-test interval at 95 %, their whole range where they are few."""
    found = sign_interval(logs, ALPHA) or Interval(min(logs), max(logs))
    return median(logs), found.low, found.high


def race(old: Side, new: Side, seconds: float) -> tuple[float, float, float, int]:
    """Time both sides in turn, the order reversed each time; return speed-up, low, high and the number of blocks."""
    slower = max(old.calibrate(), new.calibrate())
    calls = max(1, round(SAMPLE_S / max(slower, 1e-9)))
    old.calls = new.calls = calls
    blocks = int(min(MAX_BLOCKS, max(MIN_BLOCKS, seconds / (4 * calls * slower))))
    logs = []
    enabled = gc.isenabled()
    gc.disable()  # a collection would fall into one side's time
    try:
        for block in range(blocks):
            first, second = (old, new) if block % 2 == 0 else (new, old)
            times = first.sample(), second.sample(), second.sample(), first.sample()
            outer, inner = min(times[0], times[3]), min(times[1], times[2])
            logs.append(math.log(outer / inner) if first is old else math.log(inner / outer))
    finally:
        if enabled:
            gc.enable()
    return *(math.exp(value) for value in interval(logs)), blocks  # type: ignore[return-value]


class Trials:
    """Tries fixes of one subject against its unchanged build."""

    def __init__(self, subject: Subject, seconds: float):
        self.subject = subject
        self.seconds = seconds  # how long one race takes, about
        self._old: Side | None = None
        self._known: dict[str, Effect] = {}

    @property
    def old(self) -> Side:
        """Return the unchanged build, made once."""
        if self._old is None:
            build = self.subject.build()
            assert build is not None
            self._old = Side(build, self.subject.arguments)
        return self._old

    def call_s(self) -> float:
        """Return the seconds of one call of the unchanged build."""
        self.old.calls = max(1, round(SAMPLE_S / max(self.old.calibrate(), 1e-9)))
        return self.old.calibrate()

    def quiet(self) -> contextlib.AbstractContextManager[None]:
        """Hold the host's timing lock: no other measurement runs inside the block."""
        return timing_lock(f"diagnosis of {self.subject.name}", lambda text: print(text, file=sys.stderr))

    def measure(self, fix: Fix) -> Effect | None:
        """Try `fix`; None when there was nothing to rewrite. A fix that cannot be run is told with its reason."""
        if fix.label not in self._known:
            effect = self._measure(fix)
            if effect is None:
                return None
            self._known[fix.label] = effect
        return self._known[fix.label]

    def _measure(self, fix: Fix) -> Effect | None:
        original = fix.arguments(self.subject.arguments) if fix.arguments else self.subject.arguments
        try:
            if fix.guard:
                guarded = self.subject.build({**fix.options, "boundscheck": True}, fix.rewrite)
                if guarded is None:
                    return None
                guarded(*args_.copied(original))
            build = self.subject.build(fix.options, fix.rewrite, any_signature=fix.any_signature)
            if build is None:
                return None
            new = Side(build, original)
        except IndexError:
            return refused(fix.label, "not possible here: a negative index is used, and counts from the end")
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return refused(fix.label, f"could not be tried: the changed function fails ({first})")
        moved = max(
            args_.difference(self.old.result, new.result),
            *(
                args_.difference(one, two)
                # a fix may add an argument at the end
                for one, two in zip(args_.arrays_in(self.old.after), args_.arrays_in(new.after), strict=False)
            ),
            0.0,
        )
        old = self.old
        with self.quiet():
            speedup, low, high, blocks = race(old, new, self.seconds)
        return Effect(fix.label, speedup, low, high, blocks, moved, moved <= fix.tolerance)


def refused(label: str, why: str) -> Effect:
    """Return the effect of a fix that was not timed."""
    return Effect(label, 1.0, 1.0, 1.0, 0, 0.0, False, refused=why)


def summarize(label: str, ratios: list[float], moved: float, tolerance: float, unit: str) -> Effect:
    """Return the effect that `ratios` (old over new, one a block) tell of."""
    speedup, low, high = (math.exp(value) for value in interval([math.log(ratio) for ratio in ratios]))
    return Effect(label, speedup, low, high, len(ratios), moved, moved <= tolerance, unit)
