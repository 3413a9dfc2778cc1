"""Measure kernels: variants interleaved in fresh pinned processes, a table with intervals, saved to the store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from workbench.commands._measuring import amount, describe_run, figure, make_request, measuring_options

if TYPE_CHECKING:
    from workbench.record import Comparison, Result, Run

_COLUMNS = ("variant", "p50", "p99", "p99.9", "batch mean", "throughput", "cost against the first", "verdict")


@click.command("run")
@click.argument("kernels", nargs=-1, required=True, metavar="KERNEL[/VARIANT]...")
@measuring_options
@click.option("--save-baseline", metavar="NAME", help="Save the result under this name, to compare with later.")
@click.option("--no-save", is_flag=True, help="Do not save to the store.")
def command(kernels: tuple[str, ...], as_json: bool, save_baseline: str | None, no_save: bool, **options: Any) -> None:
    """Measure kernels: variants interleaved in fresh pinned processes, a table with intervals, saved to the store.

    \b
    workbench run order_book
    workbench run order_book/baseline order_book/ladder --seconds 30
    workbench run signals --input hour.csv.gz --save-baseline monday
    """
    from workbench.measure.driver import Measurement
    from workbench.measure.progress import choose_progress

    report = Measurement(make_request(kernels, memory=True, **options), choose_progress()).run()
    from workbench.measure.runs import build_run

    run = build_run(report)
    if as_json:
        click.echo(run.to_json())
    else:
        _print(run, describe_run(run, report))
    if not no_save or save_baseline:
        from workbench.store import open_store

        store = open_store()
        store.add(run)
        if save_baseline:
            store.save_baseline(save_baseline, run)
        if not as_json:
            click.echo(f"saved as {run.record_id}" + (f", baseline {save_baseline}" if save_baseline else ""))
    sys.stdout.flush()


def _print(run: Run, lines: list[str]) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200  # a log or a pipe has no width of its own
    console = Console(highlight=False, width=width)
    for kernel in dict.fromkeys(result.kernel for result in run.results):
        console.print(_table(run, kernel))
        for text in _budget_lines(run, kernel):
            console.print(text, markup=False, soft_wrap=True)
        console.print()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _table(run: Run, kernel: str) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(kernel), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    rows = [result for result in run.results if result.kernel == kernel]
    variants = list(dict.fromkeys(result.variant for result in rows))
    for variant in variants:
        cells = _cells([result for result in rows if result.variant == variant])
        against = next(
            (
                row
                for row in run.comparisons
                if (row.a, row.b) == (f"{kernel}/{variants[0]}", f"{kernel}/{variant}") and row.metric == "throughput"
            ),
            None,
        )
        table.add_row(*(Text(cell) for cell in (variant, *cells, *_against(against))))
    return table


def _cells(results: list[Result]) -> tuple[str, ...]:
    found = {(result.metric, result.statistic): result for result in results}
    throughput = found[("throughput", "mean")]
    return (
        *(figure(found.get(("service_time", statistic))) for statistic in ("p50", "p99", "p999")),
        figure(found[("service_time", "batch_mean")]),
        amount(throughput.value, throughput.unit),
    )


def _against(row: Comparison | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    return f"{row.ratio:.3f} ({row.low:.3f} .. {row.high:.3f})", row.verdict.value


def _budget_lines(run: Run, kernel: str) -> list[str]:
    from workbench.gate.budgets import judge_budgets, read_budgets

    budgets = [budget for budget in read_budgets() if budget.kernel == kernel]
    return [f"budget {outcome.title}: {outcome.words}" for outcome in judge_budgets(budgets, run.results)]
