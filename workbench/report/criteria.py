"""Success criteria, from TOML, judged on what is stored: met or not, not resolved, or no evidence yet.

::

    ["order book, one update"]
    words = "An order book update takes at most 5 µs in 99 of 100 cases"
    group = "technical"                            # or operational
    budget = "market_data.order_book_update"       # its `must` in reports/budgets.toml; or `aim = "stretch"`
    variant = "aligned"                            # else the best of the newest run
    workload = "synthetic-64"                      # else the default one; parameters = { symbols = 64 } likewise
    command = "workbench run order_book"           # what makes the evidence

    ["against the textbook"]
    compare = { a = "order_book/peer_std_map", b = "order_book/combined" }
    below = 0.2                                    # the ratio of costs, b over a

    ["nights finish"]
    fact = { name = "jobs finished", plan = "nightly", nights = 20 }
    above = 0.99
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench.errors import InputError
from workbench.files import shipped
from workbench.gate.budgets import Budget, read_budgets


class State(StrEnum):
    """What can be said of a criterion."""

    NOT_MET = "NOT MET"
    UNRESOLVED = "UNRESOLVED"
    NO_EVIDENCE = "NO EVIDENCE YET"
    MET = "MET"


class Compared(BaseModel):
    """Two variants whose stored comparison is the source; the cost is that of `b` over that of `a`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: str
    b: str
    metric: str = "throughput"
    statistic: str = "mean"


class Fact(BaseModel):
    """Something that the nights, or the stored trials of the gate, tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["jobs finished", "night hours", "nights decided", "gate false alarms"]
    plan: str = Field(default="", description="only nights of this plan")
    nights: int = Field(default=20, ge=1, le=1000, description="the newest so many")
    folder: str = Field(default="", description="where trials are stored, relative to the criteria's file")


class Criterion(BaseModel):
    """One criterion: what it says, where its evidence comes from, and its limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    words: str = Field(min_length=1)
    group: Literal["technical", "operational"] = "technical"
    command: str = Field(default="", description="what makes the evidence")
    budget: str | None = None
    aim: Literal["must", "stretch"] = "must"
    variant: str | None = None
    compare: Compared | None = None
    fact: Fact | None = None
    kernel: str | None = None
    metric: str | None = None
    statistic: str | None = None
    unit: str = ""
    workload: str | None = Field(default=None, description="the name of the input; else the default one")
    parameters: dict[str, int] = Field(default_factory=dict, description="those that are not the kernel's defaults")
    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Criterion:
        figure = self.kernel is not None or self.metric is not None or self.statistic is not None
        sources = [self.budget is not None, self.compare is not None, self.fact is not None, figure]
        if sum(sources) != 1:
            raise ValueError("give one source: budget, compare, fact, or kernel with metric and statistic")
        if figure and None in (self.kernel, self.metric, self.statistic):
            raise ValueError("kernel, metric and statistic belong together")
        if self.fact is not None and (self.workload is not None or self.parameters):
            raise ValueError("a fact is of nights or trials: leave workload and parameters out")
        limits = (self.below is not None) + (self.above is not None)
        if limits != (self.budget is None):
            raise ValueError("a budget has its own limit" if self.budget else "give either below or above")
        return self


@dataclass(frozen=True)
class Evidence:
    """What a criterion was judged on: a value with its interval, and where it comes from."""

    value: float
    low: float | None
    high: float | None
    unit: str
    what: str  # of what: a variant, or how many nights
    source: str  # the record's id, or the file
    created: datetime.datetime | None = None
    machine: str = ""
    link: str | None = None  # a file that has it


@dataclass(frozen=True)
class Judged:
    """A criterion with its limit, its evidence, and what that comes to."""

    criterion: Criterion
    limit: float
    above: bool
    unit: str
    evidence: Evidence | None
    why: str = ""  # there is no evidence

    @property
    def state(self) -> State:
        """Return whether it is met: UNRESOLVED where the interval has the limit inside."""
        if self.evidence is None:
            return State.NO_EVIDENCE
        ends = [end for end in (self.evidence.low, self.evidence.high) if end is not None] or [self.evidence.value]
        holds = {self._holds(end) for end in (*ends, self.evidence.value)}
        if len(holds) == 2:
            return State.UNRESOLVED
        return State.MET if holds.pop() else State.NOT_MET

    def _holds(self, value: float) -> bool:
        return value >= self.limit if self.above else value <= self.limit


Find = Callable[[Criterion, Budget | None], Evidence | str]
"""Returns the evidence of a criterion, or one sentence that says why there is none."""


def judge(criteria: Sequence[Criterion], find: Find, budgets: Sequence[Budget]) -> list[Judged]:
    """Judge `criteria` on what `find` finds. Pure but for that. Raises InputError for a budget that is not there."""
    known = {budget.name: budget for budget in budgets}
    judged = []
    for each in criteria:
        budget = None
        if each.budget is not None:
            if each.budget not in known:
                raise InputError(f'criterion "{each.name}": there is no budget {each.budget!r} in the file of budgets')
            budget = known[each.budget]
        limit, above, unit = _limit(each, budget)
        found = find(each, budget)
        evidence, why = (None, found) if isinstance(found, str) else (found, "")
        judged.append(Judged(each, limit, above, unit, evidence, why))
    return judged


def _limit(criterion: Criterion, budget: Budget | None) -> tuple[float, bool, str]:
    """Return the limit, whether more is better, and the unit. Raises InputError for an aim that the budget lacks."""
    if budget is not None:
        limit = budget.limits.must if criterion.aim == "must" else budget.limits.stretch
        if limit is None:
            raise InputError(f'criterion "{criterion.name}": budget {budget.name!r} has no stretch')
        return limit, budget.above is not None, budget.unit
    above = criterion.above is not None
    limit = criterion.above if above else criterion.below
    assert limit is not None  # the model saw to it
    return limit, above, criterion.unit


def judge_criteria(criteria: Sequence[Criterion], find: Find) -> list[Judged]:
    """Judge `criteria` with the shipped budgets."""
    return judge(criteria, find, read_budgets())


def read_criteria(path: Path | None = None) -> list[Criterion]:
    """Return the criteria in the TOML file `path`, else the shipped ones. Raises InputError: which table, which key."""
    file = path or criteria_file()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): give a file of criteria in TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not TOML: {error}") from None
    return [_criterion(file, name, table) for name, table in tables.items()]


def criteria_file() -> Path:
    """Return the shipped file of criteria."""
    return shipped("reports") / "criteria.toml"


def _criterion(file: Path, name: str, table: Any) -> Criterion:
    if not isinstance(table, dict):
        raise InputError(f'{file}: {name[:80]!r} is outside a table: write ["{name[:80]}"] and its keys below it')
    try:
        return Criterion.model_validate({"name": name, **table})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the table"
        raise InputError(
            f'{file}: table ["{name[:80]}"], {key}: {first["msg"].removeprefix("Value error, ")}'
        ) from None
