"""Compare two variants, git revisions or saved baselines; exit 3 if B is slower, 4 if unresolved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from workbench.commands._measuring import describe_run, make_request, measuring_options, plain_names
from workbench.commands._revisions import as_revisions, compare_revisions, exit_of
from workbench.errors import Exit, InputError
from workbench.record import Verdict

if TYPE_CHECKING:
    from workbench.measure.comparison import Comparison
    from workbench.record import Run

STATISTICS = {"throughput": "mean", "p50": "p50", "p99": "p99", "p999": "p999"}


@click.command("compare")
@click.argument("a")
@click.argument("b", required=False)
@click.option("--peers", is_flag=True, help="Compare A, a kernel or a variant, with every peer that can run here.")
@click.option(
    "-k",
    "--kernel",
    "kernels",
    multiple=True,
    metavar="KERNEL[/VARIANT]",
    help="The kernel, when A and B name only variants; of revisions, what is compared: repeatable. [all that changed]",
)
@click.option("--all", "everything", is_flag=True, help="Of revisions: time also what has the same machine code.")
@click.option(
    "--on",
    "statistics",
    multiple=True,
    type=click.Choice(list(STATISTICS)),
    help="What decides the exit code; repeatable. All by default.",
)
@click.option("--readers", type=click.IntRange(min=1), help="Measure with so many threads that read beside the writer.")
@click.option("--read-rate", metavar="N", type=float, help="Reads per second of each reader. [as fast as it goes]")
@measuring_options
def command(
    a: str,
    b: str | None,
    peers: bool,
    kernels: tuple[str, ...],
    everything: bool,
    statistics: tuple[str, ...],
    readers: int | None,
    read_rate: float | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Compare two variants, git revisions or saved baselines; exit 3 if B is slower, 4 if unresolved.

    A and B are KERNEL/VARIANT, or VARIANT with -k, or two git revisions, or both @NAME of a saved baseline. Of
    revisions ("." is the folder as it is now), variants whose machine code is the same are told and not timed; the
    others are timed in two processes that take turns. Baselines were measured at different times: their comparison is
    labelled so, and ENVIRONMENT INVALID (exit 5) when the machines differ. With --readers, B's writer is judged
    against A's while other threads read both, and what reading costs each is told. With --peers, A alone is named and
    stands beside other people's code for the same work: no verdict, exit 0.

    \b
    workbench compare order_book/baseline order_book/ladder
    workbench compare baseline ladder -k order_book --on p99
    workbench compare order_book/baseline order_book/lock_free --readers 1 --read-rate 1000000
    workbench compare signals/simd --peers -P indicator=rsi
    workbench compare main HEAD
    workbench compare v1.2 . -m mypackage.mykernel -k mykernel/fast
    workbench compare @monday @tuesday
    """
    a, *rest = plain_names([a] if b is None else [a, b])
    b, kernels = rest[0] if rest else None, tuple(plain_names(kernels))
    if peers:
        return _compare_peers(a, b, _only(kernels), readers, as_json, options)
    if b is None:
        raise InputError(f"{a} is compared with nothing: name a second variant, or give --peers")
    if read_rate is not None and readers is None:
        raise InputError("--read-rate is the rate of readers: give --readers too")
    if readers is not None and a.startswith("@"):
        raise InputError("saved baselines cannot be read beside: give two variants with --readers")
    if a.startswith("@") != b.startswith("@"):
        raise InputError(f"{a} and {b} cannot be compared: give two variants, or two baselines with @ before each")
    if a.startswith("@"):
        return _compare_baselines(a[1:], b[1:], statistics, as_json)
    asked, note = as_revisions(a, b, kernels, options["modules"])
    if asked is not None:
        if readers is not None:
            raise InputError("--readers is for two variants: revisions are compared without readers")
        judged, broken = compare_revisions(asked, kernels, everything, as_json, options)
        return exit_of(judged, [STATISTICS[name] for name in statistics or STATISTICS], broken)
    if note:
        click.echo(f"workbench: {note}", err=True)
    if everything:
        raise InputError("--all is for revisions: two variants are always timed")
    first, second = _full_name(a, _only(kernels)), _full_name(b, _only(kernels))
    _check_names(first, second)
    if readers is not None:
        from workbench.commands._beside import compare_beside

        return _exit_code(compare_beside(first, second, readers, read_rate, as_json, options), statistics)
    return _compare_variants(first, second, statistics, as_json, options)


def _compare_peers(
    a: str, b: str | None, kernel: str | None, readers: int | None, as_json: bool, options: dict[str, Any]
) -> int:
    from workbench.commands._peers import compare_with_peers

    if b is not None or readers is not None or a.startswith("@"):
        raise InputError("--peers takes one kernel or variant, and no readers or baselines: leave the rest away")
    compare_with_peers(a if kernel is None or "/" in a else f"{kernel}/{a}", as_json, options)
    return Exit.FINE


