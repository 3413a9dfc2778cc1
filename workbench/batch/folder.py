"""A batch's folder: ``<out>/<batch>/<hardware key>/<job>/``, its list of jobs, and the lock of whoever runs it."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.batch.job import LOCK, Job, job_key
from workbench.batch.own_code import named_files
from workbench.batch.parameters import declared_parameters, read_notebook
from workbench.batch.plan import Entry, Plan, Values, find_notebook
from workbench.errors import InputError, WorkbenchError
from workbench.files import shipped, write_text
from workbench.gate.rules import Rules
from workbench.record import Machine

FILE = "batch.json"
_POLL_S = 0.1


class Batch(BaseModel):
    """What a batch consists of: the content of ``batch.json``. Each job's own files tell the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: str = Field(default="workbench/batch/1", alias="schema")
    name: str
    title: str
    plan: str = ""
    created: datetime.datetime
    machine: Machine
    jobs: list[str] = Field(description="the jobs' folders, relative to the batch's")
    rules: Rules = Field(default=Rules(), description="the plan's own budgets and margins")
    estimated_s: float | None = Field(default=None, description="what all jobs together were expected to take")


def batch_name(plan: Path, today: datetime.date) -> str:
    """Return the name of the batch that a plan makes on a day: another day measures anew."""
    return f"{plan.stem}-{today.isoformat()}"


def check_name(name: str) -> str:
    """Return `name` if it can be a folder's name. Raises InputError."""
    if not name or name.startswith(".") or len(name) > 100 or not all(c.isalnum() or c in "-_.+" for c in name):
        raise InputError(f"{name[:60]!r} cannot name a batch: use letters, digits and - _ . +")
    return name


def jobs_of(
    plan: Plan,
    plan_path: Path,
    batch: str,
    machine: Machine,
    store: str | None,
    *,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    outside: bool = False,
) -> list[Job]:
    """Return the plan's jobs, with everything that a process of its own needs.

    Raises InputError for a notebook, and for code that a parameter names by its path, that lies neither below the
    plan's folder nor below the current one, unless `outside` allows it: a plan that came from elsewhere must not run
    whatever lies on this machine. Raises it too for a job that stands twice, however it is written.
    """
    with_baseline: dict[Path, bool] = {}
    jobs: list[Job] = []
    tables: dict[str, int] = {}  # by the name of the job that each made
    for number, entry in enumerate(plan.job, 1):
        notebook = find_notebook(entry.notebook, plan_path.parent).absolute()
        if not outside:
            roots = [plan_path.parent, Path.cwd()] if entry.notebook.endswith(".ipynb") else [shipped("notebooks")]
            _check_inside(notebook, f"notebook: {entry.notebook[:200]}", plan_path, number, roots)
        for values in entry.combinations():
            if plan.baseline and "baseline" not in values:
                if notebook not in with_baseline:
                    with_baseline[notebook] = _declares(notebook, "baseline")
                if with_baseline[notebook]:
                    values = {**values, "baseline": plan.baseline}
            for name, text, path in () if outside else named_files(values):
                roots = [plan_path.parent, Path.cwd()]
                _check_inside(path.absolute(), f"parameter {name[:60]}: {text[:200]}", plan_path, number, roots)
            job = _job(plan, entry, values, notebook, batch, machine, store, rules)
            if (other := tables.setdefault(job.name, number)) != number or len(tables) == len(jobs):
                told = f"[[job]] number {number} makes the same job as number {other}: {str(values)[:200]}"
                raise InputError(f"{plan_path}: {told}: take one out")
            jobs.append(job)
    return jobs


def _job(
    plan: Plan,
    entry: Entry,
    values: Values,
    notebook: Path,
    batch: str,
    machine: Machine,
    store: str | None,
    rules: Rules,
) -> Job:
    return Job(
        notebook=str(notebook),
        title=entry.notebook,
        parameters=values,
        limit_s=entry.job_s or plan.limits.job_s,
        retries=plan.limits.retries if entry.retries is None else entry.retries,
        tags=entry.tags,
        takes_s=entry.takes_s,
        times=entry.times,
        host=entry.host,
        rules=rules,
        batch=batch,
        store=store,
        key=job_key(notebook, values, machine, rules),
    )


