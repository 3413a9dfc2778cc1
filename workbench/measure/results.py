"""From what the replicates measured to figures with intervals, and to comparisons with verdicts. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from workbench import policy, record
from workbench.measure.histogram import Histogram, merge
from workbench.measure.job import Memory
from workbench.stats import paired, percentile
from workbench.stats.median import Interval, median, process_interval, sign_interval

Statistic = Callable[[record.Block, str], float | None]

COMPARED = (("throughput", "mean"), ("service_time", "p50"), ("service_time", "p99"), ("service_time", "p999"))


def sides_of(block: record.Block, variant: str) -> list[record.Side]:
    """Return the sides of `variant` (kernel/variant) in `block`."""
    return [side for side in block.sides if side.variant == variant]


def batch_mean_ns(block: record.Block, variant: str) -> float | None:
    """Return ns per operation over a block's runs of `variant`, without a probe; None when it is not in the block."""
    sides = sides_of(block, variant)
    return sum(side.elapsed_ns for side in sides) / sum(side.operations for side in sides) if sides else None


@lru_cache(maxsize=4096)
def _decoded(text: str) -> Histogram:
    return Histogram.decode(text)


def block_histogram(block: record.Block, variant: str, stage: str = "") -> Histogram | None:
    """Return the latencies of `variant`, or of one `stage` of it, in `block`, merged; None where none were taken."""
    sides = sides_of(block, variant)
    texts = [side.stages.get(stage) if stage else side.histogram for side in sides]
    found = [text for text in texts if text is not None]
    return merge(_decoded(text) for text in found) if found else None


def percentile_of_block(fraction: float, step_ns: float) -> Statistic:
    """Return the function that gives a percentile of one block, interpolated inside the clock's step."""

    def statistic(block: record.Block, variant: str) -> float | None:
        histogram = block_histogram(block, variant)
        return histogram.interpolated_at(fraction * 100, step_ns) if histogram is not None else None

    return statistic


def statistic_of(metric: str, statistic: str, step_ns: float) -> Statistic:
    """Return the function that gives the cost of one block: what a comparison's ratio is made of."""
    if metric == "service_time" and statistic in policy.PERCENTILES:
        return percentile_of_block(policy.PERCENTILES[statistic], step_ns)
    return batch_mean_ns


def log_values(replicates: Iterable[record.Replicate], variant: str, statistic: Statistic) -> list[list[float]]:
    """Return the logarithm of a statistic of each block, by replicate. Blocks without it, or with 0, are left out."""
    found = []
    for replicate in replicates:
        values = (statistic(block, variant) for block in replicate.blocks)
        found.append([math.log(value) for value in values if value])
    return [group for group in found if group]


def differences(replicates: Iterable[record.Replicate], a: str, b: str, statistic: Statistic) -> list[list[float]]:
    """Return ln(B) - ln(A) of each block that holds both, by replicate."""
    found = []
    for replicate in replicates:
        group = []
        for block in replicate.blocks:
            first, second = statistic(block, a), statistic(block, b)
            if first and second:
                group.append(math.log(second) - math.log(first))
        found.append(group)
    return [group for group in found if group]


def compare(
    replicates: Sequence[record.Replicate],
    a: str,
    b: str,
    *,
    alpha: float = policy.ALPHA,
    margins: Mapping[str, float] | None = None,
) -> list[record.Comparison]:
    """Judge `b` against `a` (kernel/variant) on each statistic that both have, from blocks that hold both.

    A percentile for which a block has too few samples, or that lies below the clock's floor, is left out.
    """
    rows = []
    step_ns = max((replicate.clock.step_ns for replicate in replicates), default=0.0)
    for metric, statistic in COMPARED:
        if _hindrance(replicates, (a, b), metric, statistic) is not None:
            continue
        found = differences(replicates, a, b, statistic_of(metric, statistic, step_ns))
        if not found:
            continue
        margin = (margins or policy.MARGINS).get(statistic, policy.TAIL_MARGIN)
        rows.append(comparison_row(a, b, metric, statistic, margin, paired.judge(found, margin, alpha)))
    return rows