def _check_names(a: str, b: str) -> None:
    if a == b:
        raise InputError(f"{a} is compared with itself: name two variants")
    if a.split("/")[0] != b.split("/")[0]:
        raise InputError(f"{a} and {b} are of different kernels, which do different work: name variants of one")


def _only(kernels: tuple[str, ...]) -> str | None:
    """Return the one kernel that -k names beside variants. Raises InputError for more of them, or a variant."""
    if len(kernels) > 1 or any("/" in kernel for kernel in kernels):
        raise InputError(f"-k {' -k '.join(kernels)} is for revisions: beside variants, give one -k KERNEL")
    return kernels[0] if kernels else None


def _full_name(text: str, kernel: str | None) -> str:
    if "/" in text:
        return text
    if kernel is None:
        raise InputError(
            f"{text} names no kernel, and no git revision: write KERNEL/{text}, or give the kernel with -k"
        )
    return f"{kernel}/{text}"


def _compare_variants(a: str, b: str, statistics: tuple[str, ...], as_json: bool, options: dict[str, Any]) -> int:
    from workbench.measure.driver import Measurement
    from workbench.measure.progress import choose_progress

    report = Measurement(make_request([a, b], **options), choose_progress()).run()
    from workbench.measure.comparison import Comparison
    from workbench.measure.results import not_compared
    from workbench.measure.runs import build_run

    run = build_run(report, [(a, b)])
    comparison = Comparison(a, b, tuple(run.comparisons), tuple(not_compared(run.replicates, a, b)), run)
    if as_json:
        click.echo(run.to_json())
    else:
        click.echo(str(comparison))
        click.echo("\n".join(["", *describe_run(run, report)]))
    return _exit_code(comparison, statistics)


def _compare_baselines(a: str, b: str, statistics: tuple[str, ...], as_json: bool) -> int:
    from workbench.gate.baseline import compare_with_baseline
    from workbench.gate.differences import data_changes, no_code_change
    from workbench.measure.comparison import Comparison

    first, second = _baseline(a), _baseline(b)
    unchanged = no_code_change(first, second)
    reason = ""
    if first.machine.hardware_key != second.machine.hardware_key:
        reason = (
            f"{Verdict.ENVIRONMENT_INVALID}: @{a} was measured on hardware {first.machine.hardware_key}, @{b} on "
            f"{second.machine.hardware_key}; their times cannot be compared"
        )
    elif unchanged and data_changes(first, second):
        reason = f"{Verdict.ENVIRONMENT_INVALID}: @{a} and @{b} are of different data; their times cannot be compared"
    if reason:
        text = "\n".join([reason, *unchanged])
        click.echo(json.dumps(_document(a, b, [], unchanged, reason)) if as_json else text)
        return Exit.INVALID
    rows = compare_with_baseline(second, first, a, tuple(STATISTICS))
    if not rows:
        raise InputError(f"@{a} and @{b} share no variant: nothing can be compared")
    notes = ("measured at different times, not side by side",)
    comparison = Comparison(f"@{a}", f"@{b}", tuple(rows), notes)
    if as_json:
        click.echo(json.dumps(_document(a, b, [row.model_dump(mode="json") for row in rows], unchanged)))
    else:
        click.echo("\n".join([_by_variant(comparison), *([""] if unchanged else []), *unchanged]))
    return _exit_code(comparison, statistics)


def _baseline(name: str) -> Run:
    from workbench.record import Run
    from workbench.store import open_store

    store = open_store()
    found = store.baseline(name)
    if not isinstance(found, Run):
        there = ", ".join(sorted({f"@{each.name}" for each in store.baselines()})) or "none yet"
        raise InputError(f"there is no baseline @{name}: there are {there}; `workbench run --save-baseline` saves one")
    return found


def _by_variant(comparison: Comparison) -> str:
    """Return one table for each variant that both baselines hold."""
    from dataclasses import replace

    tables = []
    for variant in dict.fromkeys(row.b for row in comparison.rows):
        rows = tuple(row for row in comparison.rows if row.b == variant)
        tables.append(str(replace(comparison, a=rows[0].a, b=f"{variant}{comparison.b}", rows=rows)))
    return "\n\n".join(tables)


def _document(a: str, b: str, rows: list[dict[str, Any]], unchanged: list[str], invalid: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"schema": "workbench/comparison/1", "a": f"@{a}", "b": f"@{b}", "comparisons": rows}
    made["no_code_change"] = unchanged
    return {**made, "verdict": Verdict.ENVIRONMENT_INVALID, "reason": invalid} if invalid else made


def _exit_code(comparison: Comparison, statistics: tuple[str, ...]) -> int:
    """Return the exit code of the rows that decide."""
    from workbench.gate.outcome import Outcome, worst_verdict

    wanted = {STATISTICS[name] for name in statistics or STATISTICS}
    deciding = [row for row in comparison.rows if row.statistic in wanted]
    if not deciding:
        return Exit.UNRESOLVED
    return Outcome(headline="", verdict=worst_verdict(deciding)).exit_code
