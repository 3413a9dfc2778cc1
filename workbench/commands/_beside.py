"""What ``workbench compare --readers`` prints: two writers while other threads read them, and what that costs each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from workbench.commands._measuring import amount, figure, make_request

if TYPE_CHECKING:
    from workbench.measure.comparison import Comparison
    from workbench.measure.readers import Reading
    from workbench.record import Run

HEADS = ("writer", "alone", "with readers", "slowed to", "interval", "p99 with readers", "reads", "again", "torn")


def compare_beside(
    a: str, b: str, readers: int, read_rate_per_s: float | None, as_json: bool, options: dict[str, Any]
) -> Comparison:
    """Measure `a` and `b` with readers, print the tables or the record, and return the comparison that decides."""
    from workbench.measure.comparison import Comparison
    from workbench.measure.progress import choose_progress
    from workbench.measure.readers import measure_readers
    from workbench.measure.readers_job import BESIDE
    from workbench.measure.results import not_compared

    request = make_request([a, b], **options)
    reading = measure_readers(request, choose_progress(), readers=readers, read_rate_per_s=read_rate_per_s)
    run, pair = reading.run, (a + BESIDE, b + BESIDE)
    rows = tuple(row for row in run.comparisons if (row.a, row.b) == pair)
    comparison = Comparison(*pair, rows, tuple(not_compared(run.replicates, *pair)), run)
    if as_json:
        click.echo(run.to_json())
    else:
        click.echo("\n".join([*_lines(reading, (a, b), readers, read_rate_per_s), "", str(comparison)]))
    return comparison


def _lines(reading: Reading, names: tuple[str, str], readers: int, read_rate_per_s: float | None) -> list[str]:
    """Return what was measured, the table of both writers, and what is to be known."""
    run = reading.run
    speed = "at full speed" if read_rate_per_s is None else f"at {read_rate_per_s:,.0f} reads/s"
    writer, *others = reading.cores
    cores = ", ".join(str(core) for core in dict.fromkeys(others))
    rows = [HEADS, *(_row(run, name) for name in names)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    return [
        f"{run.workload.name}, {run.workload.events:,} events; {len(run.replicates)} replicates; "
        f"writer on core {writer}, {readers} reader{'s' if readers > 1 else ''} {speed} on core {cores}",
        *(f"note: {note}" for note in reading.notes),
        "",
        *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
    ]


def _row(run: Run, name: str) -> tuple[str, ...]:
    """Return one writer: alone, with readers, the ratio of both with its interval, and what the readers got."""
    from workbench.measure.readers_job import BESIDE

    beside = name.split("/")[1] + BESIDE
    by_side = {(row.variant, row.metric, row.statistic): row for row in run.results if f"{row.kernel}/" in name}
    slowed = next(row for row in run.comparisons if (row.a, row.b, row.metric) == (name, name + BESIDE, "throughput"))
    torn, unchecked = (by_side[beside, counter, "sum"].value for counter in ("torn", "unchecked"))
    return (
        name,
        figure(by_side[name.split("/")[1], "service_time", "batch_mean"], interval=False),
        figure(by_side[beside, "service_time", "batch_mean"], interval=False),
        f"{slowed.ratio:.3f}",
        f"{slowed.low:.3f} .. {slowed.high:.3f}",
        figure(by_side.get((beside, "service_time", "p99"))),
        amount(by_side[beside, "reads_per_s", "median"].value, "operations/s"),
        f"{by_side[beside, 'read_retries', 'sum'].value:,.0f}",
        f"{torn:,.0f}" + (f" ({unchecked:,.0f} unchecked)" if unchecked else ""),
    )
