"""System calls by line, context switches, page faults, and what Linux and the hypervisor take from the core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands._measured import deliver_measured
from workbench.commands._profiling import profile_options, workload_options


@click.command("system")
@profile_options
@click.option("-m", "--module", "modules", multiple=True, help="Import name of your own kernel; repeatable.")
@click.option("--seconds", default=2.0, show_default=True, help="How long to run it with nobody tracing.")
@click.option("--trace-seconds", default=3.0, show_default=True, help="How long at most under strace.")
@click.option("--no-trace", is_flag=True, help="Leave strace out: it makes each system call a hundred times as long.")
def command(
    variant: str,
    out: Path | None,
    as_json: bool,
    modules: tuple[str, ...],
    seconds: float,
    trace_seconds: float,
    no_trace: bool,
    **data: Any,
) -> None:
    """System calls by line, context switches, page faults, and what Linux and the hypervisor take from the core."""
    from workbench.profile.system import profile_system
    from workbench.profile.users import know
    from workbench.report.system_words import system_outcome

    for module in modules:
        know(module)
    found = profile_system(
        variant,
        seconds=seconds,
        trace_seconds=trace_seconds,
        trace=not no_trace,
        keep=out,
        **workload_options(**data),
    )
    deliver_measured(found, lambda: system_outcome(found), out, as_json)
