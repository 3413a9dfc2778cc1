"""How `workbench batch` runs what was asked for: the engine, the store, and the pages that follow its news."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.commands import _batch_progress
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.batch.engines import Engine
    from workbench.batch.folder import Batch
    from workbench.batch.job import Job, State
    from workbench.commands.batch import Asked
    from workbench.store import Store

_INDEX_SHARE = 0.05  # of a batch's time may go into bringing its index up to date


def run(asked: Asked, folder: Path, store: str | None, as_json: bool, shared_assets: bool = False) -> int:
    """Run the chosen jobs into `folder`, print what came of them, and return the exit code.

    With `shared_assets` the reports share one copy of plotly.js.
    """
    from workbench.batch.engines import open_engine
    from workbench.batch.folder import check_plan, locked, read_batch, sweep
    from workbench.batch.summary import summarize, write_summary

    engine = open_engine(asked.engine)
    with locked(folder):
        sweep(folder)
        opened, address = _open(store)
        jobs = [job.model_copy(update={"store": address}) for job in asked.chosen]
        earlier = read_batch(folder)
        check_plan(earlier, asked.file)
        estimated = _estimated(asked, folder)
        batch = asked.described(earlier, sum(estimated.values()) if len(estimated) == len(jobs) else None)
        keeper = Keeper(batch, folder, opened, _batch_progress.choose(len(jobs)))
        if shared_assets:
            from workbench.report.assets import share_assets

            share_assets(folder, folder.parent)
        ran = keeper.run(engine, asked, jobs)
        keeper.finish()
        summary = summarize(keeper.batch, folder, ran, keeper.troubles, estimated)
        write_summary(folder, summary)
    for sentence in (*keeper.troubles, *(f"budget missed: {each}" for each in summary.budgets_missed)):
        click.echo(f"workbench: {sentence}", err=True)
    click.echo(summary.model_dump_json(by_alias=True) if as_json else summary.index)
    return summary.exit_code


def _open(store: str | None) -> tuple[Store, str | None]:
    """Return the store, and its address for the jobs' processes; raise at once where it cannot be opened."""
    from workbench.store import open_store

    return open_store(store), str(Path(store).absolute()) if store and "://" not in store else store


def _estimated(asked: Asked, folder: Path) -> dict[str, float]:
    """Return what each job is expected to take, where that is known without measuring anything now."""
    from workbench.batch.estimate import estimate, known_starts, read_history

    key = asked.machine.hardware_key
    found = estimate(asked.chosen, read_history(folder.parent, key, folder), lambda: known_starts(key))
    return {
        f"{key}/{job.name}": each.seconds
        for job, each in zip(asked.chosen, found, strict=True)
        if each.seconds is not None
    }


def _stands(folder: Path, state: State) -> bool:
    """Return whether the job's folder tells what became of it this time."""
    from workbench.batch.job import read_state

    try:
        written = read_state(folder)
    except WorkbenchError:
        return False
    return written is not None and written.started == state.started


class Keeper:
    """The engine's listener: tells the screen, stores results, keeps the list of jobs and the index up to date."""

    def __init__(self, batch: Batch, folder: Path, store: Store, progress: _batch_progress.BatchProgress):
        self.batch = batch
        self.troubles: list[str] = []
        self._folder, self._store, self._progress = folder, store, progress
        self._index_due_s = 0.0
        self.started, self.cell, self.note = progress.started, progress.cell, progress.note

    def run(self, engine: Engine, asked: Asked, jobs: list[Job]) -> list[str]:
        """Run `jobs`; return their folders, relative to the batch's."""
        from workbench.batch.engines import Work
        from workbench.batch.folder import write_batch
        from workbench.report.html import write_report

        def render(job: Path, state: State) -> None:
            write_report(job, state.model_dump(mode="json"))

        batch_s = asked.plan.limits.batch_s
        ends_s = None if batch_s is None else time.monotonic() + batch_s
        write_batch(self._folder, self.batch)
        self._index()
        work = Work(jobs, self._folder, self.batch.machine.hardware_key, asked.engine.at_once, ends_s, batch_s)
        try:
            done = engine.run(work, self, render)
        finally:
            self._progress.close()
            self._index()
        return [self._relative(each.folder) for each in done]

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Keep the results of a finished job. What cannot be kept is told at the end and stops nothing."""
        from workbench.batch.folder import write_batch
        from workbench.batch.ingest import ingest

        if state.status == "finished":
            self._try(
                lambda: ingest(folder, self._store),
                f"{job.name}: its results stay in {folder} and are not in the store",
            )
        if state.failure is not None and not _stands(folder, state):  # nothing in the folder tells it
            self.troubles.append(f"{job.title or job.name}: {state.failure.sentence}")
        name, own = self._relative(folder), f"{self.batch.machine.hardware_key}/{job.name}"
        if name != own:  # it ran on another kind of machine: nothing waits for it here
            jobs = [each for each in self.batch.jobs if each != own or (self._folder / own).exists()]
            jobs += [name] if name not in jobs else []
            if jobs != self.batch.jobs:
                self.batch = self.batch.model_copy(update={"jobs": jobs})
                write_batch(self._folder, self.batch)
        elif name not in self.batch.jobs:
            self.batch = self.batch.model_copy(update={"jobs": [*self.batch.jobs, name]})
            write_batch(self._folder, self.batch)
        if time.monotonic() >= self._index_due_s or state.status != "finished":
            self._index()
        self._progress.ended(place, job, folder, state, again=again)

    def finish(self) -> None:
        """Compare the batch with the night before of its plan, and add it to the site over all nights."""
        from workbench.report.site import finish_batch

        budgets = self.batch.rules.chosen_budgets()
        self._try(lambda: finish_batch(self._folder, budgets), "the site of all nights was not brought up to date")

    def _index(self) -> None:
        """Write the index, and say when it is due again: it costs more with every job."""
        from workbench.report.index import write_index

        begun = time.monotonic()
        budgets = self.batch.rules.chosen_budgets()
        self._try(lambda: write_index(self._folder, budgets), "the index was not brought up to date")
        self._index_due_s = time.monotonic() + (time.monotonic() - begun) / _INDEX_SHARE

    def _try(self, do: Callable[[], object], what: str) -> None:
        try:
            do()
        except Exception as error:  # one odd file must not end the night, nor every resume of it
            reason = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            if (told := f"{what}: {reason[:500]}") not in self.troubles:
                self.troubles.append(told)

    def _relative(self, folder: Path) -> str:
        return str(folder.relative_to(self._folder))
