"""Multiply an hour of market data into many symbols, and write it as a recording and as ITCH 5.0.

Run it as ``python -m workbench.workloads.multiply HOUR --symbols 64 --recording out.npy --itch out.itch``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.errors import InputError, WorkbenchError
from workbench.workloads import parse, write_itch, write_recording
from workbench.workloads.replicas import multiply


@click.command()
@click.argument("hour")
@click.option("--symbols", default=64, show_default=True, help="How many copies of each symbol, the first included.")
@click.option("--seed", default=1, show_default=True, help="Decides the shifts.")
@click.option("--recording", type=click.Path(path_type=Path), help="Write a recording (.npy) here.")
@click.option("--itch", type=click.Path(path_type=Path), help="Write ITCH 5.0 here.")
def command(hour: str, symbols: int, seed: int, recording: Path | None, itch: Path | None) -> None:
    """Multiply HOUR (a file, or the name of a workload) into many symbols."""
    if recording is None and itch is None:
        raise InputError("nothing to write: give --recording FILE, --itch FILE, or both")
    loaded = parse(hour)
    events = multiply(loaded.events, symbols, seed=seed)
    if recording is not None:
        write_recording(recording, events)
        click.echo(f"{recording}: {events.size:,} events, {symbols * loaded.symbols:,} symbols")
    if itch is not None:
        write_itch(itch, events, tick_sizes=loaded.tick_sizes * symbols)
        click.echo(f"{itch}: {events.size:,} events, {symbols * loaded.symbols:,} symbols")


if __name__ == "__main__":
    try:
        command(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except WorkbenchError as error:
        click.echo(f"multiply: {error}", err=True)
        sys.exit(int(error.exit_code))
