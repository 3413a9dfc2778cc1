"""A job's folder as a report reads it: from its JSON files alone, so that any engine may have filled it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import record
from workbench.errors import WorkbenchError
from workbench.gate.outcome import Outcome, read_outcome
from workbench.record import Verdict

ARTEFACTS = ("results.json", "outcome.json", "params.json", "state.json", "executed.ipynb", "log.txt")


@dataclass(frozen=True)
class JobView:
    """What is known of a job. `params` and `state` are its files; a file that is not there yet is empty."""

    folder: Path
    params: Mapping[str, Any]
    state: Mapping[str, Any]
    outcome: Outcome | None
    run: record.Run | None

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
        if self.run is None:
            return []
        order = {verdict: place for place, verdict in enumerate(_MATTERS)}
        found = [row for row in self.run.comparisons if "@" in row.a]
        return sorted(found, key=lambda row: (order[row.verdict], -abs(row.ratio - 1)))

    def artefacts(self) -> list[str]:
        """Return the names of the files that a report links to."""
        known = [name for name in ARTEFACTS if (self.folder / name).exists()]
        skipped = {*ARTEFACTS, "report.html"}
        others = [path.name for path in sorted(self.folder.iterdir()) if path.name not in skipped]
        return known + [name for name in others if not name.startswith(".")]


_MATTERS = (Verdict.SLOWER, Verdict.ENVIRONMENT_INVALID, Verdict.UNRESOLVED, Verdict.FASTER, Verdict.UNCHANGED)


def read_job_view(folder: Path, state: Mapping[str, Any] | None = None) -> JobView:
    """Return what is known of the job in `folder`; `state` is newer than its file. Damaged files read as empty."""
    outcome, run = None, None
    try:
        outcome = read_outcome(folder)
        read = record.read(folder / "results.json")
        run = read if isinstance(read, record.Run) else None
    except (WorkbenchError, record.RecordError, OSError):
        pass  # absent or damaged: the runner has told it as a failure
    return JobView(folder, _json(folder / "params.json"), state or _json(folder / "state.json"), outcome, run)


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
