"""How a batch tells how far it is: a bar over jobs and one over cells on a terminal, timestamped lines in a log."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any, Protocol

from workbench.batch.job import Job, State
from workbench.figures.text import plain


class BatchProgress(Protocol):
    """A listener of the engine that also says things and is closed."""

    def started(self, place: int, job: Job) -> None:
        """Tell that a job begins."""

    def cell(self, place: int, job: Job, cell: int, cells: int) -> None:
        """Tell that a job is at a cell."""

    def note(self, text: str) -> None:
        """Tell what is no job's own."""

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Tell that a job is over."""

    def close(self) -> None:
        """Take what moves off the screen."""


def said(job: Job, state: State, *, again: bool) -> str:
    """Return what became of a job, as one line."""
    name = describe(job)
    if not again:
        return f"{name}: was finished before, not repeated"
    if state.failure is not None:
        return f"{name}: failed after {state.duration_s:.0f} s: {plain(state.failure.sentence, 300)}"
    return f"{name}: finished in {state.duration_s:.0f} s"


def describe(job: Job) -> str:
    """Return the name of a job with the parameters that tell it from others."""
    kernel = job.parameters.get("kernel")
    return plain(job.title or job.name, 60) + (f" {plain(kernel, 40)}" if kernel else "")


class Lines:
    """One line with the time in UTC for each job and cell."""

    def __init__(self, total: int):
        self._total = total

    def started(self, place: int, job: Job) -> None:
        """Print a line."""
        self._print(place, f"{describe(job)}: begun")

    def cell(self, place: int, job: Job, cell: int, cells: int) -> None:
        """Print a line."""
        self._print(place, f"{describe(job)}: cell {cell} of {cells}")

    def note(self, text: str) -> None:
        """Print a line."""
        self._print_line(plain(text, 300))

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Print a line."""
        self._print(place, said(job, state, again=again))

    def close(self) -> None:
        """Do nothing: lines stay."""

    def _print(self, place: int, text: str) -> None:
        self._print_line(f"[{place + 1}/{self._total}] {text}")

    def _print_line(self, text: str) -> None:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        print(f"{now} {text}", file=sys.stderr, flush=True)


class Bars:
    """Two bars, drawn only when something happened: nothing may wake often while a job measures."""

    def __init__(self, total: int):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns: tuple[Any, ...] = (
            TextColumn("{task.fields[what]:>5}"),
            BarColumn(32),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._bars = Progress(*columns, console=Console(stderr=True, highlight=False), auto_refresh=False)
        self._jobs = self._bars.add_task("", total=total, what="jobs")
        self._cells = self._bars.add_task("", total=None, what="cells")
        self._ended = 0
        self._bars.start()

    def started(self, place: int, job: Job) -> None:
        """Draw the bars."""
        self._bars.update(self._jobs, description=describe(job))
        self._bars.update(self._cells, completed=0, total=None)
        self._bars.refresh()

    def cell(self, place: int, job: Job, cell: int, cells: int) -> None:
        """Draw the bars."""
        self._bars.update(self._cells, completed=cell - 1, total=cells)
        self._bars.refresh()

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(plain(text, 300), markup=False)

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Print a line above the bars."""
        self._ended += 1
        self._bars.update(self._jobs, completed=self._ended)
        self._bars.console.print(said(job, state, again=again), markup=False)
        self._bars.refresh()

    def close(self) -> None:
        """Take the bars off the screen."""
        self._bars.stop()


def choose(total: int) -> BatchProgress:
    """Return bars when standard error is a terminal, else lines."""
    return Bars(total) if sys.stderr.isatty() else Lines(total)
