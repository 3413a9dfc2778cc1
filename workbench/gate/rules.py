"""What a batch judges by: a plan's own budgets and margins, which travel with each job to whoever runs it.

The runner writes them as ``rules.json`` into the job's folder before the notebook starts; what reads the results later
finds there what they were judged by.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import WorkbenchError
from workbench.files import write_text
from workbench.gate.budgets import Budget, read_budgets
from workbench.gate.margins import Margins

FILE = "rules.json"


class Rules(BaseModel):
    """Budgets and margins. Without budgets the shipped ones are shown, and miss nothing: see `Rules.binding`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budgets: list[Budget] | None = None
    margins: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="by kernel (empty: all) and metric, as 0.03; else the policy's"
    )

    @property
    def binding(self) -> bool:
        """Return whether a missed budget counts: one that somebody chose does, the shipped ones are of one machine."""
        return self.budgets is not None

    def chosen_budgets(self) -> list[Budget]:
        """Return the budgets to judge by."""
        return read_budgets() if self.budgets is None else list(self.budgets)

    def chosen_margins(self) -> Margins:
        """Return the margins to judge by."""
        return Margins({kernel: dict(table) for kernel, table in self.margins.items()})


def write_rules(folder: Path, rules: Rules) -> None:
    """Write `rules` into a job's folder."""
    write_text(folder / FILE, rules.model_dump_json(indent=1, exclude_none=True) + "\n")


def read_rules(folder: Path | None) -> Rules:
    """Return the rules in a job's folder; the workbench's own without a folder or a file.

    Raises WorkbenchError when the file is damaged.
    """
    if folder is None or not (folder / FILE).is_file():
        return Rules()
    try:
        return Rules.model_validate_json((folder / FILE).read_bytes())
    except ValidationError as error:
        raise WorkbenchError(f"{folder / FILE} holds no rules of a job: {error.errors()[0]['msg']}") from None
