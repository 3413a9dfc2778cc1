"""Where the evidence of success criteria is found: the store of this kind of machine, the nights, the gate's trials."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from scipy.stats import beta

import kernels
from kernels.messages import EVENT
from workbench import policy
from workbench.gate.budgets import Budget, Limits, judge_budgets
from workbench.record import Result, Verdict
from workbench.report.criteria import Compared, Criterion, Evidence, Fact
from workbench.report.night import Night
from workbench.report.nights import newest_nights, read_contents
from workbench.store import Store
from workbench.store.tables import CIRCUMSTANCES, COMPARISONS, RECORDS

_LOOKED_AT = 400  # nights that are searched for those of one plan
DEFAULT_NAMES = ("aapl", "synthetic")
"""What the default workload is called, with and without the recorded hour at hand."""

_DEFAULTS = "default parameters"
_SAME, _FALSE = "same", "SLOWER"  # the arm of a trial that runs the code of the base, and what it must not say


@dataclass(frozen=True)
class Finder:
    """Finds evidence: newest first, and of one kind of machine, since figures of several are not comparable."""

    store: Store
    hardware_key: str
    site: Path  # the folder of all batches
    beside: Path  # the folder of the criteria's file, from which its paths start

    def __call__(self, criterion: Criterion, budget: Budget | None) -> Evidence | str:
        """Return the evidence of `criterion`, or why there is none."""
        if criterion.fact is not None:
            return self._fact(criterion.fact)
        if criterion.compare is not None:
            return self._comparison(criterion.compare, criterion)
        if budget is None:
            assert criterion.kernel and criterion.metric and criterion.statistic  # the model saw to it
            budget = Budget(
                name=criterion.name,
                kernel=criterion.kernel,
                metric=criterion.metric,
                statistic=criterion.statistic,
                unit=criterion.unit,
                above=Limits(must=1.0) if criterion.above is not None else None,
                below=None if criterion.above is not None else Limits(must=1.0),
            )
        chosen = budget.model_copy(update={"variant": criterion.variant or budget.variant})
        return self._figure(chosen, criterion)

    def _figure(self, budget: Budget, criterion: Criterion) -> Evidence | str:
        equal = {"metric": budget.metric, "statistic": budget.statistic, "hardware_key": self.hardware_key}
        if budget.variant:
            equal["variant"] = budget.variant
        by_record: dict[str, list[dict[str, Any]]] = {}
        for row in self.store.results(budget.kernel, **equal):
            if row["rate_per_s"] is None:
                by_record.setdefault(row["record_id"], []).append(row)
        fed = self._fed(budget.kernel, criterion)
        for record_id, rows in reversed(by_record.items()):
            if record_id not in fed:
                continue
            results = [Result(**{name: row[name] for name in Result.model_fields}) for row in rows]
            for found in judge_budgets([budget], results):
                low, high = found.low, found.high
                what = f"{budget.kernel}/{found.variant}, {fed[record_id]}"
                return self._of_record(record_id, found.value, low, high, budget.unit, what)
        name = f"{budget.kernel}/{budget.variant}" if budget.variant else budget.kernel
        return (
            f"no run of {name} with {budget.metric} {budget.statistic}, {_input_words(criterion)}, is stored for this "
            "kind of machine"
        )

    def _fed(self, kernel: str, criterion: Criterion) -> dict[str, str]:
        """Return what was fed into the runs that have the input and parameters that `criterion` asks for, by record.

        Figures of other input or parameters say nothing about it.
        """
        columns = CIRCUMSTANCES.c
        query = (
            sa.select(columns.record_id, columns.workload, columns.parameters)
            .join(RECORDS, RECORDS.c.record_id == columns.record_id)
            .where(
                RECORDS.c.hardware_key == self.hardware_key,
                columns.workload.in_([criterion.workload] if criterion.workload else DEFAULT_NAMES),
            )
        )
        with self.store.transaction() as connection:
            rows = connection.execute(query).all()
        fed = {}
        for record_id, workload, parameters in rows:
            told = json.loads(parameters).get(kernel, {})
            others = _other_parameters(kernel, told, criterion.parameters)
            if others is not None:
                fed[record_id] = f"input {workload}, {', '.join(others) or _DEFAULTS}"
        return fed

    def _comparison(self, wanted: Compared, criterion: Criterion) -> Evidence | str:
        query = (
            sa.select(COMPARISONS)
            .join(RECORDS, RECORDS.c.record_id == COMPARISONS.c.record_id)
            .where(
                RECORDS.c.hardware_key == self.hardware_key,
                *(COMPARISONS.c[name] == getattr(wanted, name) for name in ("a", "b", "metric", "statistic")),
            )
            .order_by(RECORDS.c.created.desc())
        )
        with self.store.transaction() as connection:
            rows = connection.execute(query).all()
        fed = self._fed(wanted.b.partition("/")[0], criterion)
        row = next((row for row in rows if row.record_id in fed), None)
        if row is None:
            told = _input_words(criterion)
            return f"no comparison of {wanted.b} with {wanted.a}, {told}, is stored for this kind of machine"
        what = f"{wanted.b} against {wanted.a}, {fed[row.record_id]}"
        return self._of_record(row.record_id, row.ratio, row.low, row.high, "", what)

    def _of_record(
        self, record_id: str, value: float, low: float | None, high: float | None, unit: str, what: str
    ) -> Evidence:
        found = self.store.get(record_id)
        machine = f"{found.machine.cpu_model}, {found.machine.cores} cores, {found.machine.host}"
        return Evidence(value, low, high, unit, what, f"record {record_id[:12]}", found.created, machine)

    def _fact(self, fact: Fact) -> Evidence | str:
        if fact.name == "gate false alarms":
            return _false_alarms((self.beside / fact.folder) if fact.folder else None, self.hardware_key)
        nights = self._nights(fact)
        if not nights:
            of = f" of plan {fact.plan}" if fact.plan else ""
            return f"no night{of} on this kind of machine is on the site in {self.site}"
        value, low, high, unit = _NIGHT_FACTS[fact.name](nights)
        last = datetime.datetime.fromisoformat(nights[-1].created)
        what = f"{len(nights)} {'night' if len(nights) == 1 else 'nights'} to {nights[-1].name}"
        return Evidence(value, low, high, unit, what, "nights", last, nights[-1].host, link="index.html")

    def _nights(self, fact: Fact) -> list[Night]:
        known = newest_nights(self.site, read_contents(self.site), _LOOKED_AT).nights
        chosen = [
            night
            for night in known
            if (not fact.plan or Path(night.plan).stem == fact.plan)
            and self.hardware_key in night.hardware_keys
            and (fact.name != "night hours" or night.ended)  # else it tells the sum of its jobs' times
        ]
        return chosen[-fact.nights :]


def _other_parameters(kernel: str, told: Mapping[str, int], wanted: Mapping[str, int]) -> list[str] | None:
    """Return what of the parameters `told` is not the default, as text; None where they are not those `wanted`.

    What follows from the input (how many symbols there are) may be anything, unless it is wanted.
    """
    known = kernels.catalog().get(kernel)
    defaults = {each.name: each.default for each in known.parameters} if known else {}
    if any(told.get(name, defaults.get(name)) != value for name, value in wanted.items()):
        return None
    if known is None:  # somebody's own kernel: its defaults are not known here
        return [f"{name} = {value}" for name, value in told.items()]
    follows = known.parameters_for(np.empty(0, EVENT))
    others = [name for name, value in told.items() if defaults.get(name) != value]
    if any(name not in wanted and name not in follows for name in others):
        return None
    return [f"{name} = {told[name]}" for name in others]


def _input_words(criterion: Criterion) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in criterion.parameters.items())
    return f"input {criterion.workload or 'by default'}, {given or _DEFAULTS}"


Found = tuple[float, float | None, float | None, str]


def _jobs_finished(nights: Sequence[Night]) -> Found:
    return (*share(sum(night.finished for night in nights), sum(night.jobs for night in nights)), "")


def _nights_decided(nights: Sequence[Night]) -> Found:
    decided = (Verdict.SLOWER.value, Verdict.FASTER.value, Verdict.UNCHANGED.value)
    hits = sum(night.badge in decided and night.finished == night.jobs for night in nights)
    return (*share(hits, len(nights)), "")


def _night_hours(nights: Sequence[Night]) -> Found:
    return max(night.duration_s for night in nights) / 3600, None, None, "h"


_NIGHT_FACTS = {"jobs finished": _jobs_finished, "nights decided": _nights_decided, "night hours": _night_hours}


def share(hits: int, count: int) -> tuple[float, float | None, float | None]:
    """Return `hits` of `count` as a share with a bound of 95 % on either side; without any, 0 and none.

    A criterion has one limit, so that only one of the two bounds can be wrong in its favour: each has all of α, where
    a two-sided interval of 95 % would give it half. Clopper and Pearson, Biometrika 26 (1934): it never promises too
    much.
    """
    if count == 0:
        return 0.0, None, None
    low = 0.0 if hits == 0 else float(beta.ppf(policy.ALPHA, hits, count - hits + 1))
    high = 1.0 if hits >= count else float(beta.ppf(1 - policy.ALPHA, hits + 1, count - hits))
    return hits / count, low, high


def _false_alarms(folder: Path | None, hardware_key: str) -> Evidence | str:
    """Return how often the stored trials of the gate called identical code slower."""
    file = folder / hardware_key / "trials.jsonl" if folder else None
    gates = list(_same_code_gates(file)) if file is not None and file.is_file() else []
    if file is None or not gates:
        return "no trial of the gate on identical code is stored for this kind of machine"
    alarms = sum(any(cell.get("verdict") == _FALSE for cell in cells.values()) for _, cells in gates)
    value, low, high = share(alarms, len(gates))
    created = datetime.datetime.fromisoformat(gates[-1][0]) if gates[-1][0] else None
    told = f"{alarms} of {len(gates)} gates on identical code"
    return Evidence(value, low, high, "", told, f"{file.parent.name}/{file.name}", created)


def _same_code_gates(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the date and the cells of each stored gate on identical code; torn lines are passed over."""
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            trial = json.loads(line)
            yield str(trial.get("created", "")), dict(trial["gates"][_SAME]["cells"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
