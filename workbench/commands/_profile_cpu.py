"""Time by source line, sampled in the process or by py-spy, scalene or perf in a child process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands._against import against_option, deliver_against
from workbench.commands._profiling import deliver, profile_options, workload_options


@click.command("cpu")
@profile_options
@click.option("--seconds", default=5.0, show_default=True, help="How long to run it.")
@click.option("--rate", type=float, help="Samples a second and thread: 1000, of py-spy 100; scalene has its own.")
@click.option("--clock", type=click.Choice(("wall", "cpu")), help="What the sampler samples: wall time, unless told.")
@click.option(
    "--with",
    "tool",
    type=click.Choice(("sampler", "py-spy", "scalene", "perf")),
    default="sampler",
    show_default=True,
    help="The tool; all but the sampler watch a child process.",
)
@against_option
def command(
    variant: str, out: Path | None, as_json: bool, seconds: float, tool: str, against: str | None, **options: Any
) -> None:
    """Time by source line: no root, no debugger, the machine code that ships.

    py-spy, scalene and perf watch a child process that runs the same; their own files go to --out too.
    """
    from workbench.errors import InputError
    from workbench.profile import formats
    from workbench.profile.cpu_tools import OWN, profile_with

    rate, clock = options.pop("rate"), options.pop("clock")
    if rate is not None and tool == "scalene":
        raise InputError("scalene takes its own 100 samples/s: leave --rate out")
    if clock is not None and tool != OWN:
        raise InputError(f"--clock is of the sampler, not of {tool}: leave it out")
    asked = {"rate_per_s": rate, "clock": clock}
    given = {name: value for name, value in asked.items() if value is not None}
    if against is not None:
        if tool != OWN:
            raise InputError(f"--against is of the sampler, not of {tool}: leave it out")
        deliver_against("cpu", variant, against, out, as_json, seconds=seconds, **given, **workload_options(**options))
        return
    if out is not None and tool == OWN:
        formats.begin(out)  # before anything is compiled, so that a perf that records this command learns of it
    found = profile_with(tool, variant, keep=out, seconds=seconds, **given, **workload_options(**options))
    if out is not None and tool != OWN:
        formats.write_all(found, out, tool=tool)
    deliver(found, out if tool == OWN else None, as_json)
