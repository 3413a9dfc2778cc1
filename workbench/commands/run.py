"""Measure kernels: variants interleaved in fresh pinned processes, a table with intervals, saved to the store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from workbench import policy
from workbench.commands._measuring import describe_run, figure, make_request, measuring_options
from workbench.commands._stages import stage_rows
from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.gate.budgets import BudgetOutcome
    from workbench.measure.driver import Report
    from workbench.record import Comparison, Result, Run

_COLUMNS = {
    "p50": ("service_time", "p50"),
    "p99": ("service_time", "p99"),
    "p99.9": ("service_time", "p999"),
    "batch mean": ("service_time", "batch_mean"),
    "rate": ("throughput", "mean"),
    "memory": ("peak_rss", "max"),
    "state": ("state_rss", "max"),
}
_WIDE, _WIDEST = 100, 140  # columns of the terminal from which on the table holds the state's memory, and intervals


@click.command("run")
@click.argument("kernels", nargs=-1, required=True, metavar="KERNEL[/VARIANT]...")
@measuring_options
@click.option("--rate", "rates", type=float, multiple=True, help="Open loop: operations a second; repeatable.")
@click.option(
    "--arrivals",
    type=click.Choice(("poisson", "fixed", "recorded", "burst")),
    help="Open loop: when operations come; for recorded, --rate is the speed. [poisson]",
)
@click.option("--burst-factor", type=float, help="Open loop: how much closer together a burst's operations are. [100]")
@click.option(
    "--knee", metavar="NS", type=float, help="Open loop: find the highest rate whose p99 response holds this."
)
@click.option("--shards", default=1, help="Deal the symbols to so many states: one after the other, and all at once.")
@click.option("--save-baseline", metavar="NAME", help="Save the result under this name, to compare with later.")
@click.option("--no-save", is_flag=True, help="Do not save to the store.")
def command(
    kernels: tuple[str, ...],
    as_json: bool,
    rates: tuple[float, ...],
    arrivals: str | None,
    burst_factor: float | None,
    knee: float | None,
    shards: int,
    save_baseline: str | None,
    no_save: bool,
    **options: Any,
) -> None:
    """Measure kernels: variants interleaved in fresh pinned processes, a table with intervals, saved to the store.

    With --rate, --arrivals or --knee the operations of one kernel are begun when they are due, however late the one
    before (an open loop), and response times count from there.

    \b
    workbench run order_book
    workbench run order_book/baseline order_book/ladder --seconds 30
    workbench run signals --input hour.csv.gz --save-baseline monday
    workbench run order_book/aligned --rate 1000000 --rate 5000000
    workbench run order_book/aligned order_book/ladder --knee 2000
    workbench run order_book/aligned --arrivals recorded --rate 100
    workbench run order_book/combined --workload synthetic-64 --shards 2
    """
    if save_baseline in policy.OWN_BASELINES:
        raise InputError(f"--save-baseline {save_baseline}: the workbench keeps its own under that name; give another")
    if shards != 1 and (rates or arrivals or burst_factor or knee is not None):
        raise InputError("an open loop has one state: leave --shards away, or the load")
    if rates or arrivals or burst_factor or knee is not None:
        run = _open_loop(kernels, rates, arrivals, burst_factor, knee, as_json, options)
        _save(run, save_baseline, no_save, as_json)
        return
    from workbench.measure.driver import Measurement
    from workbench.measure.progress import choose_progress

    request = make_request(kernels, memory=shards == 1, shards=shards, **options)
    report = Measurement(request, choose_progress()).run()
    from workbench.measure.runs import build_run

    run = build_run(report)
    if as_json:
        click.echo(run.to_json())
    else:
        print_run(run, report, asked=kernels)
    _save(run, save_baseline, no_save, as_json)


def _save(run: Run, baseline: str | None, no_save: bool, as_json: bool) -> None:
    """Put `run` into the store, unless nobody wants it there."""
    if not no_save or baseline:
        from workbench.store import open_store

        store = open_store()
        store.add(run)
        if baseline:
            store.save_baseline(baseline, run)
        if not as_json:
            click.echo(f"saved as {run.record_id}" + (f", baseline {baseline}" if baseline else ""))
    sys.stdout.flush()


def _open_loop(
    kernels: tuple[str, ...],
    rates: tuple[float, ...],
    arrivals: Any,
    burst_factor: float | None,
    knee: float | None,
    as_json: bool,
    options: dict[str, Any],
) -> Run:
    from workbench.commands._open_loop import run_open_loop
    from workbench.measure.load import Load

    if burst_factor is not None and arrivals != "burst":
        raise InputError("--burst-factor is of bursts: give --arrivals burst with it")
    if knee is not None and not knee > 0:
        raise InputError(f"--knee {knee:g} is no limit of a response time: give ns above 0")
    load = Load(arrivals or "poisson", tuple(rates), burst_factor or 100.0, knee)
    return run_open_loop(kernels, load, as_json, options)


def print_run(run: Run, report: Report, width: int | None = None, asked: Sequence[str] = ()) -> None:
    """Print tables for a person: times and memory, then what each variant costs against its parent and the first.

    `asked` is what the person named: a kernel in a file keeps its file in what is proposed next.
    """
    from rich.console import Console

    if width is None and not sys.stdout.isatty():
        width = 140  # a log or a pipe has no width of its own
    console = Console(highlight=False, width=width)
    for kernel in dict.fromkeys(result.kernel for result in run.results):
        names = {chosen.variant: chosen.peer for chosen in report.outcomes[0].chosen if chosen.kernel == kernel}
        results = [result for result in run.results if result.kernel == kernel]
        console.print(_title(kernel, results), markup=False)
        console.print(_figures(results, names, console.width))
        rows = [row for row in run.comparisons if row.a.startswith(f"{kernel}/") and row.metric == "throughput"]
        if rows:
            console.print()
            console.print(_comparisons(rows, names))
        told = [f"{r.variant} {figure(r, interval=True)}" for r in results if r.metric == "probe_overhead"]
        if told:
            console.print(f"with the probe, for the percentiles: {', '.join(told)}", markup=False, soft_wrap=True)
        judged = _judged(run, kernel)
        for variant in names:
            _print_stages(console, stage_rows(results, variant, judged), variant)
        for text in (f"budget {outcome.title}: {outcome.words}" for outcome in judged):
            console.print(text, markup=False, soft_wrap=True)
        console.print()
    following = next_step(run)
    for text in asked:
        file, in_file, name = text.rpartition(".py:")
        if in_file:
            kernel = name.partition("/")[0]
            following = following.replace(f" {kernel}/", f" {file}.py:{kernel}/")
    for line in [*describe_run(run, report), following]:
        console.print(line, markup=False, soft_wrap=True)


def _title(kernel: str, results: list[Result]) -> str:
    """Return the kernel's name, and what a percentile is of where that is not one operation."""
    together = max(result.operations_per_sample for result in results)
    if together == 1:
        return kernel
    return f"{kernel}: percentiles are of {together} operations timed together, means and rates of single ones"


