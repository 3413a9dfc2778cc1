"""Counters by source line, and what a person needs to read them. Pure data, whichever tool counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workbench.codemap.lines import Frame
from workbench.record import Machine, ProfileRecord


class Line(NamedTuple):
    """Where a counter belongs: a line of source, and the function it stands in. No line is 0."""

    function: str
    file: str
    line: int


@dataclass
class LineNote:
    """What is known of the machine code of one line."""

    width: str = ""  # as "zmm x8", "scalar"; empty when nothing was computed
    detail: str = ""  # one sentence: loads, gathers, spills, calls
    assembly: list[str] = field(default_factory=list)


@dataclass
class Counted:
    """Counters by line, from one tool or several.

    `counters` has one entry a line and counter (``samples``, ``instructions``, ``d1_misses`` ...); `main` is the
    counter that lines are ranked by. `stacks` holds the same `main` counter by chain of inlined calls, outermost
    first. `sources` keeps the text of the files, so that a saved profile stays readable.
    """

    title: str
    kind: str  # cpu, cache, memory, system
    main: str = "samples"
    counters: dict[Line, dict[str, float]] = field(default_factory=dict)
    stacks: dict[tuple[Frame, ...], float] = field(default_factory=dict)
    notes_by_line: dict[Line, LineNote] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    outside: dict[str, float] = field(default_factory=dict)  # `main` that belongs to no line: interpreter, libraries
    badges: dict[str, str] = field(default_factory=dict)  # function: "same code", or how the build differs
    overhead: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    artefacts: list[str] = field(default_factory=list)

    def add(self, line: Line, counter: str, amount: float) -> None:
        """Add `amount` to one counter of one line."""
        here = self.counters.setdefault(line, {})
        here[counter] = here.get(counter, 0.0) + amount

    @property
    def total(self) -> float:
        """Return the sum of the main counter over all lines, without what is outside."""
        return sum(counters.get(self.main, 0.0) for counters in self.counters.values())

    def share(self, line: Line, counter: str | None = None) -> float:
        """Return the part of a counter (the main one when None) that falls on `line`, 0 .. 1."""
        name = counter or self.main
        total = sum(counters.get(name, 0.0) for counters in self.counters.values())
        return self.counters.get(line, {}).get(name, 0.0) / total if total else 0.0

    def shares_by_source(self) -> dict[tuple[str, int], float]:
        """Return the part of the main counter by (file, line), whichever function it was inlined into."""
        found: dict[tuple[str, int], float] = {}
        for line in self.counters:
            key = (line.file, line.line)
            found[key] = found.get(key, 0.0) + self.share(line)
        return found

    def counter_names(self) -> list[str]:
        """Return the counters there are, the main one first."""
        names = {name for counters in self.counters.values() for name in counters}
        return [self.main, *sorted(names - {self.main})]

    def top(self, count: int = 10) -> list[tuple[Line, float]]:
        """Return the lines with most of the main counter and their share, most first."""
        ranked = sorted(self.counters, key=lambda line: (-self.share(line), line))
        return [(line, self.share(line)) for line in ranked[:count]]

    def source(self, line: Line) -> str:
        """Return the text of a line, without its line end; empty when it is not known."""
        text = self.sources.get(line.file, [])
        return text[line.line - 1].rstrip() if 0 < line.line <= len(text) else ""

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON-able row a line, most of the main counter first."""
        found = []
        for line, share in self.top(len(self.counters)):
            note = self.notes_by_line.get(line, LineNote())
            found.append(
                {
                    **line._asdict(),
                    "source": self.source(line),
                    "share": share,
                    "counters": dict(self.counters[line]),
                    "width": note.width,
                    "detail": note.detail,
                    "assembly": list(note.assembly),
                }
            )
        return found

    def to_record(self, machine: Machine) -> ProfileRecord:
        """Return the record of this profile. It keeps the lines; stacks go into the artefacts."""
        return ProfileRecord(
            machine=machine,
            variant=self.title,
            profile_kind=self.kind,  # type: ignore[arg-type]  # pydantic checks it
            results=self.rows(),
            overhead={**self.overhead, **{f"outside: {name}": amount for name, amount in self.outside.items()}},
            artefacts=list(self.artefacts),
            notes=[*self.notes, *(f"{function}: {badge}" for function, badge in self.badges.items())],
        )
