"""Budgets: what each kernel may spend. Read from ``reports/budgets.toml``, judged on results."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench.errors import InputError
from workbench.files import shipped
from workbench.record import Result


class Limits(BaseModel):
    """What the system did before (`old`), what has to hold (`must`) and what is aimed at (`stretch`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    old: float | None = Field(default=None, gt=0)
    must: float = Field(gt=0)
    stretch: float | None = Field(default=None, gt=0)


class Budget(BaseModel):
    """One limit on one figure of one kernel; ``below`` for a cost, ``above`` for a rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    kernel: str
    metric: str
    statistic: str
    unit: str
    below: Limits | None = None
    above: Limits | None = None
    variant: str | None = Field(default=None, description="the one to judge; else the best or the worst")
    judged: Literal["best", "worst"] = "best"

    @model_validator(mode="after")
    def _one_direction(self) -> Budget:
        if (self.below is None) == (self.above is None):
            raise ValueError("give either below = { … } or above = { … }")
        limits, sign = self.limits, -1 if self.above else 1
        if limits.stretch is not None and sign * (limits.stretch - limits.must) > 0:
            raise ValueError("stretch must not be easier than must")
        return self

    @property
    def limits(self) -> Limits:
        """Return the limits, whichever way they point."""
        limits = self.below or self.above
        assert limits is not None
        return limits


@dataclass(frozen=True)
class BudgetOutcome:
    """A budget that was judged on one variant's result. `share` is the cost over what must hold: at most 1 is met."""

    budget: Budget
    variant: str
    value: float
    low: float | None
    high: float | None
    operations_per_sample: int = 1

    @property
    def title(self) -> str:
        """Return the budget's name, what of it was judged, and on which variant."""
        of = f" of {self.operations_per_sample} operations together" if self.operations_per_sample > 1 else ""
        return f"{self.budget.name} ({self.budget.statistic}{of}, {self.variant})"

    @property
    def unit(self) -> str:
        """Return the unit of the value and the limits."""
        return self.budget.unit

    @property
    def above(self) -> bool:
        """Return whether more is better."""
        return self.budget.above is not None

    @property
    def must(self) -> float:
        """Return the limit that has to hold."""
        return self.budget.limits.must

    @property
    def stretch(self) -> float | None:
        """Return the limit that is aimed at, if there is one."""
        return self.budget.limits.stretch

    @property
    def old(self) -> float | None:
        """Return what the system did before, if that is known."""
        return self.budget.limits.old

    @property
    def share(self) -> float:
        """Return the cost as a multiple of what must hold."""
        return self._cost_against(self.must)

    @property
    def must_met(self) -> bool:
        """Return whether the required limit holds."""
        return self.share <= 1

    @property
    def stretch_met(self) -> bool | None:
        """Return whether the aim is met; None without one."""
        return None if self.stretch is None else self._cost_against(self.stretch) <= 1

    @property
    def sure(self) -> bool:
        """Return whether the whole interval lies on the same side of the required limit."""
        ends = [end for end in (self.low, self.high) if end is not None]
        return all((self._cost_against(self.must, end) <= 1) is self.must_met for end in ends)

    @property
    def words(self) -> str:
        """Return the outcome as a person says it: met or missed, and by how much."""
        told = f"must {_by_how_much(self.share)}" + ("" if self.sure else ", but its interval crosses the limit")
        if self.stretch is not None:
            told += f"; stretch {_by_how_much(self._cost_against(self.stretch))}"
        return told

    def _cost_against(self, limit: float, value: float | None = None) -> float:
        ratio = max(self.value if value is None else value, 1e-30) / limit
        return 1 / ratio if self.above else ratio


def _by_how_much(share: float) -> str:
    outcome = "met" if share <= 1 else "missed"
    factor = 1 / share if share <= 1 else share
    if factor >= 2:
        times = f"{factor:,.0f}" if factor >= 100 else f"{factor:.3g}"
        return f"{outcome}, {times} times {'better' if share <= 1 else 'worse'} than the limit"
    return f"{outcome} by {abs(1 - share):.1%}".replace("%", " %")


def read_budgets(path: Path | None = None) -> list[Budget]:
    """Return the budgets in the TOML file `path`, else the shipped ones. Raises InputError that names table and key."""
    file = path or shipped("reports") / "budgets.toml"
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): give a file of budgets in TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not TOML: {error}") from None
    return [_budget(file, name, table) for name, table in tables.items()]


def _budget(file: Path, name: str, table: Any) -> Budget:
    if not isinstance(table, dict):
        raise InputError(f'{file}: {name!r} is outside a table: write ["{name}"] and its keys below it')
    try:
        return Budget.model_validate({"name": name, **table})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the table"
        raise InputError(f'{file}: table ["{name}"], {key}: {first["msg"].removeprefix("Value error, ")}') from None


def judge_budgets(budgets: Sequence[Budget], results: Sequence[Result]) -> list[BudgetOutcome]:
    """Judge every budget for which there is a result: the best variant's, unless the budget says otherwise.

    The reference, peers and the arms of experiments are measured beside the variants and are no candidates: production
    does not run them.
    """
    judged = []
    for budget in budgets:
        fitting = [
            result
            for result in results
            if (result.kernel, result.metric, result.statistic, result.unit)
            == (budget.kernel, budget.metric, budget.statistic, budget.unit)
            and (result.variant == budget.variant if budget.variant else not _beside(result))
        ]
        if not fitting:
            continue
        smallest = (budget.above is None) == (budget.judged == "best")
        chosen = (min if smallest else max)(fitting, key=lambda result: result.value)
        judged.append(
            BudgetOutcome(budget, chosen.variant, chosen.value, chosen.low, chosen.high, chosen.operations_per_sample)
        )
    return judged


def _beside(result: Result) -> bool:
    if result.variant == "reference" or "@" in result.variant:  # an arm of an experiment: nobody ships that build
        return True
    import kernels

    kernel = kernels.catalog().get(result.kernel)
    variant = kernel.variants.get(result.variant) if kernel else None
    return variant is not None and variant.peer
