"""Print the files that run a plan every night: systemd units, a line for cron, or a GitHub Actions workflow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from workbench.errors import Exit, InputError


@click.command("schedule")
@click.argument("kind", type=click.Choice(("systemd", "cron", "github")))
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--at", "at", default="02:30", show_default=True, metavar="HH:MM", help="When, every day.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where it runs. [the current folder]")
@click.option("--write", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write the files there.")
def command(kind: str, plan: Path, at: str, folder: Path | None, write: Path | None) -> int:
    """Print what runs PLAN every night, ready to be installed. The times of GitHub are UTC, the others local.

    \b
    workbench schedule systemd nightly --at 02:30 --write ~/.config/systemd/user
    workbench schedule cron reports/nightly.toml | crontab -      (replaces the whole table)
    workbench schedule github reports/nightly.toml --write .github/workflows
    """
    from workbench.batch import schedule
    from workbench.batch.plan import find_plan, read_plan
    from workbench.files import write_text

    file = find_plan(plan)
    read = read_plan(file)  # a plan that cannot run is told now, not at half past two
    where = (folder or Path.cwd()).absolute()
    if not where.is_dir():
        raise InputError(f"{where} is no folder: choose one with --folder")
    hour, minute = schedule.read_time(at)
    nightly = schedule.Nightly(_program(), file.absolute(), where, hour, minute, schedule.settings_of(os.environ))
    files = _files(kind, nightly, read.limits.batch_s)
    if kind != "github" and (told := schedule.left_out(os.environ)):
        click.echo(f"workbench: {told}", err=True)
    for name, text in files.items():
        if write is not None:
            write_text(write / name, text)
            click.echo(write / name)
        else:
            click.echo(f"# {name}\n{text}" if len(files) > 1 else text, nl=len(files) > 1)
    if kind == "systemd":
        click.echo(
            f"then: systemctl --user daemon-reload && systemctl --user enable --now {nightly.name}.timer", err=True
        )
    return Exit.FINE


def _files(kind: str, nightly: object, batch_s: float | None) -> dict[str, str]:
    from workbench.batch import schedule

    assert isinstance(nightly, schedule.Nightly)
    if kind == "systemd":
        return schedule.systemd(nightly)
    if kind == "cron":
        return {f"{nightly.name}.cron": schedule.cron(nightly)}
    plan = schedule.in_repository(nightly)
    name = schedule.name_of(Path(plan).stem, plan if Path(plan).suffix else "")
    return {f"{name}.yml": schedule.github(nightly, plan, batch_s=batch_s)}


def _program() -> tuple[str, ...]:
    """Return how this very installation is called: the script beside this Python, else the module."""
    script = Path(sys.executable).with_name("workbench")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "workbench")
