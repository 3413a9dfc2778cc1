"""The driver: starts one fresh process after the other, sleeps until each ends, and keeps what they report.

It never imports Numba, so that the first process starts at once; that process begins to import while the driver still
gets itself ready.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import Exit, InputError, WorkbenchError

_QUIET_S = 10.0  # after so long without a word from the process, say that it still works
_LAST_LINES = 6


class CancelledError(WorkbenchError):
    """The measurement was cancelled; nothing of it was kept."""


@dataclass
class Request:
    """What is to be measured, as `workbench.measure.job.Job` describes it. Raises InputError for what cannot be."""

    selectors: list[str]
    replicates: int
    seconds: float  # for each kernel, over all replicates
    modules: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    workload: str | None = None
    input_file: str | None = None
    description: Any = None  # a record.Workload, when the input file holds an array that was in memory
    parameters: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.selectors:
            raise InputError("there is nothing to measure: name a kernel, or at least one variant")
        if self.replicates < 1:
            raise InputError(f"{self.replicates} replicates cannot be measured: ask for 1 or more")
        if not 0 < self.seconds < 86_400:
            raise InputError(f"{self.seconds} s cannot be spent on measuring: give more than 0 and less than a day")


@dataclass
class Report:
    """What came back: one outcome per replicate, the machine, and what each phase of the first one cost."""

    outcomes: list[Any]
    machine: Any
    phases_s: dict[str, float]  # of the first process, in order, up to its first timed block
    first_block_after_s: float  # since the start of this program
    duration_s: float
    notes: list[str]


class Measurement:
    """One measurement under way. `run` blocks; `cancel` may be called from another thread."""

    def __init__(self, request: Request, progress: Any):
        self._request = request
        self._progress = progress
        self._cancelled = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._began = time.monotonic()
        self._phases: dict[str, float] = {}
        self._first_block: float | None = None

    def cancel(self) -> None:
        """Kill the process that measures and make `run` raise CancelledError. Nothing half-written stays."""
        self._cancelled.set()
        _kill(self._process)

    def run(self) -> Report:
        """Measure all replicates. Raises InputError, WorkbenchError, CancelledError; Ctrl-C kills the process."""
        from workbench.measure.timing_lock import timing_lock

        purpose = f"workbench {' '.join(self._request.selectors)}"
        try:
            with (
                tempfile.TemporaryDirectory(prefix="workbench-") as folder,
                timing_lock(purpose, self._progress.note, self._cancelled.is_set),
            ):
                self._start(Path(folder))  # importing takes longer than all that follows here
                return self._all_replicates(Path(folder))
        except KeyboardInterrupt:
            if self._cancelled.is_set():
                raise CancelledError("the measurement was cancelled; nothing of it was kept") from None
            raise
        finally:
            _kill(self._process)
            _close(self._process)
            self._progress.close()

    def _all_replicates(self, folder: Path) -> Report:
        from workbench.measure.machine import fingerprint

        machine = fingerprint(self._source_folder())
        outcomes: list[Any] = []
        for index in range(self._request.replicates):
            if self._process is None:
                self._start(folder)
            outcomes.append(self._one_replicate(index, folder, outcomes[0].shares if outcomes else {}))
        notes = list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
        notes += [
            f"{name} had other machine code in some replicates: if its source changed meanwhile, measure again"
            for name in changed_code([outcome.replicate.code_hash for outcome in outcomes])
        ]
        return Report(
            outcomes=outcomes,
            machine=machine,
            phases_s=self._phases,
            first_block_after_s=self._first_block or 0.0,
            duration_s=time.monotonic() - self._began,
            notes=notes,
        )

    def _start(self, folder: Path) -> None:
        """Start a process; it imports, then waits for its job."""
        root = str(Path(__file__).resolve().parent.parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with (folder / "errors.txt").open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "workbench.measure.replicate"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C reaches the driver alone, which then kills the whole group
            )
        if self._cancelled.is_set():  # cancelled while it was being started
            _kill(self._process)

    def _one_replicate(self, index: int, folder: Path, shares: dict[str, Any]) -> Any:
        """Send the job to the process that waits, listen until it ends, and return its outcome."""
        from workbench.measure.job import Job, Outcome

        process, request = self._process, self._request
        assert process is not None and process.stdin is not None
        outcome_file = folder / f"outcome-{index}.json"
        job = Job(
            selectors=request.selectors,
            modules=request.modules,
            paths=request.paths,
            workload=request.workload,
            input_file=request.input_file,
            description=request.description,
            parameters=request.parameters,
            replicate=index,
            seconds=request.seconds / request.replicates,
            shares=shares,
            outcome_file=str(outcome_file),
        )
        with contextlib.suppress(BrokenPipeError):  # it died already: its exit says why
            process.stdin.write(job.model_dump_json().encode())
            process.stdin.close()
        last = self._listen(process, index)
        status = process.wait()
        self._process = None
        if self._cancelled.is_set():
            raise KeyboardInterrupt
        if status != 0 or not outcome_file.is_file():
            raise _death(status, index, request.replicates, last, folder / "errors.txt")
        return Outcome.model_validate_json(outcome_file.read_bytes())

    def _listen(self, process: subprocess.Popen[bytes], index: int) -> str:
        """Follow what the process says until it closes its pipe; return what it did last. Raises what it reports."""
        doing, since, done = "start", time.monotonic(), 0.0
        for message in _messages(process):
            now = time.monotonic()
            if message is None:
                text = f"replicate {index + 1} of {self._request.replicates}: still at it, {now - since:.0f} s: {doing}"
                self._progress.note(text)
                continue
            if "error" in message:
                process.wait()
                raise (InputError if message["code"] == Exit.USAGE else WorkbenchError)(message["error"])
            if "done" in message and self._first_block is None:
                self._phases[message["done"]] = now - self._began - sum(self._phases.values())
            if "measuring" in message and self._first_block is None:
                self._phases["plan"] = now - self._began - sum(self._phases.values())
                self._first_block = _age_s()
            if "compiled" in message:
                continue
            if "block" in message:
                done = message["block"] / message["of"]
            new = message.get("doing") or ("measure" if "measuring" in message or "block" in message else doing)
            doing, since = new, (now if new != doing else since)
            text = f"replicate {index + 1} of {self._request.replicates}: {doing}"
            self._progress.advance((index + done) / self._request.replicates, text)
        return doing

    def _source_folder(self) -> Path | None:
        """Return a folder of the measured code, found without importing it; its git revision goes into the record."""
        name = (self._request.modules or ["kernels"])[0].split(".")[0]
        with contextlib.suppress(ImportError, ValueError):
            found = importlib.util.find_spec(name)
            if found is not None and found.origin:
                return Path(found.origin).resolve().parent
        return None


def changed_code(hashes: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the variants whose machine code was not the same in all processes."""
    names = dict.fromkeys(name for each in hashes for name in each)
    return [name for name in names if len({each.get(name) for each in hashes}) > 1]


