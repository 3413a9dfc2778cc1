"""The driver: starts one fresh process after the other, sleeps until each ends, and keeps what they report.

It never imports Numba, so that the first process starts at once; that process begins to import while the driver still
gets itself ready.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import InputError, WorkbenchError
from workbench.measure.processes import Child, Crew

Found = TypeVar("Found")


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
    parameters: dict[str, int | str] = field(default_factory=dict)
    peers: bool = False  # whether every peer of the kernels that can run here is measured as well
    shards: int = 1  # above 1, each variant is measured on so many states, one after the other and all at once
    memory: bool = False  # whether the memory of each variant is looked at as well, in a process of its own
    notes: list[str] = field(default_factory=list)  # what is known already; the report tells it too

    def __post_init__(self) -> None:
        if not self.selectors:
            raise InputError("there is nothing to measure: name a kernel, or at least one variant")
        if self.replicates < 1:
            raise InputError(f"{self.replicates} replicates cannot be measured: ask for 1 or more")
        if self.shards < 1:
            raise InputError(f"{self.shards} shards cannot be measured: ask for 1 or more")
        if not 0 < self.seconds < 86_400:
            raise InputError(f"{self.seconds} s cannot be spent on measuring: give more than 0 and less than a day")

    def setting(self, **changes: Any) -> dict[str, Any]:
        """Return the fields of a `workbench.measure.job.Setting`, with `changes`."""
        names = ("selectors", "modules", "paths", "workload", "input_file", "description", "parameters", "peers")
        return {**{name: getattr(self, name) for name in (*names, "shards")}, **changes}


@dataclass
class Report:
    """What came back: one outcome per replicate, the machine, and what each phase of the first one cost."""

    outcomes: list[Any]
    machine: Any
    phases_s: dict[str, float]  # of the first process, in order, up to its first timed block
    first_block_after_s: float  # since the start of this program
    duration_s: float
    notes: list[str]
    memory: dict[str, Any]  # a workbench.measure.job.Memory by kernel/variant; empty when not asked for
    other_load_cores: float | None = None  # what other programs kept busy while blocks were timed; None: not known


@dataclass(frozen=True)
class Task:
    """What a helper process is asked to do with one variant, and from which folders it imports kernels first."""

    name: str  # kernel/variant
    fields: dict[str, Any]  # of a workbench.measure.job.Errand
    front: tuple[str, ...] | None = None  # None: it starts as every process of a measurement does
    speaker: str = ""  # the arm for which it works
    environment: tuple[tuple[str, str | None], ...] = ()  # that arm's variables


class Measurement:
    """One measurement under way. `run` blocks; `cancel` may be called from another thread."""

    def __init__(self, request: Request, progress: Any):
        self._request = request
        self._progress = progress
        self._crew = Crew(progress.note)
        self._held = contextlib.ExitStack()  # the host's timing lock, once the first process has its input
        self._locked = False
        self._began = time.monotonic()
        self._phases: dict[str, float] = {}
        self._first_block: float | None = None

    def cancel(self) -> None:
        """Kill the processes that measure and make `run` raise CancelledError. Nothing half-written stays."""
        self._crew.cancel()

    def run(self) -> Report:
        """Measure all replicates. Raises InputError, WorkbenchError, CancelledError; Ctrl-C kills the processes."""
        return self._guarded(self._measure)

    def _guarded(self, work: Callable[[Path], Found]) -> Found:
        """Do `work` with a folder for scratch; whatever happens, no process and no file of it stays."""
        try:
            with tempfile.TemporaryDirectory(prefix="workbench-") as folder, self._held:
                try:
                    return work(Path(folder))
                finally:
                    self._crew.dismiss()
        except KeyboardInterrupt:
            if self._crew.is_cancelled:
                raise CancelledError("the measurement was cancelled; nothing of it was kept") from None
            raise
        finally:
            self._progress.close()

    def _measure(self, folder: Path) -> Report:
        request = self._request
        child = self._crew.start(
            "replicate", self._title(0), folder
        )  # its imports take longer than all that follows here
        from workbench.measure.machine import fingerprint

        machine = fingerprint(self._source_folder())
        outcomes: list[Any] = []
        for index in range(request.replicates):
            if index:
                child = self._crew.start("replicate", self._title(index), folder)
            outcomes.append(self._one_replicate(child, index, folder, outcomes[0].shares if outcomes else {}))
        memory = self._memory(outcomes[0], folder) if request.memory else {}
        notes = list(dict.fromkeys([*request.notes, *(note for outcome in outcomes for note in outcome.notes)]))
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
            memory=memory,
        )

    def _title(self, index: int) -> str:
        return f"replicate {index + 1} of {self._request.replicates}"

    def _one_replicate(self, child: Child, index: int, folder: Path, shares: dict[str, Any]) -> Any:
        """Send the job to the process that waits, listen and answer until it ends, and return its outcome."""
        from workbench.measure.job import Job, Outcome

        request = self._request
        outcome_file = folder / f"outcome-{index}.json"
        job = Job(
            **request.setting(),
            replicate=index,
            seconds=request.seconds / request.replicates,
            shares=shares,
            outcome_file=str(outcome_file),
        )
        child.send(job.model_dump_json())
        done = 0.0
        for _, message in self._crew.conversation([child]):
            self._note_phase(message)
            if message.get("asks") == "lock":
                self._lock()
                child.send("{}")
            elif message.get("asks") == "compile":
                took = [] if index else self._compile(message["builds"], message["parameters"], folder)
                child.send(json.dumps({"seconds": took}))
            elif "block" in message:
                done = message["block"] / message["of"]
            if child.doing != "start":
                self._progress.advance((index + done) / request.replicates, f"{child.title}: {child.doing}")
        return Outcome.model_validate_json(outcome_file.read_bytes())

    def _note_phase(self, message: Mapping[str, Any]) -> None:
        """Remember how long each phase took, until the first block is timed."""
        if "done" in message:
            self._end_phase(message["done"])
        if "measuring" in message and self._first_block is None:
            self._begin_blocks()

    def _begin_blocks(self) -> None:
        """Remember when the first block was timed."""
        self._end_phase("plan")
        if self._first_block is None:
            self._first_block = _age_s()

    def _end_phase(self, name: str) -> None:
        if self._first_block is None:
            self._phases[name] = time.monotonic() - self._began - sum(self._phases.values())

    def _lock(self) -> None:
        """Take the host's timing lock, unless this measurement holds it already."""
        if self._locked:
            return
        from workbench.measure.timing_lock import timing_lock

        def wait(text: str) -> None:
            self._progress.note(text)
            waits.append(text)

        waits: list[str] = []
        purpose = f"workbench {' '.join(self._request.selectors)}"
        self._held.enter_context(timing_lock(purpose, wait, lambda: self._crew.is_cancelled))
        self._locked = True
        if waits:
            self._end_phase("wait for another")

    def _compile(self, builds: Sequence[Any], parameters: Mapping[str, dict[str, int]], folder: Path) -> list[Any]:
        """Compile what the cache lacks, by as many processes as there are cores; return by variant how long it took.

        With one core or one build, a process more would gain nothing: the replicate compiles it itself.
        """
        if min(len(os.sched_getaffinity(0)), len(builds)) < 2:
            return []
        tasks = [
            Task(name, {"parameters": parameters[name.split("/")[0]], "instrumented": instrumented})
            for name, instrumented in builds
        ]
        took = [(task.name, seconds) for task, seconds in self._errands("compiling", tasks, folder, done=0.0)]
        self._end_phase("compile")
        return took

    def _memory(self, first: Any, folder: Path) -> dict[str, Any]:
        """Return how much memory each variant takes, alone in a process."""
        from workbench.measure.job import Memory

        tasks = [Task(chosen.name, {"parameters": first.parameters[chosen.kernel]}) for chosen in first.chosen]
        found = self._errands("memory", tasks, folder, done=1.0)
        return {task.name: Memory.model_validate(result) for task, result in found}

    def _errands(self, module: str, tasks: Sequence[Task], folder: Path, done: float) -> list[tuple[Task, Any]]:
        """Run a helper for each task, as many at once as there are cores; return their results as they come."""
        from workbench.measure.job import Errand

        waiting = list(tasks)
        running: list[Child] = []
        given: dict[Child, Task] = {}
        found: list[tuple[Task, Any]] = []

        def send_next() -> None:
            task = waiting.pop(0)
            errand = Errand(**self._request.setting(selectors=[task.name], peers=False, **task.fields))
            probe = " with a probe" if errand.instrumented else ""
            where = f" of {task.speaker}" if task.speaker else ""
            title = f"{module} {len(tasks) - len(waiting)} of {len(tasks)}: {task.name}{where}{probe}"
            child = self._crew.start(module, title, folder, task.front, task.speaker, dict(task.environment))
            given[child] = task
            running.append(child)
            child.send(errand.model_dump_json())
            self._progress.advance(done, title)

        for _ in range(min(len(os.sched_getaffinity(0)), len(tasks))):
            send_next()
        for child, message in self._crew.conversation(running):
            if "result" in message:
                found.append((given[child], message["result"]))
                if waiting:
                    send_next()
        return found

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


def _age_s() -> float:
    """Return how long this program has been running, from Linux's own note of its start; 0 where it has none."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
