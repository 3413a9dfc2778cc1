"""Run a plan of notebooks to reports, resume what is done, write the index."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import Exit, WorkbenchError

if TYPE_CHECKING:
    from workbench.batch.folder import Batch
    from workbench.batch.job import Job, State
    from workbench.batch.plan import Plan


@click.command("batch")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--batch", "name", help="Name of the batch; running it again resumes it. [plan and date]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/out"), show_default=True)
@click.option("--store", help="Where results are kept: an SQLite file or a database URL. [data folder]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, instead of the index's path.")
def command(plan: Path, name: str | None, out: Path, store: str | None, as_json: bool) -> int:
    """Run the notebooks of PLAN (TOML, or `quick`), one after the other, and write an index of their reports.

    A batch is a plan and a date: run it again on the same day and only what is missing, failed or changed is done. A
    failing job never stops the others. The last line is the path of the index.
    """
    from workbench.batch.folder import batch_name, check_name, jobs_of, locked, read_batch
    from workbench.batch.plan import find_plan, read_plan
    from workbench.measure.machine import fingerprint

    plan = find_plan(plan)
    read = read_plan(plan)
    machine = fingerprint(Path.cwd())
    chosen = check_name(name or batch_name(plan, datetime.datetime.now(datetime.UTC).date()))
    folder = (out / chosen).absolute()
    with locked(folder):
        jobs = jobs_of(read, plan.absolute(), chosen, machine, _checked_store(store))
        batch = _described(read, plan, chosen, machine, jobs, read_batch(folder))
        states, code = _run(batch, jobs, folder, store)
    if as_json:
        _print_json(batch, states, folder, code)
    else:
        click.echo(str(folder / "index.html"))
    return code


def _checked_store(store: str | None) -> str | None:
    """Return `store` for the jobs' processes, a path made absolute; raise at once where it cannot be opened."""
    from workbench.store import open_store

    open_store(store)
    return str(Path(store).absolute()) if store and "://" not in store else store


def _described(plan: Plan, path: Path, name: str, machine: Any, jobs: list[Job], earlier: Batch | None) -> Batch:
    from workbench.batch.folder import Batch, merged_jobs

    return Batch(
        name=name,
        title=plan.title,
        plan=str(path.absolute()),
        created=earlier.created if earlier else datetime.datetime.now(datetime.UTC),
        machine=machine,
        jobs=merged_jobs(earlier, machine.hardware_key, jobs),
    )


def _run(batch: Batch, jobs: list[Job], folder: Path, store: str | None) -> tuple[list[State], Exit]:
    """Run the jobs, keep results, and bring the index up to date after each job; return states and exit code."""
    from workbench.batch.folder import write_batch
    from workbench.batch.local import run_jobs
    from workbench.commands import _batch_progress
    from workbench.gate.budgets import read_budgets
    from workbench.gate.outcome import exit_of
    from workbench.report.html import write_report
    from workbench.report.index import write_index
    from workbench.report.job import read_job_view

    budgets = read_budgets()
    write_batch(folder, batch)
    write_index(folder, budgets)
    progress = _batch_progress.choose(len(jobs))
    keeper = _Keeper(progress, store, lambda: write_index(folder, budgets))
    own = folder / batch.machine.hardware_key
    try:
        states = run_jobs(
            jobs, own, keeper, lambda job, state: _ignore(write_report(job, state.model_dump(mode="json")))
        )
    finally:
        progress.close()
    for sentence in keeper.troubles:
        click.echo(f"workbench: {sentence}", err=True)
    failed = bool(keeper.troubles) or any(state.status != "finished" for state in states)
    outcomes = [
        read_job_view(own / job.name).outcome
        for job, state in zip(jobs, states, strict=True)
        if state.status == "finished"
    ]
    return states, exit_of(outcomes, failed)


class _Keeper:
    """Passes the engine's news on to the screen; stores results and rewrites the index as each job ends."""

    def __init__(self, progress: Any, store: str | None, write_index: Any):
        self._progress = progress
        self._store = store
        self._write_index = write_index
        self.troubles: list[str] = []
        self.started = progress.started
        self.cell = progress.cell

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Keep the results of a finished job. What cannot be kept is told at the end and stops nothing."""
        from workbench.batch.ingest import ingest
        from workbench.store import open_store

        if state.status == "finished":
            try:
                ingest(folder, open_store(self._store))
            except WorkbenchError as error:
                self.troubles.append(f"{job.name}: its results stay in {folder} and are not in the store: {error}")
        self._write_index()
        self._progress.ended(place, job, folder, state, again=again)


def _ignore(_written: Path) -> None:
    """A report was written; its path is known."""


def _print_json(batch: Batch, states: list[State], folder: Path, code: Exit) -> None:
    import json

    own = [name for name in batch.jobs if name.startswith(f"{batch.machine.hardware_key}/")]
    results = []
    for name, state in zip(own, states, strict=True):
        outcome = folder / name / "outcome.json"
        results.append(
            {
                "job": name,
                "status": state.status,
                "duration_s": state.duration_s,
                "failure": state.failure.model_dump() if state.failure else None,
                "outcome": json.loads(outcome.read_bytes()) if outcome.is_file() else None,
            }
        )
    told = {
        "schema": "workbench/batch-summary/1",
        "machine": batch.machine.model_dump(mode="json"),
        "batch": batch.name,
        "index": str(folder / "index.html"),
        "exit_code": int(code),
        "results": results,
    }
    click.echo(json.dumps(told))
