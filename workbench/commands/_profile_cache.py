"""Instructions, cache misses, unused bytes, atomics and mispredictions by line, simulated by valgrind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands._against import against_option, deliver_against
from workbench.commands._profiling import deliver, profile_options, workload_options


@click.command("cache")
@profile_options
@against_option
def command(variant: str, out: Path | None, as_json: bool, against: str | None, **data: Any) -> None:
    """Instructions, cache misses, unused bytes, atomics and mispredictions by line, simulated by valgrind."""
    from workbench.profile.run import profile

    options = {"keep": out, **workload_options(**data)}
    if against is not None:
        deliver_against("cache", variant, against, out, as_json, **options)
    else:
        deliver(profile(variant, kind="cache", **options), out, as_json)
