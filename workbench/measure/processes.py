"""The processes of a measurement as the driver sees them: started, listened to, killed, and how they died."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import Exit, InputError, WorkbenchError

QUIET_S = 10.0  # after so long without a word, say that it still works
_LAST_LINES = 6


class Child:
    """A fresh process that runs `module` of this package: JSON objects go in and come out, one a line."""

    def __init__(
        self,
        module: str,
        title: str,
        errors: Path,
        front: Sequence[str] | None = None,
        speaker: str = "",
        environment: Mapping[str, str | None] | None = None,
    ):
        """Start the process; what it writes to standard error goes to the file `errors`.

        With `front`, it imports kernels from these folders before any other: see `workbench.measure.fronted`. What it
        reports as an error begins with `speaker`. `environment` is laid over the variables of this process: see
        `overlaid`.
        """
        root = str(Path(__file__).resolve().parent.parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self.title = title
        self._speaker = f"{speaker}: " if speaker else ""
        self.doing = "start"  # what it said last
        self._errors = errors
        with errors.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", *_module_words(module, front)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=overlaid({"PYTHONPATH": path, **(environment or {})}),
                start_new_session=True,  # Ctrl-C reaches the driver alone, which then kills the whole group
            )
        assert self._process.stdout is not None
        self._rest = b""
        self.handle = self._process.stdout.fileno()
        self.pid = self._process.pid

    def send(self, text: str) -> None:
        """Send one JSON object. When the process died already, its end will say why."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(text.encode() + b"\n")
            self._process.stdin.flush()

    def read(self) -> list[dict[str, Any]] | None:
        """Return the messages that came; None at the end. Raises InputError or WorkbenchError that it reports."""
        data = os.read(self.handle, 65536)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        messages: list[dict[str, Any]] = [json.loads(line) for line in lines]
        for message in messages:
            self.doing = message.get("doing", self.doing)
            if "error" in message:
                kind = InputError if message["code"] == Exit.USAGE else WorkbenchError
                raise kind(self._speaker + message["error"])
        return messages

    def finish(self) -> None:
        """Wait for the end, which its closed pipe announced. Raises WorkbenchError when it was not a good one."""
        status = self._process.wait()
        self.close()
        if status != 0:
            raise WorkbenchError(f"{self.title} {_how(status)} at: {self.doing}{self._last_words()}")

    def kill(self) -> None:
        """Kill the process and all that it started. May be called from any thread: its pipes are left to the reader."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Wait for the process, which ends or was killed, and close its pipes."""
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _last_words(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LAST_LINES:]
        return ":\n  " + "\n  ".join(lines) if lines else ", without a word"


def overlaid(environment: Mapping[str, str | None]) -> dict[str, str]:
    """Return the variables of this process with `environment` over them; what is None there is taken away."""
    return {name: value for name, value in {**os.environ, **environment}.items() if value is not None}


def _module_words(module: str, front: Sequence[str] | None) -> list[str]:
    return [f"workbench.measure.{module}"] if front is None else ["workbench.measure.fronted", module, *front]


def _how(status: int) -> str:
    """Return how a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    how = f"was killed by signal {-status}"
    with contextlib.suppress(ValueError):
        how = f"was killed by {signal.Signals(-status).name}"
    return how + (" (by hand, or because memory ran out)" if status == -signal.SIGKILL else "")


class Crew:
    """All processes of one measurement. `cancel` may be called from another thread; the rest from one alone."""

    def __init__(self, note: Callable[[str], None]):
        self._note = note
        self._children: list[Child] = []  # all that may be alive
        self._started = 0
        self._cancelled = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        """Return whether `cancel` was called."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Kill all; `conversation` then raises KeyboardInterrupt."""
        self._cancelled.set()
        for child in list(self._children):
            child.kill()

    def start(
        self,
        module: str,
        title: str,
        folder: Path,
        front: Sequence[str] | None = None,
        speaker: str = "",
        environment: Mapping[str, str | None] | None = None,
    ) -> Child:
        """Start a process that runs `module`; it imports, then waits for its job. Its errors go into `folder`."""
        self._started += 1
        child = Child(module, title, folder / f"errors-{self._started}.txt", front, speaker, environment)
        self._children.append(child)
        if self.is_cancelled:  # while it was being started
            child.kill()
        return child

    def conversation(self, children: list[Child]) -> Iterator[tuple[Child, dict[str, Any]]]:
        """Yield what the children say until all have ended well. They leave the list; others may join it meanwhile.

        Sleeps between. Raises what went wrong in a child, and KeyboardInterrupt when all was cancelled.
        """
        last = time.monotonic()
        while children:
            heard = _hear(children)
            if self.is_cancelled:
                raise KeyboardInterrupt
            if not heard:
                doing = "; ".join(f"{child.title}: {child.doing}" for child in children)
                self._note(f"still at it, {time.monotonic() - last:.0f} s: {doing}")
                continue
            last = time.monotonic()
            for child, message in heard:
                if message is not None:
                    yield child, message
                else:
                    children.remove(child)
                    child.finish()
                    self._children.remove(child)

    def answers(self, children: Sequence[Child]) -> dict[Child, Any]:
        """Sleep until each of `children` has answered what it was asked; return the answers.

        Raises as `conversation`, and WorkbenchError when one ended instead.
        """
        waiting = list(children)
        found: dict[Child, Any] = {}
        for child, message in self.conversation(waiting):
            if "answer" in message:
                found[child] = message["answer"]
                waiting.remove(child)
        for child in children:
            if child not in found:
                raise WorkbenchError(f"{child.title} ended at: {child.doing}, before it answered")
        return found

    def dismiss(self) -> None:
        """Kill what is alive and wait until all has ended."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.close()


def _hear(children: Iterable[Child]) -> list[tuple[Child, dict[str, Any] | None]]:
    """Sleep until one of `children` says something; return who said what, nothing after a silence of `QUIET_S`.

    A child that closed its pipe comes with None: call its `finish`. Raises what a child reports as an error.
    """
    heard: list[tuple[Child, dict[str, Any] | None]] = []
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.handle, selectors.EVENT_READ, child)
        for key, _ in selector.select(QUIET_S):
            messages = key.data.read()
            heard += [(key.data, None)] if messages is None else [(key.data, message) for message in messages]
    return heard
