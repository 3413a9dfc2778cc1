"""Delete old batches of reports: retention by number and by age; says what it would free, and does it with --delete."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import Exit, InputError

if TYPE_CHECKING:
    from workbench.batch.retention import Fate


@click.command("clean")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="The newest N batches of each plan stay.")
@click.option("--days", type=click.FloatRange(0), metavar="D", help="Batches younger than D days stay.")
@click.option("--plan", metavar="NAME", help="Only batches of this plan.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/out"), show_default=True)
@click.option("--delete", is_flag=True, help="Do it. Without this option it is only said.")
@click.option("--dry-run", is_flag=True, help="Only say it, which is the default.")
@click.option("--pin", metavar="BATCH", help="Keep this batch for ever; with --because, say why.")
@click.option("--unpin", metavar="BATCH", help="Let it go again in its time.")
@click.option("--because", metavar="TEXT", default="", help="Why a batch is pinned.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    keep: int | None,
    days: float | None,
    plan: str | None,
    out: Path,
    delete: bool,
    dry_run: bool,
    pin: str | None,
    unpin: str | None,
    because: str,
    as_json: bool,
) -> int:
    """Delete old batches below --out. Pinned ones and what is running stay, and so do all records in the store.

    \b
    workbench clean --keep 30
    workbench clean --keep 30 --days 90 --delete
    workbench clean --pin nightly-2026-11-23 --because "before the new allocator"
    """
    from workbench.batch import retention
    from workbench.batch.folder import check_name

    if pin is not None or unpin is not None:
        if keep is not None or days is not None or delete or (pin is not None and unpin is not None):
            raise InputError("--pin and --unpin each stand alone: clean in a command of its own")
        if pin is not None:
            retention.pin(out / check_name(pin), because or "no reason given")
        elif unpin is not None:
            retention.unpin(out / check_name(unpin))
        click.echo(f"{pin or unpin} is {'pinned' if pin else 'no longer pinned'}")
        return Exit.FINE
    if delete and dry_run:
        raise InputError("--delete and --dry-run contradict each other: give one of them")
    found = retention.fates(retention.find_batches(out), keep, days, datetime.datetime.now(datetime.UTC), plan)
    gone, troubles = _remove(out, found) if delete else ([], [])
    click.echo(_json(found, gone, delete) if as_json else _text(found, gone, delete))
    for trouble in troubles:
        click.echo(f"workbench: {trouble}", err=True)
    return Exit.FAILED if troubles else Exit.FINE


def _remove(out: Path, found: list[Fate]) -> tuple[list[Fate], list[str]]:
    """Delete what may go; return what is gone, and what went wrong."""
    from workbench.batch import retention
    from workbench.errors import WorkbenchError
    from workbench.report.site import rebuild

    gone: list[Fate] = []
    troubles: list[str] = []
    retention.remove_rests(out)
    for fate in found:
        if fate.reason:
            continue
        try:
            if retention.remove(fate.batch.folder):
                gone.append(fate)
            else:
                troubles.append(f"{fate.batch.folder} has begun to run meanwhile and stays")
        except WorkbenchError as error:
            troubles.append(str(error))
    if gone and (out / "index.html").is_file():  # the nights' figures stay on it, their links go
        try:
            rebuild(out.absolute())
        except WorkbenchError as error:
            troubles.append(str(error))
    return gone, troubles


def _text(found: list[Fate], gone: list[Fate], delete: bool) -> str:
    from workbench.figures.text import plain
    from workbench.report.page import size

    lines = []
    for fate in found:
        what = f"stays ({plain(fate.reason, 100)})" if fate.reason else "deleted" if fate in gone else "would go"
        lines.append(f"{size(fate.size_bytes):>10}  {fate.batch.folder.name}: {what}")
    freed = sum(fate.size_bytes for fate in (gone if delete else [each for each in found if not each.reason]))
    count = len(gone) if delete else sum(not fate.reason for fate in found)
    batches = f"{count} {'batch' if count == 1 else 'batches'}"
    if delete:
        lines.append(f"{batches} deleted, {size(freed)} freed")
    else:
        lines.append(f"{batches} would go and free {size(freed)}" + ("; do it with --delete" if count else ""))
    return "\n".join(lines)


def _json(found: list[Fate], gone: list[Fate], delete: bool) -> str:
    from workbench.measure.machine import fingerprint

    results: list[dict[str, Any]] = [
        {
            "batch": fate.batch.folder.name,
            "plan": fate.batch.plan,
            "created": fate.batch.created.isoformat(),
            "size_bytes": fate.size_bytes,
            "stays": fate.reason or None,
            "deleted": fate in gone,
        }
        for fate in found
    ]
    freed = sum(fate.size_bytes for fate in (gone if delete else [each for each in found if not each.reason]))
    told = {
        "schema": "workbench/clean/1",
        "machine": fingerprint().model_dump(mode="json"),
        "deleted": delete,
        "freed_bytes": freed,
        "results": results,
    }
    return json.dumps(told)