def _messages(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """Yield what the process says, and None each time it was silent for `_QUIET_S`. Sleeps between."""
    assert process.stdout is not None
    handle, rest = process.stdout.fileno(), b""
    with selectors.DefaultSelector() as selector, process.stdout:
        selector.register(handle, selectors.EVENT_READ)
        while True:
            if not selector.select(_QUIET_S):
                yield None
                continue
            data = os.read(handle, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield json.loads(line)


def _death(status: int, index: int, of: int, doing: str, errors: Path) -> WorkbenchError:
    """Return one sentence on how a process ended, with the last that it wrote."""
    how = f"ended with status {status}"
    if status < 0:
        with contextlib.suppress(ValueError):
            how = f"was killed by {signal.Signals(-status).name}"
        if status == -signal.SIGKILL:
            how += " (by hand, or because memory ran out)"
    lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LAST_LINES:]
    words = ":\n  " + "\n  ".join(lines) if lines else ", without a word"
    return WorkbenchError(f"replicate {index + 1} of {of} {how} at: {doing}{words}")


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    """Kill the process and all that it started. May be called from any thread: its pipes are left to the reader."""
    if process is not None and process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _close(process: subprocess.Popen[bytes] | None) -> None:
    """Wait for a killed process and close its pipes."""
    if process is None:
        return
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _age_s() -> float:
    """Return how long this program has been running, from Linux's own note of its start; 0 where it has none."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
