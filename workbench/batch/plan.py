"""A plan: which notebooks run with which parameters. TOML in, jobs out; a mistake is told with file, table and key.

::

    title = "Quick look"

    [limits]
    job_s = 120            # a job that takes longer is ended and told as failed
    retries = 0            # how often a failed job is tried again

    [[job]]
    notebook = "latency"   # a shipped notebook, or a path relative to this file
    parameters = { seconds = 2.0 }
    grid = { kernel = ["order_book", "signals"] }   # one job for each combination
    tags = ["quick"]
"""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench.errors import InputError
from workbench.files import shipped

Values = dict[str, Any]  # parameters as JSON values, by name
MOST_JOBS = 100_000


class Limits(BaseModel):
    """What a job may take, and how often it is tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_s: float = Field(default=600.0, gt=0)
    retries: int = Field(default=0, ge=0, le=10)


class Entry(BaseModel):
    """One ``[[job]]`` table: a notebook, the parameters of each of its jobs, and a grid that multiplies them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notebook: str = Field(min_length=1)
    parameters: Values = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    job_s: float | None = Field(default=None, gt=0)

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


class Plan(BaseModel):
    """What a batch runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    limits: Limits = Limits()
    job: list[Entry] = Field(min_length=1)

    def expand(self) -> list[tuple[Entry, Values]]:
        """Return every job of the plan: its entry and its parameters."""
        return [(entry, values) for entry in self.job for values in entry.combinations()]


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
        known = ", ".join(sorted(str(file) for file in shipped("reports").glob("*.toml") if file.stem != "budgets"))
        raise InputError(f"there is no plan {path}: give a TOML file{', as ' + known if known else ''}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a plan in TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    try:
        plan = Plan.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: {_sentence(error)}") from None
    if len(plan.expand()) > MOST_JOBS:
        raise InputError(f"{path}: the grids make {len(plan.expand()):,} jobs, at most {MOST_JOBS:,} fit into a batch")
    seen: set[str] = set()
    for entry, values in plan.expand():
        if (one := repr((entry.notebook, sorted(values.items(), key=lambda item: item[0])))) in seen:
            raise InputError(f"{path}: {entry.notebook} stands twice with the same parameters {values}: take one out")
        seen.add(one)
    return plan


def _sentence(error: ValidationError) -> str:
    """Name the table, the key and what is wrong with it."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    table = ""
    if parts and parts[0] == "job" and len(parts) > 1 and parts[1].isdigit():
        table = f"[[job]] number {int(parts[1]) + 1}, "
        parts = parts[2:]
    elif len(parts) > 1:
        table = f"table [{parts[0]}], "
        parts = parts[1:]
    key = ".".join(parts)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{table}{key} is no key of a plan: take it out, or correct its spelling"
    if first["type"] == "missing":
        return f"{table}{key} is missing"
    return f"{table}{key}: {message}, not {str(first['input'])[:60]!r}"


def find_notebook(name: str, beside: Path | None = None) -> Path:
    """Return the file of the notebook `name`: a path (relative to `beside` too), else a shipped one.

    The file need not exist: that is told by whoever runs it, so that one lost notebook does not stop a batch.
    """
    if name.endswith(".ipynb"):
        path = Path(name)
        return path if path.is_absolute() or beside is None else beside / path
    return shipped("notebooks") / f"{name}.ipynb"
