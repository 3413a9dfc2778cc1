"""Allocations and leaks by line, inside compiled code too, memory over time and page faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands._profiling import deliver, profile_options, workload_options


@click.command("memory")
@profile_options
@click.option("-m", "--module", "modules", multiple=True, help="Import name of your own kernel; repeatable.")
@click.option("--setup", default="", metavar="NAME", help="Of FILE.py:FUNCTION: what returns its arguments.")
@click.option("--seconds", default=2.0, show_default=True, help="How long to run it with no profiler in it.")
@click.option("--native", default="", metavar="TOOL", help="Also the whole process under heaptrack or massif.")
def command(
    variant: str,
    out: Path | None,
    as_json: bool,
    modules: tuple[str, ...],
    setup: str,
    seconds: float,
    native: str,
    **data: Any,
) -> None:
    """Allocations and leaks by line, inside compiled code too, memory over time and page faults.

    KERNEL/VARIANT may also be FILE.py:FUNCTION, a function of your own, compiled or not.
    """
    from workbench.profile.run import profile
    from workbench.profile.users import know

    for module in modules:
        know(module)
    options = workload_options(**data)
    found = profile(
        variant, kind="memory", setup=setup, modules=modules, seconds=seconds, native=native, keep=out, **options
    )
    deliver(found, out, as_json)
