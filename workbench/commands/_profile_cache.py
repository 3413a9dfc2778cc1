"""Instructions, cache misses, unused bytes, atomics and mispredictions by line, simulated by valgrind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands._profiling import deliver, profile_options, workload_options


@click.command("cache")
@profile_options
def command(variant: str, out: Path | None, as_json: bool, **data: Any) -> None:
    """Instructions, cache misses, unused bytes, atomics and mispredictions by line, simulated by valgrind."""
    from workbench.profile.run import profile

    deliver(profile(variant, kind="cache", keep=out, **workload_options(**data)), out, as_json)
