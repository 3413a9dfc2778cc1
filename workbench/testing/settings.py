"""What the pytest plugin and its fixture share: the options, and the line that a measurement leaves in the summary."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Settings:
    """Where the tests are, and what the command line asked for."""

    project: str = ""  # the name of the tests' root folder: its baselines are its own
    save: bool = False
    against: str | None = None
    threshold: float | None = None  # relative, as 0.1
    strict: bool = False
    seconds: float | None = None
    replicates: int | None = None


@dataclass(frozen=True)
class Line:
    """What one measurement said. `verdict` is None where nothing was judged."""

    test: str
    title: str
    verdict: str | None
    figure: str  # the ratio with its interval, or a time; empty for none
    reason: str
    record_id: str | None = None

    def to_json(self) -> str:
        """Return the line as one JSON object, the form that crosses from an xdist worker."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Line:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    @property
    def sentence(self) -> str:
        """Return the line as a person reads it."""
        head = f"{self.title}: {self.verdict}" if self.verdict else self.title
        return ", ".join(part for part in (head, self.figure, self.reason) if part)


def summary(lines: list[Line]) -> list[str]:
    """Return the rows of the terminal's summary: the verdict first, then test, what was compared, figure and reason."""
    rows = []
    for line in lines:
        rows.append(f"{line.verdict or 'SAVED':<19} {line.test}: {line.title} {line.figure}".rstrip())
        if line.reason:
            rows.append(f"{'':<19} {line.reason}")
    return rows
