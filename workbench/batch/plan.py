"""A plan: which notebooks run with which parameters. TOML in, jobs out; a mistake is told with file, table and key.

::

    title = "Every night"
    baseline = "nightly"   # for each notebook that has such a parameter and is given none
    budgets = "team.toml"  # or tables as [budgets."book.p99"]; one that is surely missed fails the batch

    [thresholds]           # margins: how much counts, by metric, and by kernel and metric
    p99 = 0.15
    order_book = { throughput = 0.02 }

    [limits]
    job_s = 120            # a job that takes longer is ended and told as failed
    batch_s = 7200         # when these are over, what runs is ended and nothing more is begun
    retries = 0            # how often a failed job is tried again

    [engine]
    name = "local"
    at_once = 4            # so many jobs that time nothing run beside each other

    [[job]]
    notebook = "latency"   # a shipped notebook, or a path relative to this file
    parameters = { seconds = 2.0 }
    grid = { kernel = ["order_book", "signals"] }   # one job for each combination
    tags = ["quick"]
    times = false          # it times nothing: it may run beside others
    takes_s = 45           # what it took where the plan was written: for an estimate before the first night
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench.batch.engines import EngineChoice
from workbench.errors import InputError
from workbench.files import shipped
from workbench.gate.budgets import Budget, read_budgets
from workbench.gate.margins import KNOWN as METRICS
from workbench.gate.rules import Rules

Values = dict[str, Any]  # parameters as JSON values, by name
MOST_JOBS = 100_000
LONGEST_NAME = 1_000  # characters of a notebook's name or path
NOT_PLANS = ("budgets", "criteria")  # shipped files of reports/ that are TOML and no plans


class Limits(BaseModel):
    """What a job and the whole batch may take, and how often a job is tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    batch_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    retries: int = Field(default=0, ge=0, le=10)


class Entry(BaseModel):
    """One ``[[job]]`` table: a notebook, the parameters of each of its jobs, and a grid that multiplies them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notebook: str = Field(min_length=1, max_length=LONGEST_NAME)
    parameters: Values = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    job_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    takes_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    retries: int | None = Field(default=None, ge=0, le=10)
    times: bool = Field(default=True, description="false: it times nothing and may run beside others")
    host: str = Field(default="", max_length=255, description="where it has to run, for an engine of many machines")

    @field_validator("notebook")
    @classmethod
    def _printable(cls, notebook: str) -> str:
        if not notebook.isprintable():
            raise ValueError("a notebook's name is printable text")
        return notebook

    @field_validator("grid")
    @classmethod
    def _not_empty(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for name, values in grid.items():
            if not values:
                raise ValueError(f"{name} has no value: give one, or leave it out")
        return grid

    def combinations(self) -> list[Values]:
        """Return the parameters of each job, in the order of the grid's values."""
        choices = itertools.product(*self.grid.values())
        return [{**self.parameters, **dict(zip(self.grid, chosen, strict=True))} for chosen in choices]

    def wanted(self, tags: Sequence[str], skip: Sequence[str]) -> bool:
        """Return whether `tags` choose it (one is enough; none choose all) and `skip` does not leave it out."""
        return (not tags or not set(tags).isdisjoint(self.tags)) and set(skip).isdisjoint(self.tags)


