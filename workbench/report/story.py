"""What the notebook of a kernel's optimization calls: measure a chain of variants, sample it, simulate it, tell it.

Nothing here knows any kernel. What a machine cannot do (sampling, callgrind) is left out with its reason, and the rest
is shown all the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import figures
from workbench.record import Result, Run
from workbench.report.cell_progress import cell_progress
from workbench.report.chain import Chain, chain_of
from workbench.report.notebook import Words, conclude, job_folder
from workbench.report.story_profiles import PROFILES, Profiles, sample_lines, simulate
from workbench.report.story_steps import Steps
from workbench.report.story_words import story_outcome

if TYPE_CHECKING:
    import plotly.graph_objects as go


def measure(chain: Chain, *, workload: str = "", seconds: float = 8.0, replicates: int = 6) -> Run:
    """Measure all steps and peers of `chain` interleaved in one run; every pair of `Chain.pairs` is compared.

    `workload` is the name of a workload or the path of a file; the default workload when empty.
    """
    from workbench.measure.api import measure as measure_run

    source: Any = Path(workload) if workload and Path(workload).is_file() else workload or None
    progress = cell_progress(job_folder())
    names = [step.variant for step in chain.all]
    return measure_run(
        chain.kernel, names, source, replicates=replicates, seconds=seconds, progress=progress,
        pairs=chain.pairs(), memory=False,
    )  # fmt: skip


def with_counts(run: Run, chain: Chain, simulated: Profiles) -> Run:
    """Return `run` with what was simulated of each step among its results, per operation."""
    rows = [
        Result(
            kernel=chain.kernel,
            variant=variant,
            metric=metric,
            statistic="simulated",
            unit="per operation",
            value=sum(counters.get(metric, 0.0) for counters in profile.counters.values()) / simulated.operations,
            low=None,
            high=None,
            bound="value",
            samples=simulated.operations,
        )
        for variant, profile in simulated.found.items()
        for metric in figures.SIMULATED
    ]
    return run.model_copy(update={"results": [*run.results, *rows]})


def worth_figure(run: Run, chain: Chain) -> go.Figure:
    """Return the cost of each step against its parent, its root and every peer: the mean times."""
    compared = [row for row in run.comparisons if row.metric == "throughput"]
    return figures.comparison_ratios(compared, f"Cost of each step of {chain.kernel} against the others")


def counts_figure(run: Run, chain: Chain, simulated: Profiles) -> go.Figure:
    """Return the simulated counts of the steps, or why there are none."""
    return figures.simulated_counts(run, chain.kernel, chain.steps, simulated.reason)


def tell_steps(chain: Chain, run: Run, lines: Profiles, simulated: Profiles) -> Steps:
    """Return every step with its idea, its worth, its lines before and after, its counts and its conclusion."""
    linked = PROFILES if job_folder() is not None else ""
    return Steps(chain, run, lines, simulated, linked)


def conclude_story(chain: Chain, run: Run, lines: Profiles, simulated: Profiles) -> Words:
    """Write the results, and return what the steps bought, in words."""
    return conclude(run, story_outcome(chain, run, lines, simulated))


__all__ = [
    "Chain",
    "Profiles",
    "chain_of",
    "conclude_story",
    "counts_figure",
    "measure",
    "sample_lines",
    "simulate",
    "tell_steps",
    "with_counts",
    "worth_figure",
]
