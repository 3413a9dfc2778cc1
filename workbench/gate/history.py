"""What the stored nights say of a kernel: steps with their causes, drift, and whether the newest level is too slow.

The newest level is judged against the level before the last step, and against a *base*: the pinned night, or the level
after the last accepted step, whichever is later. A base shows what creeps in steps that are each too small to matter.

The series of one kernel on one kind of machine are a family: of what is told of a family a known part is false at most.
With all that a store holds as one family, no p-value would be small enough to tell of a step in one series alone.
"""

from __future__ import annotations

import datetime
import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.gate.series import Series, evening_of, same_code, what_changed
from workbench.policy import ALPHA, HISTORY_NEAR, HISTORY_NIGHTS, HISTORY_Q, margin_for
from workbench.record import Verdict
from workbench.stats import unpaired
from workbench.stats.changepoint import LEAST_SIDE, Change, find_changes
from workbench.stats.drift import Drift, autocorrelation, find_drift
from workbench.stats.median import Interval
from workbench.stats.multiplicity import findings
from workbench.stats.paired import Judgement, decide
from workbench.store.steps import AcceptedStep

Floats = NDArray[np.float64]

LEAST_NIGHTS = 2 * LEAST_SIDE
RESEMBLES = 0.3
"""Lag-1 autocorrelation within levels from which a history says that steps are found too easily."""

_DRAWS = (999, 4_999, 19_999)
_CROWDED = "a step in one alone cannot be told, choose a KERNEL/VARIANT or a --statistic"


@dataclass(frozen=True)
class Step:
    """A change of level: at which night, by how much (logarithm of the cost), and what went along with it."""

    change: Change
    cause: str
    before: str | None
    after: str | None
    accepted: AcceptedStep | None = None


@dataclass(frozen=True)
class SeriesHistory:
    """One series and what is said of it. `base` is the place of the night that the newest ones are held against.

    `pin_missing` is the date of the pinned night where the series has no such night.
    """

    series: Series
    steps: tuple[Step, ...] = ()
    p: float = 1.0
    drift: Drift | None = None
    drift_from: int = 0
    creeping: bool = False
    base: int | None = None
    base_is: str = ""
    pin_missing: datetime.date | None = None
    against_previous: Judgement | None = None
    against_base: Judgement | None = None
    verdict: Verdict | None = None
    remarks: tuple[str, ...] = ()

    @property
    def open_steps(self) -> tuple[Step, ...]:
        """Return the steps after the base: those that nobody has accepted or pinned."""
        return tuple(step for step in self.steps if self.base is None or step.change.index > self.base)


def analyse(
    series: Sequence[Series],
    accepted: Sequence[AcceptedStep] = (),
    pinned: Mapping[tuple[str, str], datetime.datetime] | None = None,
) -> list[SeriesHistory]:
    """Return what is said of each of `series`, in their order.

    `pinned` maps a kernel and a kind of machine to a moment of the night that is pinned there. Steps are told only of
    series that Benjamini and Hochberg's procedure finds changed, and likewise drift. The series of one
    kernel on one kind of machine are tested together, and nothing else with them.
    """
    families: dict[tuple[str, str], list[int]] = {}
    for place, each in enumerate(series):
        families.setdefault((each.key.kernel, each.key.hardware_key), []).append(place)
    found: dict[int, SeriesHistory] = {}
    for family, places in families.items():
        told = _family([series[place] for place in places], accepted, (pinned or {}).get(family))
        found.update(zip(places, told, strict=True))
    return [found[place] for place in range(len(series))]


