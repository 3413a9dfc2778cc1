"""What a job concluded: the small file beside its results that batches, indexes and exit codes read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import Exit, WorkbenchError, worst
from workbench.files import write_text
from workbench.record import Comparison, GateCell, Verdict

FILE = "outcome.json"
_EXITS = {
    Verdict.SLOWER: Exit.REGRESSION,
    Verdict.UNRESOLVED: Exit.UNRESOLVED,
    Verdict.ENVIRONMENT_INVALID: Exit.INVALID,
}
_WORST_FIRST = (
    Verdict.ENVIRONMENT_INVALID,
    Verdict.SLOWER,
    Verdict.UNRESOLVED,
    Verdict.FASTER,
    Verdict.UNCHANGED,
)


class Outcome(BaseModel):
    """A job's conclusion. `verdict` is None where nothing was judged, as in a first run or a mere measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    headline: str
    findings: list[str] = Field(default_factory=list, description="sentences, computed from the data")
    verdict: Verdict | None = None
    save_baseline: str | None = Field(default=None, description="the name under which the results become a baseline")
    baseline_id: str | None = Field(default=None, description="the record that was compared with")

    @property
    def exit_code(self) -> Exit:
        """Return the exit code that tells of the verdict."""
        return Exit.FINE if self.verdict is None else _EXITS.get(self.verdict, Exit.FINE)


def worst_verdict(comparisons: Sequence[Comparison | GateCell]) -> Verdict | None:
    """Return the verdict that several comparisons come to, in the order of the exit codes; None without any."""
    found = {comparison.verdict for comparison in comparisons}
    return next((verdict for verdict in _WORST_FIRST if verdict in found), None)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write `outcome` into a job's folder."""
    write_text(folder / FILE, outcome.model_dump_json(indent=1) + "\n")


def read_outcome(folder: Path) -> Outcome | None:
    """Return the outcome in a job's folder; None where there is none. Raises WorkbenchError when it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Outcome.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise WorkbenchError(f"{path} is no outcome of a job: {error.errors()[0]['msg']}") from None


def exit_of(outcomes: Sequence[Outcome | None], failed: bool) -> Exit:
    """Return the exit code of several jobs; `failed` says whether any of them failed."""
    codes = [outcome.exit_code for outcome in outcomes if outcome is not None]
    return worst([*codes, Exit.FAILED] if failed else codes)
