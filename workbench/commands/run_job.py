"""Run one job of a batch alone, from its params.json: what every engine starts."""

from __future__ import annotations

import json
from pathlib import Path

import click

from workbench.errors import Exit


@click.command("run-job")
@click.argument("params", type=click.Path(path_type=Path))
def command(params: Path) -> int:
    """Run the job that PARAMS (a params.json) describes, into the folder that it lies in.

    Prints one JSON line for each cell that starts. Ends when the process that started it dies.
    """
    from workbench.batch.job import State, read_job
    from workbench.batch.runner import end_with_parent, run_job
    from workbench.report.html import write_report

    end_with_parent()
    job = read_job(params)

    def render(folder: Path, state: State) -> None:
        write_report(folder, state.model_dump(mode="json"), index="../../index.html" if job.batch else None)

    def told(cell: int, cells: int) -> None:
        click.echo(json.dumps({"cell": cell, "cells": cells}))

    state = run_job(job, params.parent.absolute(), render, told)
    if state.failure is not None:
        click.echo(f"workbench: {job.title or job.name}: {state.failure.sentence}", err=True)
    return Exit.FINE if state.status == "finished" else Exit.FAILED
