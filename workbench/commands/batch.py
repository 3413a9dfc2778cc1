"""Run a plan of notebooks to reports, resume what is done, write the index."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.batch.engines import EngineChoice
    from workbench.batch.folder import Batch
    from workbench.batch.job import Job
    from workbench.batch.plan import Plan
    from workbench.gate.rules import Rules
    from workbench.record import Machine


@click.command("batch")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--batch", "name", help="Name of the batch; running it again resumes it. [plan and date]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/out"), show_default=True)
@click.option("--tags", metavar="A,B", default="", help="Only jobs with one of these tags.")
@click.option("--skip", metavar="A,B", default="", help="No job with one of these tags.")
@click.option("--dry-run", is_flag=True, help="Say what would run and how long it will take, and do nothing.")
@click.option("--engine", metavar="NAME", help="What runs the jobs, instead of the plan's choice. [local]")
@click.option(
    "--address",
    "--scheduler",
    "address",
    metavar="URL",
    help="Of a scheduler, where an engine has one. [$WORKBENCH_SCHEDULER]",
)
@click.option("--at-once", type=click.IntRange(1, 256), help="Jobs that time nothing, at the same time on one host.")
@click.option("--outside", is_flag=True, help="Let the plan name a scheduler, and notebooks and code anywhere.")
@click.option("--shared-assets", is_flag=True, help="One copy of plotly.js for all reports: 4.8 MB less for each.")
@click.option("--store", help="Where results are kept: an SQLite file or a database URL. [data folder]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, instead of the index's path.")
def command(
    plan: Path,
    name: str | None,
    out: Path,
    tags: str,
    skip: str,
    dry_run: bool,
    engine: str | None,
    address: str | None,
    at_once: int | None,
    outside: bool,
    shared_assets: bool,
    store: str | None,
    as_json: bool,
) -> int:
    """Run the notebooks of PLAN (TOML, or `quick`), one after the other, and write an index of their reports.

    A batch is a plan and a date: run it again on the same day and only what is missing, failed or changed is done. A
    failing job never stops the others. The last line is the path of the index.

    \b
    workbench batch nightly --dry-run
    workbench batch reports/nightly.toml --tags quick --json
    workbench batch nightly --batch nightly-2026-11-23     (resume the batch of another day)

    \b
    Exit codes: 0 fine, 1 a job failed, 2 bad input, 3 SLOWER or over the plan's budgets, 4 UNRESOLVED,
    5 ENVIRONMENT INVALID.
    """
    from workbench.batch.plan import find_plan, read_plan
    from workbench.measure.machine import fingerprint

    file = find_plan(plan)
    read = read_plan(file)
    choice = _engine(read.engine, engine, address, at_once, outside)
    asked = _prepare(read, file.absolute(), name, fingerprint(Path.cwd()), choice, _words(tags), _words(skip), outside)
    folder = (out / asked.name).absolute()
    if dry_run:
        from workbench.batch.folder import check_plan, read_batch
        from workbench.commands._batch_dry_run import dry_run as tell

        check_plan(read_batch(folder), asked.file)
        return tell(asked, folder, as_json)
    from workbench.commands._batch_run import run

    return run(asked, folder, store, as_json, shared_assets)


@dataclass(frozen=True)
class Asked:
    """What a person asked for: the plan, its jobs, and those of them that were chosen."""

    plan: Plan
    file: Path
    name: str
    machine: Machine
    rules: Rules
    engine: EngineChoice
    planned: list[Job]
    chosen: list[Job]

    @property
    def anywhere(self) -> bool:
        """Return whether jobs run on other machines too: then one that another kind of machine did is done."""
        return self.engine.name != "local"

    def described(self, earlier: Batch | None, estimated_s: float | None) -> Batch:
        """Return the batch's description; one that is resumed keeps when it began and what was expected."""
        from workbench.batch.folder import Batch, merged_jobs

        return Batch(
            name=self.name,
            title=self.plan.title,
            plan=str(self.file),
            created=earlier.created if earlier else datetime.datetime.now(datetime.UTC),
            machine=self.machine,
            jobs=merged_jobs(earlier, self.machine.hardware_key, self.planned, self.chosen, anywhere=self.anywhere),
            rules=self.rules,
            estimated_s=earlier.estimated_s if earlier else estimated_s,
        )


def _engine(
    choice: EngineChoice, name: str | None, address: str | None, at_once: int | None, outside: bool
) -> EngineChoice:
    """Return the engine that is to run the jobs: the plan's choice, with what the command line and environment say.

    A scheduler runs code in the process that connects to it, so whoever wrote the plan does not choose it: raises
    InputError for an address in a plan, unless `outside` says that the plan is trusted.
    """
    given = {"name": name, "address": address, "at_once": at_once}
    choice = choice.model_copy(update={key: value for key, value in given.items() if value is not None})
    if address is None and choice.name != "local" and (known := os.environ.get("WORKBENCH_SCHEDULER")):
        return choice.model_copy(update={"address": known})
    if address is None and choice.address and not outside:
        raise InputError(
            f"the plan names the scheduler {choice.address[:80]!r}, which could run code here: give it by --scheduler, "
            "or trust the plan with --outside"
        )
    return choice


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _prepare(
    plan: Plan,
    file: Path,
    name: str | None,
    machine: Machine,
    engine: EngineChoice,
    tags: list[str],
    skip: list[str],
    outside: bool,
) -> Asked:
    """Return the batch's jobs and those that the tags choose. Raises InputError where that is none."""
    from workbench.batch.folder import batch_name, check_name, jobs_of
    from workbench.batch.plan import plan_rules

    known = {tag for entry in plan.job for tag in entry.tags}
    for tag in (*tags, *skip):
        if tag not in known:
            raise InputError(
                f"no job of {file} has the tag {tag[:60]!r}: there are {', '.join(sorted(known)) or 'none'}"
            )
    chosen_name = check_name(name or batch_name(file, datetime.datetime.now(datetime.UTC).date()))
    rules = plan_rules(plan, file)
    planned = jobs_of(plan, file, chosen_name, machine, None, rules=rules, outside=outside)
    entries = [entry for entry, _ in plan.expand()]
    chosen = [job for job, entry in zip(planned, entries, strict=True) if entry.wanted(tags, skip)]
    if not chosen:
        raise InputError(f"--tags and --skip leave no job of {file}: choose others")
    return Asked(plan, file, chosen_name, machine, rules, engine, planned, chosen)
