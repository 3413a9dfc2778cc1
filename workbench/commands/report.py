"""Pages over batches: the site of all nights, two nights against each other, success criteria, a batch's index anew."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.errors import Exit, InputError

_OUT = Path("reports/out")


@click.group("report")
def command() -> None:
    """Pages over batches: made from stored results, nothing is measured.

    \b
    workbench report site                                 reports/out/index.html, every night
    workbench report diff quick-2026-11-22 quick-2026-11-23
    workbench report criteria                             what holds, with the evidence
    workbench report index reports/out/quick-2026-11-23
    """


_out_option = click.option(
    "--out", type=click.Path(path_type=Path), default=_OUT, show_default=True, help="The folder of all batches."
)


@command.command("site")
@_out_option
@click.option("--add", "batch", metavar="NIGHT", help="Add one batch, or bring it up to date, instead of all.")
def site_(out: Path, batch: str | None) -> int:
    """Write the site over all nights anew: the first page, a page for every month.

    A batch adds itself when it ends; this is for batches that were copied here, or whose folders were cleaned away:
    their figures stay, the links to them go. What is known is not read again, except by --add. The last line is the
    path of the first page.
    """
    from workbench.gate.budgets import read_budgets
    from workbench.report.diff import find_night
    from workbench.report.site import add_night, rebuild
    from workbench.report.view import read_batch_view

    if batch is None:
        click.echo(str(rebuild(out.absolute(), lambda sentence: click.echo(sentence, err=True))))
    else:
        click.echo(str(add_night(out.absolute(), read_batch_view(find_night(batch, out), read_budgets()))))
    return Exit.FINE


@command.command("diff")
@click.argument("before", metavar="NIGHT")
@click.argument("after", metavar="NIGHT")
@_out_option
@click.option("--html", "page", type=click.Path(path_type=Path), help="The page. [nights/NIGHT..NIGHT.html in --out]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def diff_(before: str, after: str, out: Path, page: Path | None, as_json: bool) -> int:
    """Compare two nights, the earlier one first: every run that both stored, on one kind of machine.

    A NIGHT is the name of a batch in the folder of --out, or its beginning, or a path. Ends with 3 when something got
    slower, 4 when something is not resolved, 5 when the environment moved. The last line is the path of the page.
    """
    import json

    from workbench.errors import worst
    from workbench.gate.outcome import Outcome
    from workbench.report.diff import diff_json, diff_lines, diff_nights, find_night, write_diff
    from workbench.report.view import read_batch_view

    first, second = (find_night(name, out) for name in (before, after))
    if first == second:
        raise InputError(f"{before!r} and {after!r} are the same night: name two")
    found = diff_nights(read_batch_view(first), read_batch_view(second))
    path = page or out / "nights" / f"{first.name}..{second.name}.html"
    write_diff(found, path.absolute())
    if as_json:
        click.echo(json.dumps({**diff_json(found), "page": str(path.absolute())}))
    else:
        for line in diff_lines(found):
            click.echo(line)
        click.echo(str(path.absolute()))
    return worst([Outcome(headline="", verdict=change.verdict).exit_code for change in found.changes])


@command.command("index")
@click.argument("batch", type=click.Path(path_type=Path))
def index_(batch: Path) -> int:
    """Write the index and the summaries of a batch anew, from the files of its jobs.

    The last line is the path of the index.
    """
    from workbench.gate.budgets import read_budgets
    from workbench.report.index import write_index

    if not (batch / "batch.json").is_file():
        raise InputError(f"{batch} is no batch: give a folder that holds a batch.json")
    click.echo(str(write_index(batch.absolute(), read_budgets())))
    return Exit.FINE


@command.command("criteria")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@_out_option
@click.option("--store", metavar="URL", help="The database. [$WORKBENCH_STORE, else the data folder's]")
@click.option("--html", "page", type=click.Path(path_type=Path), help="The page. [criteria.html in --out]")
@click.option("--markdown", type=click.Path(path_type=Path), help="The same in Markdown. [criteria.md beside the page]")
def criteria_(file: Path | None, out: Path, store: str | None, page: Path | None, markdown: Path | None) -> int:
    """Say of every success criterion in FILE (TOML; the shipped reports/criteria.toml) whether it is met.

    Each comes with its evidence: a stored record with its value and interval, or what the nights tell. What nothing was
    measured for has NO EVIDENCE YET. Ends with 3 when one is not met, 4 when one is not resolved. The last line is the
    path of the page.
    """
    from workbench.errors import worst
    from workbench.measure.machine import fingerprint
    from workbench.report.criteria import State, criteria_file, judge_criteria, read_criteria
    from workbench.report.criteria_page import write_criteria
    from workbench.report.evidence import Finder
    from workbench.store import open_store

    chosen = file or criteria_file()
    finder = Finder(open_store(store), fingerprint().hardware_key, out.absolute(), chosen.absolute().parent)
    judged = judge_criteria(read_criteria(chosen), finder)
    path = (page or out / "criteria.html").absolute()
    write_criteria(judged, path, (markdown or path.with_suffix(".md")).absolute())
    for each in judged:
        click.echo(f"{each.state.value:<16} {each.criterion.words}")
    click.echo(str(path))
    states = {each.state for each in judged}
    codes = {State.NOT_MET: Exit.REGRESSION, State.UNRESOLVED: Exit.UNRESOLVED}
    return worst([code for state, code in codes.items() if state in states])
