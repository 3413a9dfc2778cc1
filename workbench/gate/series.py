"""Rows of the store as series of nights: one value a night, one series for each question that has one answer.

What makes a series: kernel, variant, metric, statistic, load, input, parameters and *kind of machine*; versions are
circumstances of a night, so that an upgrade shows as a step. A night lasts from noon to noon UTC, so that a batch over
midnight is one, and bears the date of its first run; of several runs in one night the median counts.
"""

from __future__ import annotations

import datetime
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.stats.median import median

EARLIEST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)  # a clock that says less has not been set


@dataclass(frozen=True)
class Key:
    """What a series is about."""

    kernel: str
    variant: str
    metric: str
    statistic: str
    unit: str
    rate_per_s: float | None
    operations_per_sample: int
    workload: str
    workload_sha256: str
    parameters: str
    hardware_key: str

    @property
    def name(self) -> str:
        """Return the series' name for a person, without what all series usually share."""
        load = "" if self.rate_per_s is None else f" at {self.rate_per_s:,.0f}/s"
        return f"{self.kernel}/{self.variant} {self.metric} {self.statistic}{load}"

    @property
    def more_is_better(self) -> bool:
        """Say whether a larger value is a better one, as of operations a second."""
        return self.unit.endswith("/s")


@dataclass(frozen=True)
class Night:
    """The runs of one night: the median of their values, and under which circumstances the last one ran."""

    moment: datetime.datetime
    value: float
    low: float | None
    high: float | None
    records: tuple[str, ...]
    revision: str | None
    settings: Mapping[str, Any]
    code_hashes: tuple[str, ...]

    @property
    def date(self) -> datetime.date:
        """Return the date of the night's first run, in UTC."""
        return self.moment.date()

    @property
    def evening(self) -> datetime.date:
        """Return the day on whose noon the night began: the same for all that ran in it."""
        return evening_of(self.moment)


@dataclass(frozen=True)
class Series:
    """Nights in order of time, and in words what was left out of them."""

    key: Key
    nights: tuple[Night, ...]
    left_out: tuple[str, ...] = ()

    def costs(self) -> list[float]:
        """Return the logarithm of each night's cost: larger is slower, whatever the unit."""
        sign = -1.0 if self.key.more_is_better else 1.0
        return [sign * math.log(night.value) for night in self.nights]

    def days(self) -> list[float]:
        """Return when each night was, in days since the first."""
        first = self.nights[0].moment if self.nights else EARLIEST
        return [(night.moment - first).total_seconds() / 86_400 for night in self.nights]


def evening_of(moment: datetime.datetime) -> datetime.date:
    """Return the day on whose noon, UTC, the night of `moment` began."""
    return (moment.astimezone(datetime.UTC) - datetime.timedelta(hours=12)).date()


def build_series(rows: Iterable[Mapping[str, Any]], now: datetime.datetime) -> list[Series]:
    """Return the series in `rows` (as `workbench.store.steps.rows_of` gives them), by name.

    Left out, and told: values that are no positive number, values that are only a bound, and runs dated before 2020 or
    after `now`, whose clock was wrong. Sides of a comparison of revisions (``variant@label``) are no nights.
    """
    groups: dict[Key, list[tuple[datetime.datetime, Mapping[str, Any]]]] = {}
    left_out: dict[Key, Counter[str]] = {}
    for row in rows:
        if "@" in row["variant"]:
            continue
        key = _key(row)
        moment = datetime.datetime.fromisoformat(row["created"])
        group, counter = groups.setdefault(key, []), left_out.setdefault(key, Counter())
        why = _unusable(row, moment, now)
        if why:
            counter[why] += 1
        else:
            group.append((moment, row))
    made = [Series(key, _nights(group), _told(left_out[key])) for key, group in groups.items()]
    return sorted(made, key=lambda series: (series.key.name, series.key.hardware_key, -len(series.nights)))


def _key(row: Mapping[str, Any]) -> Key:
    parameters = json.loads(row["parameters"]).get(row["kernel"], {})
    return Key(
        **{name: row[name] for name in ("kernel", "variant", "metric", "statistic", "unit", "rate_per_s")},
        operations_per_sample=row["operations_per_sample"],
        workload=row["workload"],
        workload_sha256=row["workload_sha256"],
        parameters=", ".join(f"{name}={value}" for name, value in sorted(parameters.items())),
        hardware_key=row["hardware_key"],
    )


def _unusable(row: Mapping[str, Any], moment: datetime.datetime, now: datetime.datetime) -> str | None:
    if not EARLIEST <= moment <= now + datetime.timedelta(days=1):
        return "dated before 2020 or in the future: the clock was wrong"
    value = row["value"]
    if value is None or not math.isfinite(value) or value <= 0:
        return "not a positive number"
    return "below the clock's floor, only a bound" if row["bound"] == "upper" else None


def _told(counter: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{count} {'value' if count == 1 else 'values'} left out, {why}" for why, count in counter.items())


def _nights(group: Sequence[tuple[datetime.datetime, Mapping[str, Any]]]) -> tuple[Night, ...]:
    by_night: dict[datetime.date, list[tuple[datetime.datetime, Mapping[str, Any]]]] = {}
    for moment, row in sorted(group, key=lambda each: (each[0], each[1]["record_id"])):
        by_night.setdefault(evening_of(moment), []).append((moment.astimezone(datetime.UTC), row))
    return tuple(_night(runs) for runs in by_night.values())


def _night(runs: Sequence[tuple[datetime.datetime, Mapping[str, Any]]]) -> Night:
    rows = [row for _, row in runs]
    last = rows[-1]
    hashes = json.loads(last["code_hashes"]).get(f"{last['kernel']}/{last['variant']}", [])

    def middle(name: str) -> float | None:
        values = [row[name] for row in rows if row[name] is not None and math.isfinite(row[name])]
        return median(values) if values else None

    return Night(
        moment=runs[0][0],
        value=median([row["value"] for row in rows]),
        low=middle("low"),
        high=middle("high"),
        records=tuple(row["record_id"] for row in rows),
        revision=last["git_revision"],
        settings=json.loads(last["settings"]),
        code_hashes=tuple(hashes),
    )


def what_changed(before: Night, after: Night) -> list[str]:
    """Return the versions and settings that differ between two nights, each as ``llvm 19.1 -> 20.1``."""
    told = []
    one, other = dict(before.settings), dict(after.settings)
    for group in ("versions", "numba_settings"):
        first, second = one.pop(group, {}), other.pop(group, {})
        for name in sorted(first | second):
            if first.get(name) != second.get(name):
                told.append(f"{name} {first.get(name, 'none')} -> {second.get(name, 'none')}")
    names = {"target_cpu": "target CPU", "target_features_hash": "target features"}
    for name in sorted(one | other):
        if one.get(name) != other.get(name):
            told.append(f"{names.get(name, name)} {one.get(name)} -> {other.get(name)}")
    return told


def same_code(before: Night, after: Night) -> bool | None:
    """Say whether both nights ran the same machine code; None where one of them does not know."""
    if not before.code_hashes or not after.code_hashes:
        return None
    return set(before.code_hashes) == set(after.code_hashes)
