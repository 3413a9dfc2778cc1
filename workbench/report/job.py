"""A job's folder as a report reads it: from its JSON files alone, so that any engine may have filled it."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import record
from workbench.errors import WorkbenchError
from workbench.gate.outcome import Outcome, read_outcome
from workbench.record import Verdict

MOST_ARTEFACTS = 200  # links on a page; a folder with more is linked as a whole
ARTEFACTS = ("results.json", "outcome.json", "params.json", "state.json", "executed.ipynb", "log.txt")


@dataclass(frozen=True)
class JobView:
    """What is known of a job. `params` and `state` are its files; a file that is not there yet is empty.

    `records` are what it wrote, without the single timed runs of the replicates: a page shows none of them, and those
    of a night with hundreds of jobs would fill the memory.
    """

    folder: Path
    params: Mapping[str, Any]
    state: Mapping[str, Any]
    outcome: Outcome | None
    records: tuple[record.Record, ...] = ()

    @property
    def run(self) -> record.Run | None:
        """Return the first run among the records; None where nothing was timed."""
        return next((each for each in self.records if isinstance(each, record.Run)), None)

    @property
    def profiles(self) -> list[record.ProfileRecord]:
        """Return the profiles among the records."""
        return [each for each in self.records if isinstance(each, record.ProfileRecord)]

    @property
    def gates(self) -> list[record.Gate]:
        """Return what gates concluded, among the records."""
        return [each for each in self.records if isinstance(each, record.Gate)]

    @property
    def machine(self) -> record.Machine | None:
        """Return where the job ran; None where it wrote no record."""
        return self.records[0].machine if self.records else None

    @property
    def about(self) -> str:
        """Return the job's parameters on one line."""
        parameters = self.params.get("parameters")
        named = parameters if isinstance(parameters, dict) else {}
        return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in named.items())

    @property
    def duration_s(self) -> float:
        """Return how long the last attempt took; 0 where that is not known."""
        try:
            return float(self.state.get("duration_s") or 0.0)
        except (TypeError, ValueError):
            return 0.0

    @property
    def span(self) -> tuple[datetime.datetime, datetime.datetime] | None:
        """Return when the first attempt began and the last one ended; None where that is not known."""
        attempts = self.state.get("attempts")
        known = [_moment(each.get("started")) for each in attempts or () if isinstance(each, dict)]
        last = _moment(self.state.get("started"))
        if last is None:
            return None
        begun = min([last, *(each for each in known if each is not None)])
        return begun, last + datetime.timedelta(seconds=self.duration_s)

    @property
    def name(self) -> str:
        """Return what the person called the notebook."""
        return str(self.params.get("title") or Path(str(self.params.get("notebook", self.folder.name))).stem)

    @property
    def status(self) -> str:
        """Return waiting, running, finished or failed."""
        return str(self.state.get("status", "waiting"))

    @property
    def badge(self) -> str:
        """Return the word that comes first: a verdict, or what stands for one."""
        if self.status != "finished":
            return self.status.upper()
        if self.outcome is None:
            return "DONE"
        return self.outcome.verdict.value if self.outcome.verdict else "BASELINE" if self.is_first else "MEASURED"

    @property
    def is_first(self) -> bool:
        """Return whether this job found no baseline and became one."""
        return self.outcome is not None and self.outcome.save_baseline is not None

    @property
    def headline(self) -> str:
        """Return one sentence: the finding, or why the job failed."""
        if self.status == "failed":
            return str((self.state.get("failure") or {}).get("sentence", "it failed"))
        if self.outcome is not None:
            return self.outcome.headline
        return "finished" if self.status == "finished" else self.status

    @property
    def urgency(self) -> int:
        """Return where the job stands in a list: 0 is what a person must see first."""
        order = ["FAILED", Verdict.ENVIRONMENT_INVALID, Verdict.SLOWER, Verdict.UNRESOLVED, Verdict.FASTER]
        places = {str(name): place for place, name in enumerate(order)}
        return places.get(self.badge, len(order))

    @property
    def regressions(self) -> list[record.Comparison]:
        """Return the comparisons with a saved baseline, those that matter most first."""
        order = {verdict: place for place, verdict in enumerate(_MATTERS)}
        runs = [each for each in self.records if isinstance(each, record.Run)]
        found = [row for run in runs for row in run.comparisons if is_regression(row)]
        return sorted(found, key=lambda row: (order[row.verdict], -abs(row.ratio - 1)))

    def artefacts(self) -> list[str]:
        """Return the files that a report links to, relative to the job's folder: its own first, then what it made."""
        return self._all_artefacts[: len(ARTEFACTS) + MOST_ARTEFACTS]

    @property
    def artefacts_left(self) -> int:
        """Return how many files `artefacts` leaves out, a folder with many counted as one."""
        return max(0, len(self._all_artefacts) - len(ARTEFACTS) - MOST_ARTEFACTS)

    @property
    def _all_artefacts(self) -> list[str]:
        known = [name for name in ARTEFACTS if (self.folder / name).exists()]
        skipped = {*ARTEFACTS, "report.html", "assets"}
        others: list[str] = []
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if path.name in skipped or path.name.startswith("."):
                continue
            inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
            if len(inside) > MOST_ARTEFACTS:
                inside = [path]
            others += [str(each.relative_to(self.folder)) for each in inside]
        return known + others


_MATTERS = (Verdict.SLOWER, Verdict.ENVIRONMENT_INVALID, Verdict.UNRESOLVED, Verdict.FASTER, Verdict.UNCHANGED)


def is_regression(row: record.Comparison) -> bool:
    """Return whether `row` compares a variant with its own saved baseline: ``book/aligned@nightly`` before it.

    Where both sides carry a name after @, they are arms of one experiment: two parameters, two steps of a roadmap.
    """
    before, _, baseline = row.a.partition("@")
    return bool(baseline) and before == row.b and "@" not in row.b


def read_job_view(folder: Path, state: Mapping[str, Any] | None = None) -> JobView:
    """Return what is known of the job in `folder`; `state` is newer than its file. Damaged files read as empty."""
    outcome = None
    with contextlib.suppress(WorkbenchError):  # damaged: the runner has told it as a failure
        outcome = read_outcome(folder)
    records = tuple(each for path in record_files(folder) if (each := _without_replicates(path)) is not None)
    return JobView(folder, _json(folder / "params.json"), state or _state(folder / "state.json"), outcome, records)


def record_files(folder: Path) -> list[Path]:
    """Return the files of the records in a job's `folder`, ``results.json`` first."""
    numbered = sorted(
        (folder / "records").glob("*.json"),
        key=lambda path: (int(path.stem) if path.stem.isdecimal() else 0, path.name),
    )
    return [path for path in (folder / "results.json", *numbered) if path.is_file()]


def _without_replicates(path: Path) -> record.Record | None:
    raw = _json(path)
    if raw.get("replicates"):
        raw["replicates"] = []
    try:
        return record.from_json(json.dumps(raw), str(path)) if raw else None
    except record.RecordError:
        return None


def _moment(text: Any) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    return aware.astimezone(datetime.UTC)


def _state(path: Path) -> dict[str, Any]:
    """Return how far a job is; nothing where a field is of another kind than the pages take it for."""
    state = _json(path)
    attempts, failure = state.get("attempts") or [], state.get("failure") or {}
    fine = isinstance(attempts, list) and all(isinstance(each, dict) for each in attempts)
    return state if fine and isinstance(failure, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
