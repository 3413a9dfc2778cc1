"""Judge whether it got slower: a revision against another, or the newest results against a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from workbench.commands._measuring import make_request, measuring_options
from workbench.errors import Exit, InputError

if TYPE_CHECKING:
    from workbench.gate.margins import Margins
    from workbench.gate.running import GateResult

_FILE = click.Path(path_type=Path, dir_okay=False)
_MEASURING = ("workload", "input_file", "replicates", "seconds", "parameters", "modules")


@click.command("gate")
@click.argument("kernels", nargs=-1, metavar="[KERNEL[/VARIANT]]...")
@click.option("--against", metavar="REVISION", help="Measure this git revision and the candidate, in turns.")
@click.option("--candidate", metavar="REVISION", help="What is judged; . is the working tree.  [.]")
@click.option("--baseline", metavar="NAME", help="Judge the newest stored run against this saved baseline instead.")
@click.option("--threshold", type=float, metavar="PERCENT", help="The margin of every metric; else the policy's.")
@click.option("--margins", "margins_file", type=_FILE, metavar="FILE", help="Margins by kernel and metric, in TOML.")
@click.option("--all", "every", is_flag=True, help="Also time variants whose machine code did not change.")
@click.option("--instructions", is_flag=True, help="Also count instructions, by callgrind: needs no quiet machine.")
@click.option("--no-timing", is_flag=True, help="With --instructions: only count.")
@click.option("--budgets", "budgets_file", type=_FILE, metavar="FILE", help="Budgets that fail the gate when missed.")
@click.option("--allow-unresolved", is_flag=True, help="Exit 0 where nothing worse than UNRESOLVED was found.")
@click.option("--markdown", "markdown_file", type=_FILE, metavar="FILE", help="Write a pull-request comment.")
@click.option("--junit", "junit_file", type=_FILE, metavar="FILE", help="Write JUnit XML.")
@click.option("--no-save", is_flag=True, help="Do not save to the store.")
@click.option("--workflow", is_flag=True, help="Print a GitHub Actions workflow that gates pull requests, and end.")
@measuring_options
def command(
    kernels: tuple[str, ...],
    against: str | None,
    candidate: str | None,
    baseline: str | None,
    threshold: float | None,
    margins_file: Path | None,
    instructions: bool,
    no_timing: bool,
    budgets_file: Path | None,
    allow_unresolved: bool,
    markdown_file: Path | None,
    junit_file: Path | None,
    no_save: bool,
    workflow: bool,
    as_json: bool,
    every: bool,
    **options: Any,
) -> int:
    """Judge whether it got slower: a revision against another, or the newest results against a baseline.

    With --against both sides are measured in turns, with the base a second time and a control kernel beside them;
    what is flagged is confirmed in fresh processes. Without it the newest stored run of each kernel is judged against
    a saved baseline.

    \b
    workbench gate --against main order_book
    workbench gate --against v1.2 --candidate HEAD --markdown comment.md --junit gate.xml
    workbench gate --against main --instructions --no-timing
    workbench gate order_book --baseline monday

    \b
    Exit codes: 0 fine, 1 failed, 2 bad input, 3 SLOWER or over budget, 4 UNRESOLVED, 5 ENVIRONMENT INVALID.
    """
    if workflow:
        click.echo(_workflow(), nl=False)
        return 0
    _check(against, candidate, baseline, threshold, margins_file, instructions, no_timing, every)
    margins = _margins(threshold, margins_file)
    budgets = _budgets(budgets_file)
    if against is None:
        _check_stored(click.get_current_context())
        result = _against_baseline(kernels, baseline, margins, budgets)
    else:
        result = _against_revision(
            kernels, against, candidate or ".", margins, every, instructions, not no_timing, budgets, options
        )
    return _deliver(result, as_json, markdown_file, junit_file, no_save, allow_unresolved)


def _check(
    against: str | None,
    candidate: str | None,
    baseline: str | None,
    threshold: float | None,
    margins_file: Path | None,
    instructions: bool,
    no_timing: bool,
    every: bool,
) -> None:
    if against is not None and baseline is not None:
        raise InputError("--against measures two revisions, --baseline reads stored runs: give one of them")
    if against is None and (candidate is not None or instructions or every):
        raise InputError("--candidate, --instructions and --all need --against REVISION: stored runs have no code")
    if threshold is not None and margins_file is not None:
        raise InputError("--threshold and --margins both set the margins: give one of them")
    if no_timing and not instructions:
        raise InputError("--no-timing leaves nothing to judge: give --instructions with it")
    if no_timing:
        from workbench.gate.instructions import missing

        reason = missing()
        if reason:
            raise InputError(f"nothing can be judged with --no-timing: {reason}")


def _check_stored(context: click.Context) -> None:
    """Refuse the options of measuring where stored runs are judged: they would change nothing."""
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name in _MEASURING and context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise InputError(
            f"{', '.join(given)} would change nothing: stored runs are judged as they were measured; leave it away, "
            "or give --against REVISION"
        )


def _margins(threshold: float | None, file: Path | None) -> Margins:
    from workbench.gate.margins import Margins, read_margins, same_for_all

    if threshold is not None:
        return same_for_all(threshold)
    return Margins() if file is None else read_margins(file)


def _budgets(file: Path | None) -> tuple[Any, bool]:
    """Return the budgets, and whether they can fail the gate: only those that the person names can."""
    from workbench.gate.budgets import read_budgets

    return read_budgets(file), file is not None


def _against_baseline(
    kernels: tuple[str, ...], name: str | None, margins: Margins, budgets: tuple[Any, bool]
) -> GateResult:
    from workbench.gate.newest import gate_newest
    from workbench.gate.running import GateResult
    from workbench.measure.machine import fingerprint
    from workbench.store import open_store

    gate = gate_newest(open_store(), fingerprint().hardware_key, kernels, name, margins, *budgets)
    return GateResult(gate, [])


def _against_revision(
    kernels: tuple[str, ...],
    against: str,
    candidate: str,
    margins: Margins,
    every: bool,
    instructions: bool,
    timing: bool,
    budgets: tuple[Any, bool],
    options: dict[str, Any],
) -> GateResult:
    from workbench.gate.revisions import gate_revisions
    from workbench.gate.running import Options
    from workbench.measure.progress import choose_progress

    request = make_request(kernels or _every_kernel(), **options)
    chosen = Options(margins, every, timing, instructions, *budgets)
    return gate_revisions(request, against, candidate, chosen, choose_progress)


def _every_kernel() -> list[str]:
    """Return what stands for every kernel: which ones there are, each side tells of itself, as one may have more."""
    from workbench.measure.turns_job import EVERYTHING

    return [EVERYTHING]


def _deliver(
    result: GateResult,
    as_json: bool,
    markdown_file: Path | None,
    junit_file: Path | None,
    no_save: bool,
    allow_unresolved: bool,
) -> int:
    """Print, write and save the conclusion, and return the exit code."""
    from workbench.files import write_text
    from workbench.gate.conclude import exit_code
    from workbench.gate.junit import junit
    from workbench.gate.markdown import markdown
    from workbench.gate.words import text

    gate = result.gate
    click.echo(gate.to_json() if as_json else text(gate))
    if allow_unresolved and exit_code(gate) is Exit.UNRESOLVED:
        click.echo("UNRESOLVED does not block here: --allow-unresolved was given", err=as_json)
    for file, make in ((markdown_file, markdown), (junit_file, junit)):
        if file is not None:
            write_text(file, make(gate))
    if not no_save:
        from workbench.store import open_store

        store = open_store()
        for record in (*result.runs, gate):
            store.add(record)
        click.echo(f"saved as {gate.record_id}", err=as_json)
    return exit_code(gate, allow_unresolved)


def _workflow() -> str:
    from workbench.files import shipped

    return (shipped("reports") / "templates" / "performance-gate.yml").read_text(encoding="utf-8")