def _figures(results: list[Result], peers: dict[str, bool], width: int) -> Any:
    """Return the table of times and memory; intervals stand in it where it is wide enough."""
    columns = dict(_COLUMNS)
    if width < _WIDE:
        del columns["state"]
    table = _empty_table(["variant", *columns])
    for variant, peer in peers.items():
        own = {(each.metric, each.statistic): each for each in results if each.variant == variant}
        cells = [
            figure(own.get(key), interval=width >= _WIDEST and name.startswith("p")) for name, key in columns.items()
        ]
        table.add_row(*_texts([_name(variant, peer), *cells]))
    return table


def _name(variant: str, peer: bool) -> str:
    return f"{variant} (peer)" if peer else variant


def _comparisons(rows: list[Comparison], peers: dict[str, bool]) -> Any:
    table = _empty_table(["variant", "against", "cost per operation", "verdict"])
    for row in rows:
        ratio = f"{row.ratio:.3f} ({row.low:.3f} .. {row.high:.3f})"
        first, second = (name.split("/")[1] for name in (row.a, row.b))
        names = [_name(second, peers[second]), _name(first, peers[first])]
        table.add_row(*_texts([*names, ratio, row.verdict.value]))
    return table


def _empty_table(columns: list[str]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _texts(cells: list[str]) -> list[Any]:
    from rich.text import Text

    return [Text(cell) for cell in cells]


def next_step(run: Run) -> str:
    """Return the line that says what to do now: measure longer what is not resolved, else look into the fastest."""
    from workbench.measure.job import TOGETHER
    from workbench.record import Verdict

    open_ = [row for row in run.comparisons if row.verdict is Verdict.UNRESOLVED and row.metric == "throughput"]
    if open_:
        row = open_[0]
        shards = run.parameters.get(row.a.split("/")[0], {}).get("shards")
        if shards is None:
            return f"next: workbench compare {row.a} {row.b} --seconds 30 measures longer what is not resolved"
        name = row.b.removesuffix(TOGETHER)
        return f"next: workbench run {name} --shards {shards} --seconds 30 measures longer what is not resolved"
    rates = [result for result in run.results if result.metric == "throughput" and result.statistic == "mean"]
    timed = {(row.kernel, row.variant) for row in run.results if (row.metric, row.statistic) == ("service_time", "p50")}
    own = [result for result in rates if (result.kernel, result.variant) in timed] or rates  # a peer has no percentiles
    fastest = max(own, key=lambda result: result.value)
    name = fastest.variant.removesuffix(TOGETHER)
    return f"next: workbench profile cpu {fastest.kernel}/{name} shows which lines spend the time"


def _judged(run: Run, kernel: str) -> list[BudgetOutcome]:
    from workbench.gate.budgets import judge_budgets, read_budgets

    return judge_budgets([budget for budget in read_budgets() if budget.kernel == kernel], run.results)


def _print_stages(console: Any, rows: list[tuple[str, ...]], variant: str) -> None:
    """Print where the time of an operation goes, and what each stage may spend."""
    if not rows:
        return
    table = _empty_table([f"stage of {variant}", "p50", "p99", "p99 must", "p99 stretch"])
    for row in rows:
        table.add_row(*_texts(list(row)))
    console.print()
    console.print(table)
