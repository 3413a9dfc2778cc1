"""How a measurement tells a person what it is doing: a bar on a terminal, timestamped lines in a log, or nothing."""

from __future__ import annotations

import sys
import time
from typing import IO, Any, Protocol


class Progress(Protocol):
    """What the driver calls. It is called rarely: nothing may wake often while a kernel is timed."""

    def note(self, text: str) -> None:
        """Say something that stays on the screen."""

    def advance(self, done: float, doing: str) -> None:
        """Say what is being done now; `done` of the whole, 0 .. 1."""

    def close(self) -> None:
        """Take the bar off the screen."""


class Silent:
    """Says nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def advance(self, done: float, doing: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """One timestamped line for each new thing that is done: for logs."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last = ""

    def note(self, text: str) -> None:
        """Print one line."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=self._stream, flush=True)

    def advance(self, done: float, doing: str) -> None:
        """Print one line when something else is done than before."""
        if doing != self._last:
            self._last = doing
            self.note(doing)

    def close(self) -> None:
        """Do nothing: lines stay."""


class Bar:
    """A bar on a terminal, drawn only when told: a thread that redraws it would disturb what is timed."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._bar: Any = None
        self._task: Any = None

    def _opened(self) -> Any:
        """Return the bar, drawn from its first use on: importing rich must not delay the first process."""
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            columns = (BarColumn(30), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
            console = Console(file=self._stream)
            self._bar = RichProgress(*columns, console=console, auto_refresh=False, transient=True)
            self._task = self._bar.add_task("starting", total=1.0)
            self._bar.start()
        return self._bar

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._opened().console.print(text, markup=False, highlight=False)

    def advance(self, done: float, doing: str) -> None:
        """Draw the bar."""
        self._opened().update(self._task, completed=done, description=doing)
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.stop()


def choose_progress(stream: IO[str] | None = None) -> Progress:
    """Return a bar when `stream` (standard error) is a terminal, else plain lines."""
    stream = sys.stderr if stream is None else stream
    return Bar(stream) if stream.isatty() else Lines(stream)
