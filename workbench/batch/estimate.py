"""How long a batch will take: from what such jobs took in earlier batches on the same kind of machine, else reckoned.

Each job's figure says where it comes from. From the best source to the weakest:

- ``same job``: the median of the newest five times that notebook and parameters were finished.
- ``same notebook``: what it asked for in seconds of measuring, and on top the median of what such jobs took beyond it.
- ``plan``: what the plan says it took where it was written (``takes_s``).
- ``reckoned``: what it asks for in seconds, one start of a notebook, and one of a measuring process for each replicate.
  The starts are measured here, as processor time: a machine that is busy now will not be at night. What is not compiled
  yet comes on top, and what a notebook does for each of several variants, which nobody can tell beforehand.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from workbench.batch.job import PARAMS, STATE, Job, write_job
from workbench.batch.parameters import NotebookParameter, check_parameters, declared_parameters, read_notebook
from workbench.errors import InputError, WorkbenchError
from workbench.files import cache_folder, write_text

NEWEST_BATCHES = 30  # what a job took longer ago says little about today's code
_NEWEST_TIMES = 5
_SECONDS = ("s", "seconds")
_SMALL = ("order_book/baseline", "--seconds", "0.1", "--no-save")
Source = Literal["same job", "same notebook", "plan", "reckoned", "unknown", "cannot run"]


@dataclass(frozen=True)
class Estimate:
    """What one job is expected to take, and how that is known. `problem` says why a job will fail at once."""

    seconds: float | None
    source: Source
    problem: str = ""


@dataclass(frozen=True)
class _Past:
    """A finished job: how long its last try took, and what it asked for in seconds."""

    took_s: float
    asked_s: float
    kernel: str
    ended: float


@dataclass
class History:
    """What earlier jobs took, by their names and by their notebooks."""

    jobs: dict[str, list[_Past]] = field(default_factory=dict)
    notebooks: dict[str, list[_Past]] = field(default_factory=dict)


@dataclass(frozen=True)
class Starts:
    """What has to be paid before anything is measured, in seconds, on this machine."""

    notebook_s: float
    process_s: float


class Notebooks:
    """What notebooks declare, each read once: a plan may have many jobs of one."""

    def __init__(self) -> None:
        self._declared: dict[str, list[NotebookParameter] | InputError] = {}

    def declared(self, file: str) -> list[NotebookParameter]:
        """Return the parameters of the notebook `file`. Raises InputError where it cannot be read."""
        if file not in self._declared:
            try:
                self._declared[file] = declared_parameters(read_notebook(Path(file)), Path(file).name)
            except InputError as error:
                self._declared[file] = error
        found = self._declared[file]
        if isinstance(found, InputError):
            raise found
        return found


def asked_of(job: Job, notebooks: Notebooks) -> tuple[float, int, str]:
    """Return what `job` asks for: seconds of work, replicates, and why it cannot run (empty: it can)."""
    try:
        declared = notebooks.declared(job.notebook)
        values = check_parameters(declared, job.parameters, Path(job.notebook).name)
    except InputError as error:
        return 0.0, 0, str(error)
    numbers = [values[each.name] for each in declared if each.unit in _SECONDS and each.type in ("int", "float")]
    replicates = values.get("replicates", 0)
    return float(sum(numbers)), replicates if isinstance(replicates, int) else 0, ""


def read_history(out: Path, hardware_key: str, but: Path | None = None) -> History:
    """Return what jobs took in the newest batches below `out`, not in `but`, on this kind of machine.

    Damaged files tell nothing.
    """
    history, notebooks = History(), Notebooks()
    folders = [path.parent for path in out.glob("*/batch.json") if path.parent != but]
    for batch in sorted(folders, key=_modified, reverse=True)[:NEWEST_BATCHES]:
        for state in (batch / hardware_key).glob(f"*/{STATE}"):
            raw, params = _json(state), _json(state.with_name(PARAMS))
            attempts = raw.get("attempts") or []
            if raw.get("status") != "finished" or not attempts or "notebook" not in params:
                continue
            try:
                job = Job.model_validate(params)
                took_s = float(attempts[-1]["duration_s"])
            except (ValueError, KeyError, TypeError):
                continue
            past = _Past(took_s, asked_of(job, notebooks)[0], str(job.parameters.get("kernel", "")), _modified(state))
            history.jobs.setdefault(job.name, []).append(past)
            history.notebooks.setdefault(job.notebook, []).append(past)
    return history


def estimate(jobs: Sequence[Job], history: History, starts: Callable[[], Starts | None]) -> list[Estimate]:
    """Return what each of `jobs` is expected to take. `starts` is asked only where the history does not help."""
    measured: list[Starts | None] = []
    notebooks = Notebooks()
    found = []
    for job in jobs:
        asked_s, replicates, problem = asked_of(job, notebooks)
        if problem:
            found.append(Estimate(0.0, "cannot run", problem))
        elif same := history.jobs.get(job.name):
            newest = sorted(same, key=lambda past: past.ended)[-_NEWEST_TIMES:]
            found.append(Estimate(median(past.took_s for past in newest), "same job"))
        elif others := history.notebooks.get(job.notebook):
            kernel = str(job.parameters.get("kernel", ""))
            nearest = [past for past in others if past.kernel == kernel] or others
            beyond_s = median(past.took_s - past.asked_s for past in nearest)
            found.append(Estimate(max(1.0, asked_s + beyond_s), "same notebook"))
        elif job.takes_s is not None:
            found.append(Estimate(job.takes_s, "plan"))
        else:
            if not measured:
                measured.append(starts())
            if (start := measured[0]) is None:
                found.append(Estimate(None, "unknown"))
            else:
                found.append(Estimate(asked_s + start.notebook_s + replicates * start.process_s, "reckoned"))
    return found


def batch_seconds(jobs: Sequence[Job], estimates: Sequence[Estimate], at_once: int) -> float:
    """Return what all jobs take together: neighbours that time nothing run beside each other."""
    total_s, beside = 0.0, list[float]()
    for job, each in zip(jobs, estimates, strict=True):
        seconds = min(each.seconds or 0.0, job.limit_s)
        if job.times:
            total_s += _beside_s(beside, at_once) + seconds
            beside = []
        else:
            beside.append(seconds)
    return total_s + _beside_s(beside, at_once)


def _beside_s(seconds: Sequence[float], at_once: int) -> float:
    """Return how long jobs take of which `at_once` run at the same time, each begun as soon as one ends."""
    ends = [0.0] * min(at_once, max(1, len(seconds)))
    for each in seconds:
        first = ends.index(min(ends))
        ends[first] += each
    return max(ends)


def known_starts(hardware_key: str) -> Starts | None:
    """Return what starts cost on this machine, if that was measured before."""
    kept = _json(_starts_file(hardware_key))
    try:
        return Starts(float(kept["notebook_s"]), float(kept["process_s"]))
    except (KeyError, TypeError, ValueError):
        return None


def measured_starts(hardware_key: str) -> Starts:
    """Return what starts cost on this machine: measured once, which takes half a minute, and kept in the cache."""
    known = known_starts(hardware_key)
    if known is None:
        known = Starts(_notebook_start_s(), _process_start_s())
        write_text(_starts_file(hardware_key), json.dumps(dataclasses.asdict(known)) + "\n")
    return known


def _starts_file(hardware_key: str) -> Path:
    return cache_folder() / "starts" / f"{hardware_key}.json"


def _notebook_start_s() -> float:
    """Run a notebook that does nothing, with its report, as a batch does."""
    import nbformat

    with tempfile.TemporaryDirectory(prefix="workbench-start-") as scratch:
        folder = Path(scratch)
        cells = [nbformat.v4.new_markdown_cell("# Nothing"), nbformat.v4.new_code_cell("1")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "nothing.ipynb")
        write_job(folder, Job(notebook=str(folder / "nothing.ipynb"), title="nothing"))
        return _timed([sys.executable, "-m", "workbench", "run-job", str(folder / PARAMS)])


def _process_start_s() -> float:
    """Measure a small kernel with one process and with three; the first run of all compiles it."""
    costs = [_timed([sys.executable, "-m", "workbench", "run", *_SMALL, "--replicates", str(n)]) for n in (1, 1, 3)]
    return max(0.1, (costs[2] - costs[1]) / 2)


def _timed(command: Sequence[str]) -> float:
    """Return the processor time that `command` takes with all that it starts, in seconds."""
    before = _children_s()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise WorkbenchError(f"the cost of a start could not be measured: {told}")
    return _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _json(path: Path) -> Mapping[str, Any]:
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
