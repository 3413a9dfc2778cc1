"""What `workbench run --rate` prints: response times at each load beside service times, and the knee."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from workbench.commands._measuring import amount, figure, make_request

if TYPE_CHECKING:
    from workbench.measure.load import Load
    from workbench.record import Result, Run

_HEADS = ("variant", "load", "done", "response p50", "p99", "p99.9", "service p50", "p99", "p99.9")


def run_open_loop(kernels: Sequence[str], load: Load, as_json: bool, options: dict[str, Any]) -> Run:
    """Measure what `kernels` name under `load`, print the tables or the record, and return the record."""
    from workbench.measure.load import measure_load
    from workbench.measure.progress import choose_progress

    run = measure_load(make_request(kernels, **options), load, choose_progress())
    click.echo(run.to_json() if as_json else "\n".join(lines_of(run)))
    return run


def lines_of(run: Run) -> list[str]:
    """Return a table of all variants and loads, what a burst cost, the knee, and what is to be known."""
    rows: list[tuple[str, ...]] = [_HEADS]
    told = []
    found: dict[tuple[str, float], dict[tuple[str, str], Result]] = {}
    for row in run.results:
        name = f"{row.kernel}/{row.variant}"
        if row.rate_per_s is not None:
            found.setdefault((name, row.rate_per_s), {})[row.metric, row.statistic] = row
        elif row.metric == "knee":
            highest = amount(row.value, row.unit) if row.value else "none of these loads"
            told.append(f"{name} holds {row.statistic} up to {highest}")
    for (name, rate), own in found.items():
        times = [
            figure(own.get((metric, statistic)), interval=False)
            for metric in ("response_time", "service_time")
            for statistic in ("p50", "p99", "p999")
        ]
        done = own["achieved_rate", "median"]
        rows.append((name, amount(rate, "operations/s"), amount(done.value, done.unit), *times))
        if ("recovery_time", "median") in own:
            recovery = own["recovery_time", "median"].value
            when = (
                f"{amount(recovery, 'ns')} after" if recovery < float("inf") else "not before the end of the run, after"
            )
            told.append(f"{name} at {amount(rate, 'operations/s')}: back on time {when} the burst")
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    return [
        "response times count from the intended start of an operation, service times from the real one",
        *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
        *told,
        "",
        f"workload {run.workload.name}: {run.workload.events:,} events; {len(run.replicates)} replicates on "
        f"{run.machine.cpu_model}; {run.duration_s:.0f} s in all",
        *(f"note: {note}" for note in run.notes),
    ]
