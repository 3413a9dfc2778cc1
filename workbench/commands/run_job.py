"""Run one job of a batch alone, from its params.json: what every engine starts."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click

from workbench.errors import Exit


@click.command("run-job")
@click.argument("params", type=click.Path(path_type=Path))
@click.option("--parent", type=int, help="The process that started this one and holds the folder: ends with it.")
def command(params: Path, parent: int | None) -> int:
    """Run the job that PARAMS (a params.json) describes, into the folder that it lies in.

    Prints one JSON line for each cell that starts. Ends when the process that started it dies.
    """
    from workbench.parent import end_with_parent

    end_with_parent(parent)
    from workbench.batch.folder import locked
    from workbench.batch.job import State, read_job
    from workbench.batch.runner import run_job
    from workbench.report.html import write_report

    job = read_job(params)

    def render(folder: Path, state: State) -> None:
        write_report(folder, state.model_dump(mode="json"), index="../../index.html" if job.batch else None)

    def told(cell: int, cells: int) -> None:
        click.echo(json.dumps({"cell": cell, "cells": cells}))

    folder = params.parent.absolute()
    with locked(folder) if parent is None else contextlib.nullcontext():
        state = run_job(job, folder, render, told)
    if state.failure is not None:
        click.echo(f"workbench: {job.title or job.name}: {state.failure.sentence}", err=True)
    return Exit.FINE if state.status == "finished" else Exit.FAILED