def not_compared(replicates: Sequence[record.Replicate], a: str, b: str) -> list[str]:
    """Return a sentence for each statistic on which `compare` has nothing to say."""
    found = []
    for metric, statistic in COMPARED:
        reason = _hindrance(replicates, (a, b), metric, statistic)
        if reason is not None:
            found.append(f"{metric.replace('_', ' ')} {statistic} was not compared: {reason}")
    return found


def comparison_row(
    a: str, b: str, metric: str, statistic: str, margin: float, judgement: paired.Judgement
) -> record.Comparison:
    """Turn a judgement of logarithms into a row of ratios."""
    return record.Comparison(
        a=a,
        b=b,
        metric=metric,
        statistic=statistic,
        ratio=math.exp(judgement.estimate),
        low=math.exp(judgement.low),
        high=math.exp(judgement.high),
        margin=margin,
        verdict=judgement.verdict,
        blocks=judgement.blocks,
        replicates=judgement.replicates,
        blocks_needed=judgement.blocks_needed,
        reason=judgement.reason,
    )


def _hindrance(
    replicates: Sequence[record.Replicate], variants: Sequence[str], metric: str, statistic: str
) -> str | None:
    """Return why a percentile cannot be judged at all, or None: too few samples in a block, or below the clock."""
    if metric != "service_time":
        return None
    fraction = policy.PERCENTILES[statistic]
    needed = percentile.samples_needed(fraction, policy.ALPHA)
    for variant in variants:
        histograms = [block_histogram(block, variant) for replicate in replicates for block in replicate.blocks]
        kept = [histogram for histogram in histograms if histogram is not None]
        if not kept:
            return f"no latencies of {variant} were taken"
        if min(histogram.total for histogram in kept) < needed:
            return f"a block has fewer than the {needed:,} samples that {statistic} needs"
        floor = floor_ns(replicates)
        if merge(kept).value_at(fraction * 100) < floor:
            return f"{variant} lies below the clock's floor of {floor:.0f} ns: see throughput"
    return None


def floor_ns(replicates: Sequence[record.Replicate]) -> float:
    """Return the smallest latency that the clock of every replicate resolves."""
    return max(replicate.clock.floor_ns for replicate in replicates)


def probe_overhead(block: record.Block, variant: str) -> float | None:
    """Return how many times as long the runs of `variant` took with the probe compiled in; None without one."""
    sides = sides_of(block, variant)
    probed = [side.probed_elapsed_ns for side in sides if side.probed_elapsed_ns]
    return sum(probed) / sum(side.elapsed_ns for side in sides) if len(probed) == len(sides) and probed else None


def results_of(
    replicates: Sequence[record.Replicate], variant: str, operations_per_sample: int = 1
) -> list[record.Result]:
    """Return all figures of `variant` (kernel/variant) but those of memory.

    `operations_per_sample` is how many operations one recorded latency covers. Above 1, a percentile is that of the
    whole group's time, and the row says so; a single operation then has means only.
    """
    rows = []
    for statistic, fraction in policy.PERCENTILES.items():
        found = percentile_of(replicates, variant, fraction)
        if found is not None:
            row = result_row(variant, "service_time", statistic, "ns", *found)
            rows.append(row.model_copy(update={"operations_per_sample": operations_per_sample}))
    rows += _stages(replicates, variant, operations_per_sample)
    means = log_values(replicates, variant, batch_mean_ns)
    value, interval = _centre(means)
    operations = sum(side.operations for r in replicates for block in r.blocks for side in sides_of(block, variant))
    rows.append(result_row(variant, "service_time", "batch_mean", "ns", value, interval, operations))
    inverted = Interval(1e9 / interval.high, 1e9 / interval.low) if interval else None
    rows.append(result_row(variant, "throughput", "mean", "operations/s", 1e9 / value, inverted, operations))
    overheads = log_values(replicates, variant, probe_overhead)
    if any(overheads):
        value, interval = _centre(overheads)
        rows.append(result_row(variant, "probe_overhead", "mean", "times", value, interval, sum(map(len, overheads))))
    seconds = [r.compile_s[variant] for r in replicates if variant in r.compile_s]
    if seconds:
        rows.append(result_row(variant, "compile_time", "max", "s", max(seconds), None, len(seconds)))
    allocations = [r.allocations[variant] for r in replicates if variant in r.allocations]
    if allocations:
        most, number = max(allocations), len(allocations)
        rows.append(result_row(variant, "allocations", "max", "allocations/replay", most, None, number))
    return rows