def _family(
    series: Sequence[Series], accepted: Sequence[AcceptedStep], pinned: datetime.datetime | None
) -> list[SeriesHistory]:
    tested = sum(len(each.nights) >= LEAST_NIGHTS for each in series)
    draws = next((draws for draws in _DRAWS if tested / (draws + 1) <= HISTORY_Q), _DRAWS[-1])
    crowded = () if tested / (draws + 1) <= HISTORY_Q else (f"{tested} series are tested together: {_CROWDED}",)
    costs = [np.array(each.costs()) for each in series]
    searched = [find_changes(cost, HISTORY_Q, draws) for cost in costs]
    long = [len(cost) >= LEAST_NIGHTS for cost in costs]
    changed = _flagged([p for _, p in searched], long)
    made = []
    for one, cost, (changes, p), is_changed in zip(series, costs, searched, changed, strict=True):
        told = changes if is_changed else []
        accepting = _acceptances(one, [change.index for change in told], accepted)
        steps = tuple(_step(one, change, accepting.get(change.index)) for change in told)
        based = _with_base(SeriesHistory(one, steps, p, remarks=crowded), pinned)
        made.append(_with_drift(based, cost))
    drifting = _flagged([1.0 if each.drift is None else each.drift.p for each in made], long)
    return [
        _judged(each if is_drifting else replace(each, drift=None, creeping=False), cost)
        for each, cost, is_drifting in zip(made, costs, drifting, strict=True)
    ]


def _flagged(p_values: Sequence[float], tested: Sequence[bool]) -> list[bool]:
    """Return which of the tests that took place are findings."""
    p_of_tested = [p for p, is_tested in zip(p_values, tested, strict=True) if is_tested]
    found = iter(findings(p_of_tested, HISTORY_Q))
    return [next(found) if is_tested else False for is_tested in tested]


def _step(series: Series, change: Change, accepted: AcceptedStep | None) -> Step:
    before, after = series.nights[change.index - 1], series.nights[change.index]
    settings, same = ", ".join(what_changed(before, after)), same_code(before, after)
    if same:
        cause = f"no code change: {settings or 'environment'}"
    elif same is None:
        cause = settings or "machine code not recorded"
    else:
        cause = f"machine code changed, with {settings}" if settings else "machine code changed"
    return Step(change, cause, before.revision, after.revision, accepted)


def _acceptances(series: Series, indexes: Sequence[int], accepted: Sequence[AcceptedStep]) -> dict[int, AcceptedStep]:
    """Return the acceptance of each of the steps at `indexes` that has one, the one given last.

    An acceptance is of one step, the nearest, and of the earlier of two: what is new comes later. Nights that the
    series has no part in say nothing of it.
    """
    key = series.key
    found = {}
    for step in accepted:
        fits = step.hardware_key == key.hardware_key and step.kernel == key.kernel
        for wanted, own in ((step.variant, key.variant), (step.metric, key.metric), (step.statistic, key.statistic)):
            fits = fits and wanted in (None, own)
        if fits and indexes and series.nights[0].date <= step.night <= series.nights[-1].date:
            near = [(_nights_apart(series, index, step.night), index) for index in indexes]
            apart, index = min(near)
            if apart <= HISTORY_NEAR:
                found[index] = step
    return found


def step_near(history: SeriesHistory, night: datetime.date) -> Step | None:
    """Return the step that is nearest to `night`; None where there is none within `HISTORY_NEAR` nights."""
    near = [(_nights_apart(history.series, step.change.index, night), step) for step in history.steps]
    apart, step = min(near, key=lambda each: each[0], default=(HISTORY_NEAR + 1, None))
    return step if apart <= HISTORY_NEAR else None


def _nights_apart(series: Series, index: int, night: datetime.date) -> int:
    dates = [each.date for each in series.nights]
    return abs(bisect_right(dates, night) - 1 - index)


def _with_base(history: SeriesHistory, pinned: datetime.datetime | None) -> SeriesHistory:
    """Return `history` with the later one of the pinned night and the night after the last accepted step."""
    places = [(step.change.index, "accepted step") for step in history.steps if step.accepted]
    evening = None if pinned is None else evening_of(pinned)
    at_pin = [(place, "pinned") for place, night in enumerate(history.series.nights) if night.evening == evening]
    missing = None if pinned is None or at_pin else pinned.astimezone(datetime.UTC).date()
    if not places + at_pin:
        return replace(history, pin_missing=missing)
    base, base_is = max(places + at_pin)
    return replace(history, base=base, base_is=base_is, pin_missing=missing)


