"""A kernel's variants against every peer that can run here: the table that `workbench compare --peers` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from workbench.commands._measuring import amount, describe_run, make_request

if TYPE_CHECKING:
    from workbench.record import Run

_HEADS = ("variant", "peer", "ns an operation", "the peer's", "cost / peer's", "interval", "times as fast", "verdict")


def compare_with_peers(selector: str, as_json: bool, options: dict[str, Any]) -> None:
    """Measure `selector` (KERNEL or KERNEL/VARIANT) and the kernel's peers, interleaved; print how they stand.

    Raises InputError where no peer can run here.
    """
    from workbench.measure.driver import Measurement
    from workbench.measure.progress import choose_progress
    from workbench.measure.runs import build_run, peer_pairs

    request = make_request([selector], **options)
    request.peers = True
    report = Measurement(request, choose_progress()).run()
    run = build_run(report, peer_pairs(report.outcomes[0].chosen))
    if as_json:
        click.echo(run.to_json())
    else:
        click.echo("\n".join([*table_of(run), "", *describe_run(run, report)]))


def table_of(run: Run) -> list[str]:
    """Return the lines of a table: each variant against each peer, by the mean time of an operation."""
    cost = {f"{row.kernel}/{row.variant}": row.value for row in run.results if row.statistic == "batch_mean"}
    rows = [_HEADS]
    for row in run.comparisons:
        if row.metric == "throughput":
            ours, theirs = (amount(cost[name], "ns") for name in (row.b, row.a))
            interval = f"{row.low:.3f} .. {row.high:.3f}"
            rows.append(
                (row.b, row.a.split("/")[1], ours, theirs, f"{row.ratio:.3f}", interval, f"{1 / row.ratio:.3g}",
                 row.verdict.value)
            )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
