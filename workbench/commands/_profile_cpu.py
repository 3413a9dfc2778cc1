"""Time by source line, sampled in the process: no root, no debugger, the machine code that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands._profiling import deliver, profile_options, workload_options


@click.command("cpu")
@profile_options
@click.option("--seconds", default=5.0, show_default=True, help="How long to run it.")
@click.option("--rate", default=1000.0, show_default=True, help="Samples a second and thread.")
@click.option("--clock", type=click.Choice(("wall", "cpu")), default="wall", show_default=True, help="What is sampled.")
def command(
    variant: str, out: Path | None, as_json: bool, seconds: float, rate: float, clock: str, **data: Any
) -> None:
    """Time by source line, sampled in the process: no root, no debugger, the machine code that ships."""
    from workbench.profile import formats
    from workbench.profile.run import profile

    if out is not None:
        formats.begin(out)  # before anything is compiled, so that a perf that records this command learns of it
    found = profile(variant, kind="cpu", seconds=seconds, rate_per_s=rate, clock=clock, **workload_options(**data))
    deliver(found, out, as_json)