def _with_drift(history: SeriesHistory, cost: Floats) -> SeriesHistory:
    """Return `history` with the drift since the base where it explains the nights as well as steps do.

    Otherwise the drift since the last step: a step would pass for a drift.
    """
    start = history.base or 0
    days = np.array(history.series.days())
    inside = [step.change.index for step in history.steps if step.change.index > start]
    whole = find_drift(days[start:], cost[start:]) if len(cost) else None
    if not inside or whole is None:
        return replace(history, drift=whole, drift_from=start)
    along = cost[start:] - whole.slope * days[start:]
    by_line = float(np.abs(along - np.median(along)).sum())
    edges = [start, *inside, len(cost)]
    by_steps = sum(float(np.abs(cost[a:b] - np.median(cost[a:b])).sum()) for a, b in itertools.pairwise(edges))
    if by_line <= by_steps:
        return replace(history, drift=whole, drift_from=start, creeping=True)
    return replace(history, drift=find_drift(days[inside[-1] :], cost[inside[-1] :]), drift_from=inside[-1])


def _judged(history: SeriesHistory, cost: Floats) -> SeriesHistory:
    """Return `history` with the newest level judged against the one before, and against the base."""
    margin = margin_for(history.series.key.statistic)
    edges = [0, *(step.change.index for step in history.steps), len(cost)]
    previous = against = None
    if history.open_steps:
        start, middle = edges[-3:-1]
        previous = _judge(cost[max(start, middle - HISTORY_NIGHTS) : middle], cost[middle:][-HISTORY_NIGHTS:], margin)
    if history.base is not None:
        level_end = min(edge for edge in edges if edge > history.base)
        if level_end == len(cost):  # no step since: the first half against the last
            level_end = history.base + (len(cost) - history.base) // 2
        newest = cost[max(edges[-2], level_end) :]
        against = _judge(cost[history.base : level_end][:HISTORY_NIGHTS], newest[-HISTORY_NIGHTS:], margin)
    judged = [each.verdict for each in (previous, against) if each is not None]
    crept = drifted(history)
    if crept is not None and crept.verdict is Verdict.SLOWER:
        judged.append(crept.verdict)
    order = (Verdict.SLOWER, Verdict.UNRESOLVED, Verdict.FASTER, Verdict.UNCHANGED)
    verdict = next((each for each in order if each in judged), None)
    remarks = (*history.series.left_out, *history.remarks, *_remarks(history, cost, edges))
    return replace(history, against_previous=previous, against_base=against, verdict=verdict, remarks=remarks)


def _judge(first: Floats, second: Floats, margin: float) -> Judgement | None:
    """Judge the shift between two sets of nights; None where fewer than four nights are on a side."""
    if min(len(first), len(second)) < 4:
        return None
    return unpaired.judge(first.tolist(), second.tolist(), margin, ALPHA)


def drifted(history: SeriesHistory) -> Judgement | None:
    """Return by how much a series drifted since `drift_from`, judged against the margin; None without a drift."""
    if history.drift is None:
        return None
    days = history.series.days()
    span, drift = days[-1] - days[history.drift_from], history.drift
    low, high = drift.low * span, drift.high * span
    verdict = decide(Interval(low, high), margin_for(history.series.key.statistic))
    return Judgement(drift.slope * span, low, high, verdict, drift.points, drift.points)


def _remarks(history: SeriesHistory, cost: Floats, edges: Sequence[int]) -> list[str]:
    """Return what a person has to know before they believe the rest."""
    told = []
    if history.pin_missing is not None:
        told.append(f"the pinned night of {history.pin_missing} is not among these: nothing is held against it")
    if len(cost) < LEAST_NIGHTS:
        told.append(
            f"{len(cost)} {'night' if len(cost) == 1 else 'nights'}: steps are looked for from {LEAST_NIGHTS} on"
        )
        return told
    within = np.concatenate([cost[a:b] - np.median(cost[a:b]) for a, b in itertools.pairwise(edges)])
    alike = autocorrelation(within)
    if history.steps and not history.creeping and alike > RESEMBLES:
        told.append(f"nights resemble the one before ({alike:.2f}): steps are found too easily")
    if history.creeping:
        told.append("a drift explains the nights as well as these steps do")
    return told