def _stages(replicates: Sequence[record.Replicate], variant: str, operations_per_sample: int) -> list[record.Result]:
    """Return the percentiles of each stage that an operation of `variant` goes through."""
    sides = [side for r in replicates for block in r.blocks for side in sides_of(block, variant)]
    rows = []
    for stage in dict.fromkeys(name for side in sides for name in side.stages):
        for statistic, fraction in policy.PERCENTILES.items():
            found = percentile_of(replicates, variant, fraction, stage)
            if found is not None:
                row = result_row(variant, f"stage.{stage}", statistic, "ns", *found)
                rows.append(row.model_copy(update={"operations_per_sample": operations_per_sample}))
    return rows


def memory_rows(variant: str, memory: Memory) -> list[record.Result]:
    """Return what `variant` (kernel/variant) took in a process of its own, in bytes."""
    figures = {
        "peak_rss": memory.peak_rss,
        "loading_rss": memory.loading_rss,
        "baseline_rss": memory.baseline_rss,
        "state_rss": memory.state_rss,
        "state_arrays": memory.state_arrays,
    }
    return [
        result_row(variant, metric, "max", "bytes", value, None, 1)
        for metric, value in figures.items()
        if value is not None
    ]


def result_row(
    variant: str,
    metric: str,
    statistic: str,
    unit: str,
    value: float,
    interval: Interval | None,
    samples: int,
    bound: Literal["value", "upper"] = "value",
) -> record.Result:
    """Return one figure of `variant` (kernel/variant)."""
    kernel, _, name = variant.partition("/")
    return record.Result(
        kernel=kernel,
        variant=name,
        metric=metric,
        statistic=statistic,
        unit=unit,
        value=value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        samples=samples,
        bound=bound,
    )


def _centre(groups: list[list[float]]) -> tuple[float, Interval | None]:
    """Return the median of all blocks, and the wider of the intervals over blocks and over replicates, unlogged."""
    blocks = [value for group in groups for value in group]
    centre = median(blocks)
    over_processes = process_interval([median(group) for group in groups], policy.ALPHA)
    over_blocks = sign_interval(blocks, policy.ALPHA)
    if over_processes is None or over_blocks is None:
        return math.exp(centre), None
    whole = over_processes.union(over_blocks).union(Interval(centre, centre))
    return math.exp(centre), Interval(math.exp(whole.low), math.exp(whole.high))


def percentile_of(
    replicates: Sequence[record.Replicate], variant: str, fraction: float, stage: str = ""
) -> tuple[float, Interval | None, int, Literal["value", "upper"]] | None:
    """Return a percentile of all latencies with its interval, its samples, and whether it is only a bound.

    The interval is the wider of the one by order statistics and the one over the percentiles of the replicates; there
    is none below the number of samples that the percentile needs.
    """
    by_process = []
    for replicate in replicates:
        found = [block_histogram(block, variant, stage) for block in replicate.blocks]
        kept = [histogram for histogram in found if histogram is not None]
        if kept:
            by_process.append(merge(kept))
    whole = merge(by_process)
    samples = whole.total
    if samples == 0:
        return None
    value = float(whole.value_at(fraction * 100))
    floor = floor_ns(replicates)
    if value < floor:
        return math.ceil(floor), None, samples, "upper"
    low, high = percentile.interval_ranks(samples, fraction, policy.ALPHA)
    over = process_interval([float(each.value_at(fraction * 100)) for each in by_process if each.total], policy.ALPHA)
    if low is None or high is None or over is None:
        return value, None, samples, "value"
    interval = over.union(Interval(whole.value_at_rank(low), whole.value_at_rank(high))).union(Interval(value, value))
    return value, Interval(max(interval.low, 0.0), interval.high), samples, "value"
