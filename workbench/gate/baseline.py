"""A run against a saved baseline: the two were measured at different times, so what the machine did is taken out first.

Where a variant's machine code is the same in both runs it serves as a yardstick: every other variant is expressed
against it inside each process, where the two ran interleaved, and only then are the two runs compared. What cannot be
expressed so is compared as it is, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.errors import InputError
from workbench.gate.margins import Margins
from workbench.measure.histogram import merge
from workbench.measure.results import batch_mean_ns, block_histogram
from workbench.policy import ALPHA, PERCENTILES
from workbench.record import Comparison, Replicate, Run, Verdict
from workbench.stats import unpaired
from workbench.stats.margin_test import shift_p
from workbench.stats.median import median
from workbench.stats.paired import Judgement
from workbench.stats.percentile import samples_needed

Costs = list[float | None]  # one logarithm of a cost for each replicate; None where it was not measured


def check_comparable(run: Run, baseline: Run, name: str) -> None:
    """Raise InputError, with one sentence, when `run` and the baseline called `name` answer different questions."""
    if run.machine.hardware_key != baseline.machine.hardware_key:
        raise InputError(
            f"baseline {name!r} was measured on other hardware ({baseline.machine.hardware_key}, here "
            f"{run.machine.hardware_key}): save one for this machine"
        )
    if run.workload.sha256 != baseline.workload.sha256:
        raise InputError(
            f"baseline {name!r} was measured on other input ({baseline.workload.name}, {baseline.workload.events} "
            f"events; now {run.workload.name}, {run.workload.events}): use the same input, or another name"
        )
    shared = run.parameters.keys() & baseline.parameters.keys()
    if not shared or any(run.parameters[kernel] != baseline.parameters[kernel] for kernel in shared):
        raise InputError(f"baseline {name!r} was measured with other parameters: use the same, or another name")


def compare_with_baseline(
    run: Run,
    baseline: Run,
    name: str,
    statistics: Sequence[str] = ("p50", "throughput"),
    margins: Margins | None = None,
) -> list[Comparison]:
    """Compare each variant of `run` with itself in `baseline`; `a` is ``kernel/variant@name``.

    `statistics` are percentiles (``p50``, ``p99``, ``p999``) or ``throughput``; `margins` replace the policy's. A
    percentile below the clock's floor is only a bound and is not compared. Raises InputError as `check_comparable`, and
    for an unknown statistic.
    """
    return [comparison for comparison, _ in judged_against(run, baseline, name, statistics, margins)]


def judged_against(
    run: Run, baseline: Run, name: str, statistics: Sequence[str], margins: Margins | None = None
) -> list[tuple[Comparison, float]]:
    """Do as `compare_with_baseline`, each with the p-value of "not slower by more than the margin".

    The p-value is of Welch's t on one value a process.
    """
    check_comparable(run, baseline, name)
    unknown = [statistic for statistic in statistics if statistic not in (*PERCENTILES, "throughput")]
    if unknown:
        known = ", ".join((*PERCENTILES, "throughput"))
        raise InputError(f"there is no statistic {unknown[0]!r} to judge: there are {known}")
    shared = [variant for variant in _variants(run) if variant in _variants(baseline)]
    same = [variant for variant in shared if _same_code(run, baseline, variant)]
    found = []
    for statistic in statistics:
        for variant in shared:
            margin = _margin(variant, statistic, margins or Margins())
            made = _compare(run, baseline, variant, _yardstick(variant, same), statistic, margin)
            if made is not None:
                judgement, yardstick, p_value = made
                row = _comparison(name, variant, statistic, margin, judgement, yardstick, variant in same)
                found.append((row, p_value))
    return found


def _variants(run: Run) -> list[str]:
    return list(dict.fromkeys(f"{result.kernel}/{result.variant}" for result in run.results))


def _yardstick(variant: str, same: Sequence[str]) -> str | None:
    """Return the first variant of the same kernel whose code did not change, other than `variant` itself."""
    kernel = variant.split("/")[0]
    return next((other for other in same if other != variant and other.split("/")[0] == kernel), None)


def _compare(
    run: Run, baseline: Run, variant: str, yardstick: str | None, statistic: str, margin: float
) -> tuple[Judgement, str | None, float] | None:
    """Return the judgement over the replicates' logarithms, the yardstick, and the p-value; None without data."""
    for against in (yardstick, None) if yardstick else (None,):
        then = [value for value in _costs(baseline, variant, against, statistic) if value is not None]
        now = [value for value in _costs(run, variant, against, statistic) if value is not None]
        if then and now:
            return unpaired.judge(then, now, margin, ALPHA), against, shift_p(then, now, margin)
    return None


def _margin(variant: str, statistic: str, margins: Margins) -> float:
    kernel = variant.split("/")[0]
    if statistic == "throughput":
        return margins.of(kernel, "throughput", "mean")
    return margins.of(kernel, "service_time", statistic)


def _comparison(
    name: str,
    variant: str,
    statistic: str,
    margin: float,
    judgement: Judgement,
    yardstick: str | None,
    same_code: bool,
) -> Comparison:
    verdict, reason = judgement.verdict, judgement.reason
    if yardstick is not None and verdict is not Verdict.UNRESOLVED:
        reason = f"expressed against {yardstick}, whose machine code is the same in both runs"
    if same_code and verdict in (Verdict.SLOWER, Verdict.FASTER):
        verdict = Verdict.ENVIRONMENT_INVALID
        reason = "its machine code is the same in both runs: the environment or the memory layout moved, not the code"
    throughput = statistic == "throughput"
    return Comparison(
        a=f"{variant}@{name}",
        b=variant,
        metric="throughput" if throughput else "service_time",
        statistic="mean" if throughput else statistic,
        ratio=math.exp(judgement.estimate),
        low=math.exp(judgement.low),
        high=math.exp(judgement.high),
        margin=margin,
        verdict=verdict,
        blocks=judgement.blocks,
        replicates=judgement.replicates,
        blocks_needed=judgement.blocks_needed,
        reason=reason,
    )


def _costs(run: Run, variant: str, against: str | None, statistic: str) -> Costs:
    """Return one logarithm for each replicate, less that of the yardstick; None where either was not measured."""
    costs: Costs = []
    for replicate in run.replicates:
        own = _cost(replicate, variant, statistic)
        other = 0.0 if against is None else _cost(replicate, against, statistic)
        costs.append(None if own is None or other is None else own - other)
    return costs


def _cost(replicate: Replicate, variant: str, statistic: str) -> float | None:
    """Return the logarithm of a variant's cost in one process: the median of its blocks, or of its merged histogram."""
    if statistic == "throughput":
        means = [mean for block in replicate.blocks if (mean := batch_mean_ns(block, variant))]
        return median([math.log(mean) for mean in means]) if means else None
    recorded = [found for block in replicate.blocks if (found := block_histogram(block, variant)) is not None]
    if not recorded:
        return None
    merged = merge(recorded)
    fraction = PERCENTILES[statistic]
    value = merged.value_at(100 * fraction)
    known = merged.total >= samples_needed(fraction, ALPHA) and value >= replicate.clock.floor_ns
    return math.log(value) if known else None


def _same_code(run: Run, baseline: Run, variant: str) -> bool:
    now = {replicate.code_hash.get(variant) for replicate in run.replicates}
    then = {replicate.code_hash.get(variant) for replicate in baseline.replicates}
    return len(now) == 1 and now == then and None not in now