def _check_inside(path: Path, what: str, plan: Path, number: int, roots: Sequence[Path]) -> None:
    """Raise InputError where `path`, links followed, lies below none of `roots`; `what` names it."""
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links: the job tells it
        found = path
    if not any(found.is_relative_to(root.resolve()) for root in roots):
        raise InputError(
            f"{plan}: [[job]] number {number}, {what} lies outside the plan's folder and the current "
            "one: start the batch from a folder above it, or allow it with --outside"
        )


def _declares(notebook: Path, parameter: str) -> bool:
    """Return whether `notebook` has that parameter; not, where it cannot be read: its job tells that."""
    try:
        return any(each.name == parameter for each in declared_parameters(read_notebook(notebook), notebook.name))
    except InputError:
        return False


def write_batch(folder: Path, batch: Batch) -> None:
    """Write what the batch consists of."""
    write_text(folder / FILE, batch.model_dump_json(by_alias=True, indent=1) + "\n")


def read_batch(folder: Path) -> Batch | None:
    """Return what the batch in `folder` consists of; None for a new one. Raises WorkbenchError when it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Batch.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise WorkbenchError(f"{path} is damaged ({error.errors()[0]['msg']}): choose another --batch") from None


def check_plan(earlier: Batch | None, plan: Path) -> None:
    """Raise InputError where the batch is another plan's: two plans of one name must not replace each other's jobs.

    A plan that is no longer where it was is taken for one that was moved; a shipped one is the same wherever it lies.
    """
    if earlier is None or not earlier.plan:
        return
    was = Path(earlier.plan)
    if was.is_file() and was.resolve() != plan.resolve() and not (was.name == plan.name and _kept(was) and _kept(plan)):
        raise InputError(
            f"the batch {earlier.name} is that of the plan {was}, not of {plan}: give another --batch NAME or --out"
        )


def _kept(plan: Path) -> bool:
    """Return whether the plan is a shipped one, of this installation or of another."""
    return plan.parent == shipped("reports") or plan.parts[-3:-1] == ("_shipped", "reports")


def merged_jobs(
    earlier: Batch | None, hardware_key: str, planned: Sequence[Job], chosen: Sequence[Job], *, anywhere: bool = False
) -> list[str]:
    """Return the folders of the batch's jobs: of those planned here, the chosen ones and the ones it already had.

    What ran under another machine's key stays; what this machine had and the plan no longer has goes. With `anywhere`
    a job runs on whichever machine there is: what stands under another key is then not waited for here as well.
    """
    mine = f"{hardware_key}/"
    had = set(earlier.jobs) if earlier else set()
    others = [job for job in (earlier.jobs if earlier else []) if not job.startswith(mine)]
    names = {job.name for job in chosen}
    if anywhere:
        names -= {job.rpartition("/")[2] for job in others}
    own = [f"{mine}{job.name}" for job in planned if job.name in names or f"{mine}{job.name}" in had]
    return [*others, *own]


def sweep(folder: Path) -> None:
    """Take away what a killed batch was writing: no file took that place. The caller holds the folder's lock."""
    for left in folder.glob(".*.writing"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path, patience_s: float = 0.0) -> Iterator[int]:
    """Hold the folder of a batch or a job; yield the lock's handle, which a child may inherit to hold it too.

    Raises InputError when another process still holds it after `patience_s`, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): choose a folder with --out") from None
    try:
        deadline = time.monotonic() + patience_s
        while not _try(handle):
            if time.monotonic() >= deadline:
                raise InputError(f"{folder} is being run by another process: wait for it, or choose another folder")
            time.sleep(_POLL_S)
        yield handle
    finally:
        os.close(handle)  # which lets the lock go; a process that dies lets it go too


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(
            f"no file can be locked in this folder ({error.strerror}): choose one on another disk"
        ) from None
    return True
