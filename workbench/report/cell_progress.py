"""Progress of a cell that takes long: a line below it that goes away, or lines in the job's log under a runner."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

LOG = "log.txt"


class InCell:
    """One line below the cell, rewritten as the work goes on and taken away at its end. Without Jupyter: nothing."""

    def __init__(self) -> None:
        self._handle: Any = None

    def note(self, text: str) -> None:
        """Show `text` until something else is told."""
        self._show(text)

    def advance(self, done: float, doing: str) -> None:
        """Show what is being done, and how much of the whole is."""
        self._show(f"{done:4.0%}  {doing}")

    def close(self) -> None:
        """Take the line away."""
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
            self._handle = None

    def _show(self, text: str) -> None:
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is None:  # type: ignore[no-untyped-call]
            return
        if self._handle is None:
            self._handle = display({"text/plain": text}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update({"text/plain": text}, raw=True)


class InLog:
    """Timestamped lines at the end of the job's log, where whoever waits for a batch looks."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._last = ""

    def note(self, text: str) -> None:
        """Write one line."""
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")

    def advance(self, done: float, doing: str) -> None:
        """Write one line when something else is done than before."""
        if doing != self._last:
            self._last = doing
            self.note(f"{done:.0%} {doing}")

    def close(self) -> None:
        """Do nothing: lines stay."""


def cell_progress(job_folder: Path | None) -> InCell | InLog:
    """Return where a cell tells how far it is: the log of the job, or the notebook itself without one.

    A runner gives a notebook the folder of one attempt, which lies in the job's folder with its log.
    """
    for folder in (job_folder, job_folder.parent) if job_folder is not None else ():
        if (folder / LOG).is_file():
            return InLog(folder / LOG)
    return InCell()
