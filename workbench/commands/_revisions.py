"""What `workbench compare` does with two git revisions: machine code first, then time in turns where it differs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands._measuring import describe_run, make_request
from workbench.errors import Exit, InputError
from workbench.measure.git import Revision, find_revision, is_dirty, resolve
from workbench.measure.revisions import Source, arms_of, source_of
from workbench.record import Comparison, Run, Verdict

if TYPE_CHECKING:
    from workbench.measure.arms import Arm
    from workbench.measure.codes import VariantCode
    from workbench.measure.driver import Report

SAME_CODE = "its machine code is the same in both: the environment or the memory layout moved, not the code"


@dataclass(frozen=True)
class Asked:
    """Two revisions of what lies in one repository; `note` where a name could also mean a variant."""

    source: Source
    a: Revision
    b: Revision
    note: str = ""


def as_revisions(a: str, b: str, kernels: Sequence[str], modules: Sequence[str]) -> tuple[Asked | None, str]:
    """Return the revisions that `a` and `b` name, None where they are variants; and a sentence where both would do.

    What looks like a variant is taken as one where both do: KERNEL/VARIANT, or VARIANT with one -k, with a file of
    that name. Raises InputError where one is a revision and the other is not.
    """
    texts = (a, b)
    variants = [_is_variant(text, kernels, modules) for text in texts]
    paths = [str(Path.cwd())] if modules else []
    try:
        source = source_of(modules, paths)
    except InputError:
        return None, ""
    found = [find_revision(source.repository, text) for text in texts]
    if all(variants):
        both = [text for text, revision in zip(texts, found, strict=True) if revision is not None]
        note = f"{' and '.join(both)} is taken as a variant; for the revision, write refs/heads/NAME or a commit"
        return None, note if both else ""
    if not any(found):
        return None, ""
    for text, revision, variant in zip(texts, found, variants, strict=True):
        if revision is None and (variant or "/" in text):
            other = texts[1 - texts.index(text)]
            raise InputError(f"{other} is a git revision and {text} is none: give two revisions, or two variants")
        if revision is None:
            resolve(source.repository, text)
    doubtful = [text for text, variant in zip(texts, variants, strict=True) if variant]
    note = f"{doubtful[0]} is taken as a git revision, since the other is one; it is a variant too" if doubtful else ""
    assert found[0] is not None and found[1] is not None
    return Asked(source, found[0], found[1], note), note


def _is_variant(text: str, kernels: Sequence[str], modules: Sequence[str]) -> bool:
    """Return whether a file of a kernel's folder has the variant's name; nothing is imported."""
    kernel, _, variant = text.rpartition("/")
    names = [kernel] if kernel else [each for each in kernels if "/" not in each]
    folders = [Path(__file__).resolve().parents[2] / "kernels" / name for name in names]
    if names:
        folders += [Path.cwd() / Path(*module.split(".")) for module in modules]
    return any((folder / f"{variant}.py").is_file() for folder in folders)


def compare_revisions(
    asked: Asked, kernels: Sequence[str], everything: bool, as_json: bool, options: dict[str, Any]
) -> tuple[list[Comparison], bool]:
    """Compare the kernels' variants in two revisions, print what was found, and save what was timed.

    Returns the rows that were judged, and whether the second revision has code that cannot be compiled any more.
    `everything` times also what has the same machine code. Raises InputError where nothing can be compared.
    """
    from workbench.measure.codes import codes_in_arms
    from workbench.measure.progress import choose_progress
    from workbench.measure.turns import measure_in_turns
    from workbench.measure.turns_job import EVERYTHING

    request = make_request(list(kernels) or [EVERYTHING], **options)
    progress = choose_progress()
    with arms_of(asked.source, [asked.a, asked.b]) as arms:
        codes, notes = codes_in_arms(request, arms, progress)
        told = Told(asked, arms, codes, [asked.note, *_about(asked), *notes])
        timed = [code.name for code in codes if told.is_timed(code, everything)]
        if not timed and not told.broken and not any(code.same for code in codes):
            raise InputError(f"nothing can be compared: {'; '.join(told.lines())}")
        if not timed:
            click.echo(told.document(None) if as_json else "\n".join(told.lines()))
            return [], bool(told.broken)
        report = measure_in_turns(replace(request, selectors=timed), arms, choose_progress())
    run = told.run_of(report, timed)
    _save(run)
    if as_json:
        click.echo(told.document(run))
    else:
        click.echo("\n\n".join([*told.tables(run), "\n".join(told.lines()), "\n".join(describe_run(run, report))]))
    return run.comparisons, bool(told.broken)


def _about(asked: Asked) -> list[str]:
    """Return what is to be known of the revisions themselves."""
    notes = []
    if asked.a.commit == asked.b.commit:
        notes.append(f"{asked.a.name} and {asked.b.name} are the same commit")
    if None not in (asked.a.commit, asked.b.commit) and is_dirty(asked.source.repository):
        notes.append("the working tree holds changes that are in neither revision: . names it")
    return notes


def _save(run: Run) -> None:
    from workbench.store import open_store

    open_store().add(run)


@dataclass(frozen=True)
class Told:
    """What two revisions' machine code says, and how it is told."""

    asked: Asked
    arms: Sequence[Arm]
    codes: Sequence[VariantCode]
    notes: Sequence[str]

    @property
    def broken(self) -> list[VariantCode]:
        """Return what could be compiled in the first revision and cannot in the second."""
        return [code for code in self.codes if code.everywhere and not code.failures[0] and code.failures[1]]

    def is_timed(self, code: VariantCode, everything: bool) -> bool:
        """Return whether a variant is timed: it is in both, compiles in both, and differs."""
        return code.everywhere and not any(code.failures) and (everything or not code.same)

    def run_of(self, report: Report, timed: Sequence[str]) -> Run:
        """Return the record, its notes naming the commits; what has the same code cannot be slower or faster."""
        from workbench.measure.runs import build_run

        first, second = (arm.label for arm in self.arms)
        run = build_run(report, [(f"{name}@{first}", f"{name}@{second}") for name in timed])
        same = {code.name for code in self.codes if code.same}
        rows = [_excused(row) if row.a.split("@")[0] in same else row for row in run.comparisons]
        notes = [self.heading(), *filter(None, self.notes), *self._changes(), *run.notes]
        return run.model_copy(update={"comparisons": rows, "notes": notes})

    def heading(self) -> str:
        """Return which revisions these are."""
        (a, b), (first, second) = (self.asked.a, self.asked.b), self.arms
        return f"{first.label} is {a}; {second.label} is {b}"

    def lines(self) -> list[str]:
        """Return what is said without any timing."""
        same = [code.name for code in self.codes if code.same]
        lines = [self.heading(), *filter(None, self.notes)]
        if same:
            lines.append(f"no code change: {', '.join(same)}")
        for code in self.codes:
            if not code.everywhere:
                holder = self.arms[0 if code.codes[0] is not None else 1].label
                lines.append(f"{code.name} is in {holder} alone")
            for arm, failure in zip(self.arms, code.failures, strict=True):
                if failure:
                    lines.append(f"{code.name} cannot be compiled in {arm.label}: {failure}")
        return [*lines, *self._changes()]

    def _changes(self) -> list[str]:
        lines = []
        for code in self.codes:
            functions = code.changed_functions()
            if functions and not code.same:
                lines.append(f"{code.name}: other machine code in {', '.join(functions)}")
            if code.state_alone:
                lines.append(f"{code.name}: the same machine code, with other parameters or another state")
        return lines

    def tables(self, run: Run) -> list[str]:
        """Return one table for each variant that was timed."""
        from workbench.measure.comparison import Comparison as Table
        from workbench.measure.results import not_compared

        tables = []
        for pair in dict.fromkeys((row.a, row.b) for row in run.comparisons):
            rows = tuple(row for row in run.comparisons if (row.a, row.b) == pair)
            tables.append(str(Table(*pair, rows, tuple(not_compared(run.replicates, *pair)))))
        return tables

    def document(self, run: Run | None) -> str:
        """Return one JSON object: the revisions, the code of every variant, and the record of what was timed."""
        revisions = [
            {"label": arm.label, "commit": each.commit, "subject": each.subject}
            for arm, each in zip(self.arms, (self.asked.a, self.asked.b), strict=True)
        ]
        code = [
            {
                "variant": each.name,
                "same": each.same,
                "hashes": [found.hash if found else None for found in each.codes],
                "failures": each.failures,
                "changed_functions": each.changed_functions(),
            }
            for each in self.codes
        ]
        made = {"schema": "workbench/revisions/1", "revisions": revisions, "code": code, "notes": self.lines()[1:]}
        return json.dumps({**made, "run": None if run is None else json.loads(run.to_json())})


def _excused(row: Comparison) -> Comparison:
    """Return a row of equal machine code: a difference is then not the code's."""
    if row.verdict not in (Verdict.SLOWER, Verdict.FASTER):
        return row
    return row.model_copy(update={"verdict": Verdict.ENVIRONMENT_INVALID, "reason": SAME_CODE})


def exit_of(rows: Sequence[Comparison], statistics: Sequence[str], broken: bool) -> Exit:
    """Return the exit code: of the verdicts on `statistics`; fine where no code changed, failed where it is broken."""
    from workbench.gate.outcome import Outcome, worst_verdict

    if broken:
        return Exit.FAILED
    if not rows:
        return Exit.FINE
    deciding = [row for row in rows if row.statistic in statistics]
    return Outcome(headline="", verdict=worst_verdict(deciding)).exit_code if deciding else Exit.UNRESOLVED