class Plan(BaseModel):
    """What a batch runs, and what it judges by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", max_length=LONGEST_NAME)
    baseline: str = Field(default="", max_length=100)
    budgets: str | list[Budget] | None = None
    thresholds: dict[str, float | dict[str, float]] = Field(default_factory=dict)
    limits: Limits = Limits()
    engine: EngineChoice = EngineChoice()
    job: list[Entry] = Field(min_length=1)

    @field_validator("budgets", mode="before")
    @classmethod
    def _tables(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            if not isinstance(given, str) or not given:
                raise ValueError("name a file of budgets, or write tables as [budgets.NAME]")
            return given
        return [_budget(name, table) for name, table in given.items()]

    @field_validator("thresholds", mode="before")
    @classmethod
    def _known_metrics(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError("write a table [thresholds] with keys as p99 = 0.1")
        for key, value in given.items():
            for name, margin in value.items() if isinstance(value, dict) else [(key, value)]:
                where = f"{key}.{name}" if isinstance(value, dict) else key
                if name not in METRICS:
                    raise ValueError(f"{where}: there is no metric {name[:60]!r}: there are {', '.join(METRICS)}")
                if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 < margin < 1:
                    raise ValueError(f"{where}: a margin is a number between 0 and 1, as 0.03, not {margin!r:.60}")
        return given

    @property
    def margins(self) -> dict[str, dict[str, float]]:
        """Return the thresholds by kernel (the empty name: all) and metric."""
        own: dict[str, dict[str, float]] = {}
        for key, value in self.thresholds.items():
            if isinstance(value, dict):
                own.setdefault(key, {}).update(value)
            else:
                own.setdefault("", {})[key] = value
        return own

    def expand(self) -> list[tuple[Entry, Values]]:
        """Return every job of the plan: its entry and its parameters."""
        return [(entry, values) for entry in self.job for values in entry.combinations()]


def _budget(name: str, table: Any) -> Budget:
    try:
        return Budget.model_validate({"name": name, **table} if isinstance(table, dict) else table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the table"
        raise ValueError(f'"{name[:60]}", {key}: {first["msg"].removeprefix("Value error, ")}') from None


def find_plan(name: Path) -> Path:
    """Return the file of the plan `name`: a path, else a shipped one, also as the README writes it from a checkout.

    The file need not exist: `read_plan` tells that.
    """
    kept = shipped("reports") / f"{name.stem}.toml"
    by_name = str(name) == name.stem or str(name) == f"reports/{name.stem}.toml"
    return kept if by_name and kept.is_file() and not name.exists() else name


def read_plan(path: Path) -> Plan:
    """Read the plan in the TOML file `path`. Raises InputError, one sentence that names file, table and key."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        plans = (file for file in shipped("reports").glob("*.toml") if file.stem not in NOT_PLANS)
        known = ", ".join(sorted(str(file) for file in plans))
        raise InputError(f"there is no plan {path}: give a TOML file{', as ' + known if known else ''}") from None
    except OSError as error:
        raise InputError(f"{str(path)[:200]} cannot be read ({error.strerror}): give a plan in TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{path} is not a plan: its values are nested too deeply") from None
    try:
        plan = Plan.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: {_sentence(error)}") from None
    jobs = sum(math.prod(len(values) for values in entry.grid.values()) for entry in plan.job)
    if jobs > MOST_JOBS:  # before any of them is made
        raise InputError(f"{path}: the grids make {jobs:,} jobs, at most {MOST_JOBS:,} fit into a batch")
    seen: set[str] = set()
    for entry, values in plan.expand():
        if (one := repr((entry.notebook, sorted(values.items(), key=lambda item: item[0])))) in seen:
            told = f"{entry.notebook[:60]} stands twice with the same parameters {str(values)[:200]}"
            raise InputError(f"{path}: {told}: take one out")
        seen.add(one)
    return plan


def plan_rules(plan: Plan, path: Path) -> Rules:
    """Return what the plan in `path` judges by, its file of budgets read. Raises InputError where that is wrong."""
    budgets = read_budgets(path.parent / plan.budgets) if isinstance(plan.budgets, str) else plan.budgets
    return Rules(budgets=budgets, margins=plan.margins)


def _sentence(error: ValidationError) -> str:
    """Name the table, the key and what is wrong with it."""
    first = error.errors()[0]
    parts = [str(part)[:60] for part in first["loc"]]
    table = ""
    if parts and parts[0] == "job" and len(parts) > 1 and parts[1].isdigit():
        table = f"[[job]] number {int(parts[1]) + 1}, "
        parts = parts[2:]
    elif len(parts) > 1:
        table = f"table [{parts[0]}], "
        parts = parts[1:]
    elif parts in (["budgets"], ["thresholds"]):
        table, parts = f"table [{parts[0]}]", []
    key = ".".join(parts)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{table}{key} is no key of a plan: take it out, or correct its spelling"
    if first["type"] == "missing":
        return f"{table}{key} is missing"
    if not parts:
        return f"{table}: {message}"
    return f"{table}{key}: {message}, not {str(first['input'])[:60]!r}"


def find_notebook(name: str, beside: Path | None = None) -> Path:
    """Return the file of the notebook `name`: a path (relative to `beside` too), else a shipped one.

    The file need not exist: that is told by whoever runs it, so that one lost notebook does not stop a batch.
    """
    if name.endswith(".ipynb"):
        path = Path(name)
        return path if path.is_absolute() or beside is None else beside / path
    return shipped("notebooks") / f"{name}.ipynb"
