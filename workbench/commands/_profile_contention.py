"""What threads cost each other: throughput by number of threads, locks, retries and shared cache lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands._measured import deliver_measured
from workbench.commands._profiling import profile_options, workload_options


@click.command("contention")
@profile_options
@click.option("-m", "--module", "modules", multiple=True, help="Import name of your own kernel; repeatable.")
@click.option("--threads", multiple=True, type=int, help="A number of threads; 1 and each up to the cores by default.")
@click.option("--seconds", default=6.0, show_default=True, help="How long to measure each number of threads.")
@click.option("--replicates", default=6, show_default=True, help="Fresh processes for each number of threads.")
@click.option("--no-trace", is_flag=True, help="Leave strace out: locks are then known by their switches only.")
def command(
    variant: str,
    out: Path | None,
    as_json: bool,
    modules: tuple[str, ...],
    threads: tuple[int, ...],
    seconds: float,
    replicates: int,
    no_trace: bool,
    **data: Any,
) -> None:
    """What threads cost each other: throughput by number of threads, locks, retries and shared cache lines.

    KERNEL alone takes every variant; KERNEL/VARIANT the variant, its parent and its children.
    """
    from workbench.profile.contention import profile_contention
    from workbench.profile.users import know
    from workbench.report.contention_words import contention_outcome

    for module in modules:
        know(module)
    found = profile_contention(
        variant,
        threads=threads,
        seconds=seconds,
        replicates=replicates,
        trace=not no_trace,
        **workload_options(**data),
    )
    deliver_measured(found, lambda: contention_outcome(found), out, as_json)
