"""What report notebooks call: each of their cells is a line or two, and everything that decides lies here.

Under the runner, ``$WORKBENCH_JOB_FOLDER`` names the folder for ``results.json`` and ``outcome.json``, and the runner
stores them. In a notebook that a person runs by hand nothing is written, except a first baseline.
"""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from workbench import figures
from workbench.errors import InputError
from workbench.files import write_text
from workbench.gate.baseline import compare_with_baseline
from workbench.gate.budgets import BudgetOutcome, judge_budgets
from workbench.gate.outcome import Outcome, write_outcome
from workbench.gate.rules import read_rules
from workbench.measure.driver import Request
from workbench.measure.open_loop_job import check_arrivals
from workbench.record import Comparison, Run
from workbench.report import findings
from workbench.report.load_words import load_outcome

FOLDER_VARIABLE = "WORKBENCH_JOB_FOLDER"


class Words:
    """Sentences that display themselves, in a notebook and in its report."""

    def __init__(self, outcome: Outcome):
        self.outcome = outcome

    def __str__(self) -> str:
        return "\n".join([self.outcome.headline, *(f"- {sentence}" for sentence in self.outcome.findings)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.outcome.findings)
        return f'<p class="wb-finding"><strong>{html.escape(self.outcome.headline)}</strong></p><ul>{items}</ul>'


def job_folder() -> Path | None:
    """Return the folder that the runner gave this notebook; None for a notebook that a person runs."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else None


def measure(
    kernel: str,
    variants: Sequence[str] = (),
    *,
    workload: str = "",
    settings: Sequence[str] = (),
    peers: bool = False,
    seconds: float = 6.0,
    replicates: int = 6,
) -> Run:
    """Measure variants of `kernel` (all that can run here when none is named) in fresh processes; return the record.

    `workload` is the name of a workload or the path of a file; the default workload when empty. `settings` are
    parameters of the kernel, each ``NAME=VALUE``. With `peers`, every variant is compared with every peer that can run.
    """
    from workbench.measure.api import measure as measure_run
    from workbench.measure.job import read_setting
    from workbench.measure.progress import Silent

    return measure_run(
        kernel,
        list(variants) or None,
        _source(workload),
        replicates=replicates,
        seconds=seconds,
        parameters=dict(map(read_setting, settings)),
        progress=Silent(),
        peers=peers,
    )


def measure_load(
    kernel: str,
    variants: Sequence[str] = (),
    *,
    workload: str = "",
    settings: Sequence[str] = (),
    arrivals: str = "poisson",
    rates: Sequence[float] = (),
    limit_p99_ns: float = 0.0,
    seconds: float = 12.0,
    replicates: int = 6,
) -> Run:
    """Measure variants of `kernel` under an open loop in fresh processes; return the record.

    `rates` are operations a second (for recorded arrivals: speeds); none: a ladder up to what the variants can do. With
    a limit of p99, in ns, the highest load that holds it is looked for.
    """
    from workbench.measure.job import read_setting
    from workbench.measure.load import Load
    from workbench.measure.load import measure_load as measure_run
    from workbench.measure.progress import Silent

    source = _source(workload)
    request = Request(
        selectors=[f"{kernel}/{variant}" for variant in variants] or [kernel],
        replicates=replicates,
        seconds=seconds,
        workload=source if isinstance(source, str) else None,
        input_file=str(source) if isinstance(source, Path) else None,
        parameters=dict(map(read_setting, settings)),
    )
    load = Load(check_arrivals(arrivals), tuple(rates), knee_p99_ns=limit_p99_ns or None)
    return measure_run(request, load, Silent())


def _source(workload: str) -> str | Path | None:
    """Return the file that `workload` names, else the name, else None for the default."""
    return Path(workload) if workload and Path(workload).is_file() else workload or None


def find_baseline(name: str, run: Run) -> Run | None:
    """Return what was saved as `name` for the kernels of `run` on this kind of machine; None for a first run."""
    from workbench.store import open_store

    store = open_store()
    found = [store.baseline(name, kernel, run.machine.hardware_key) for kernel in findings.kernels_of(run)]
    return next((baseline for baseline in found if isinstance(baseline, Run)), None)


def compare_runs(run: Run, baseline: Run | None, name: str, statistics: Sequence[str]) -> list[Comparison]:
    """Compare `run` with the baseline called `name`; nothing to compare in a first run.

    The margins are those of the plan that the notebook runs in, else the policy's. Raises InputError when the two
    answer different questions, as on other input.
    """
    if baseline is None:
        return []
    return compare_with_baseline(run, baseline, name, statistics, read_rules(job_folder()).chosen_margins())


def judged_budgets(run: Run) -> list[BudgetOutcome]:
    """Return the budgets that cover what was measured: those of the job's plan, else the shipped ones."""
    return judge_budgets(read_rules(job_folder()).chosen_budgets(), run.results)


def regression_figure(compared: Sequence[Comparison], baseline: Run | None) -> go.Figure:
    """Return the ratios to the baseline; in a first run an empty figure that says so."""
    figure = figures.comparison_ratios(compared, "Cost against the baseline")
    if baseline is None:
        figure.layout.annotations = ()
        figure.add_annotation(
            text="no baseline yet: this run becomes it", xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False
        )
    return figure


def conclude_latency(run: Run, kernel: str) -> Words:
    """Write the results, and return the finding in words."""
    return conclude(run, findings.latency_outcome(run, kernel, judged_budgets(run)))


def conclude_load(run: Run, kernel: str) -> Words:
    """Write the results, and return in words what the variants hold under load."""
    return conclude(run, load_outcome(run, kernel))


def conclude_regression(
    run: Run, kernel: str, baseline: Run | None, name: str, compared: Sequence[Comparison]
) -> Words:
    """Write the results with their comparisons, and return the verdict in words. A first run becomes the baseline."""
    judged = judged_budgets(run)
    if baseline is None:
        outcome = findings.first_outcome(run, kernel, name, judged)
    else:
        outcome = findings.regression_outcome(run, kernel, baseline, compared, judged)
    run = run.model_copy(update={"comparisons": [*compared, *run.comparisons]})
    if job_folder() is None and outcome.save_baseline:
        from workbench.store import open_store

        open_store().save_baseline(outcome.save_baseline, run)
    return conclude(run, outcome)


def conclude(run: Run, outcome: Outcome) -> Words:
    """Write `run` and `outcome` into the job's folder, where there is one, and return the words."""
    folder = job_folder()
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"{FOLDER_VARIABLE} names {folder}, which is no folder: the runner sets it")
        write_text(folder / "results.json", run.to_json() + "\n")
        write_outcome(folder, outcome)
    return Words(outcome)
