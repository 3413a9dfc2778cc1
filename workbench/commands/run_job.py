"""Run one job of a batch alone, from its params.json: what every engine starts."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.errors import Exit

if TYPE_CHECKING:
    from workbench.store import Store


@click.command("run-job")
@click.argument("params", type=click.Path(path_type=Path))
@click.option("--parent", type=int, help="The process that started this one and holds the folder: ends with it.")
@click.option("--store", metavar="URL", help="Also keep the results here: an SQLite file or a database URL.")
def command(params: Path, parent: int | None, store: str | None) -> int:
    """Run the job that PARAMS (a params.json) describes, into the folder that it lies in.

    Needs no engine, no plan and no network: a job of a night can be done again by hand. Prints one JSON line for each
    cell that starts. Waits for other jobs on this host where either of them times something. Ends when the process that
    started it dies. Without --store the results stay in the folder.
    """
    from workbench.parent import end_with_parent

    end_with_parent(parent)
    from workbench.batch.folder import locked
    from workbench.batch.job import State, read_job
    from workbench.batch.runner import run_job
    from workbench.batch.turn import host_turn
    from workbench.gate.outcome import exit_of, read_outcome
    from workbench.report.html import write_report

    job = read_job(params)
    opened = _open(store)  # before the job: a wrong address is told at once

    def render(folder: Path, state: State) -> None:
        write_report(folder, state.model_dump(mode="json"), index="../../index.html" if job.batch else None)

    def told(cell: int, cells: int) -> None:
        click.echo(json.dumps({"cell": cell, "cells": cells}))

    folder = params.parent.absolute()
    with contextlib.ExitStack() as stack:
        if parent is None:  # an engine holds both for the jobs that it starts
            stack.enter_context(locked(folder))
            stack.enter_context(host_turn(job.times, lambda text: click.echo(f"workbench: {text}", err=True)))
        state = run_job(job, folder, render, told)
    if state.failure is not None:
        click.echo(f"workbench: {job.title or job.name}: {state.failure.sentence}", err=True)
    if state.status != "finished":
        return Exit.FAILED
    if opened is not None:
        from workbench.batch.ingest import ingest

        ingest(folder, opened)
    return exit_of([read_outcome(folder)], failed=False)


def _open(store: str | None) -> Store | None:
    """Return the store that was named, if one was."""
    if store is None:
        return None
    from workbench.store import open_store

    return open_store(store)
