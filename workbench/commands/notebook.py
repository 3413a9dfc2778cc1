"""Run one notebook through papermill to a self-contained HTML report."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from workbench.errors import Exit, InputError, worst


@click.command("notebook")
@click.argument("name")
@click.option(
    "-p", "--parameter", "given", nargs=2, multiple=True, metavar="KEY VALUE", help="A parameter; repeatable."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the report. [reports/out/by-hand/NAME-TIME]")
@click.option("--limit", "limit_s", type=click.FloatRange(min=1), default=3600.0, show_default=True, help="Seconds.")
@click.option("--shared-assets", is_flag=True, help="Keep plotly.js in `assets` beside the folder, not in the report.")
@click.option("--store", help="Where results are kept: an SQLite file or a database URL. [data folder]")
@click.option("--list", "list_only", is_flag=True, help="List the notebook's parameters and do nothing.")
def command(
    name: str,
    given: tuple[tuple[str, str], ...],
    out: Path | None,
    limit_s: float,
    shared_assets: bool,
    store: str | None,
    list_only: bool,
) -> int:
    """Run the notebook NAME (a shipped one, or a path ending in .ipynb) with parameters, and write its report.

    The last line is the path of the report; lists are written as `-p variants ladder,aligned`.
    """
    from workbench.batch.parameters import check_parameters, declared_parameters, parse_values, read_notebook
    from workbench.batch.plan import find_notebook
    from workbench.files import shipped

    path = find_notebook(name).absolute()
    if not path.is_file() and not name.endswith(".ipynb"):
        known = ", ".join(sorted(file.stem for file in shipped("notebooks").glob("*.ipynb")))
        raise InputError(f"there is no notebook {name!r}: there are {known}; give another one as a path to an .ipynb")
    declared = declared_parameters(read_notebook(path), path.name)
    if list_only:
        for one in declared:
            unit = f" [{one.unit}]" if one.unit else ""
            click.echo(f"{one.name}: {one.type} = {one.default!r}  {one.help}{unit}")
        return Exit.FINE
    values = parse_values(declared, dict(given), path.name)
    check_parameters(declared, values, path.name)  # before anything is written or started
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ")
    folder = (out or Path("reports/out/by-hand") / f"{path.stem}-{now}").absolute()
    if shared_assets:
        from workbench.report.assets import share_assets

        share_assets(folder.parent)
    return _run(path, name, values, limit_s, store, folder)


def _run(path: Path, name: str, values: dict[str, object], limit_s: float, store: str | None, folder: Path) -> Exit:
    from workbench.batch.folder import locked
    from workbench.batch.ingest import ingest
    from workbench.batch.job import Job, State, write_job
    from workbench.batch.runner import run_job
    from workbench.gate.outcome import read_outcome
    from workbench.report.html import write_report
    from workbench.store import open_store

    opened = open_store(store)
    address = str(Path(store).absolute()) if store and "://" not in store else store
    job = Job(notebook=str(path), title=path.stem, parameters=values, limit_s=limit_s, store=address)

    def render(where: Path, state: State) -> None:
        write_report(where, state.model_dump(mode="json"), index=None)

    def told(cell: int, cells: int) -> None:
        click.echo(f"{name}: cell {cell} of {cells}", err=True)

    with locked(folder):
        write_job(folder, job)
        state = run_job(job, folder, render, told)
        codes = []
        if state.failure is not None:
            click.echo(f"workbench: {name}: {state.failure.sentence}", err=True)
            codes.append(Exit.FAILED)
        else:
            ingest(folder, opened)
            outcome = read_outcome(folder)
            if outcome is not None:
                click.echo(outcome.headline)
                codes.append(outcome.exit_code)
    click.echo(str(folder / "report.html"))
    return worst(codes)
