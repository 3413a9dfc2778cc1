"""One variant against another, line by line: what `workbench profile cpu` and `cache` do with ``--against``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from workbench.profile.differences import Differences, Pair

SCHEMA = "workbench/differences/1"

against_option = click.option(
    "--against", metavar="KERNEL/VARIANT", help="Show it line by line against this variant, on the same data."
)


def deliver_against(kind: str, variant: str, against: str, out: Path | None, as_json: bool, **options: Any) -> None:
    """Profile both variants, print what changed; into `out` go both profiles' files and the two side by side."""
    from workbench.errors import InputError
    from workbench.files import write_text
    from workbench.profile import formats
    from workbench.profile.differences import differences
    from workbench.profile.differences_html import differences_page
    from workbench.profile.run import profile

    if variant == against:
        raise InputError(f"{variant} is compared with itself: name two variants")
    if out is not None and kind == "cpu":
        formats.begin(out)  # before anything is compiled, so that a perf that records this command learns of it
    before, after = (profile(name, kind=kind, **options) for name in (against, variant))
    found = differences(before, after)
    written = []
    if out is not None:
        formats.write_all(before, out)
        formats.write_all(after, out, before=[before])
        page = out / (f"{variant}-against-{against}-{kind}.html".replace("/", "-"))
        write_text(page, differences_page(found))
        written = list(dict.fromkeys([*before.artefacts, *after.artefacts, str(page)]))
    if as_json:
        click.echo(json.dumps(_as_dict(found, written), indent=1))
        return
    click.echo(str(found))
    for artefact in written:
        click.echo(f"wrote {artefact}")


def _as_dict(found: Differences, artefacts: list[str]) -> dict[str, Any]:
    totals = {name: {"a": before, "b": after} for name, (before, after) in found.totals.items()}
    lines = [_row(pair) for pair in found.pairs]
    fields = {"a": found.a, "b": found.b, "main": found.main, "totals": totals, "lines": lines}
    return {"schema": SCHEMA, **fields, "notes": found.notes, "artefacts": artefacts}


def _row(pair: Pair) -> dict[str, Any]:
    sides = {
        name: side and {"file": side.line.file, "line": side.line.line, "source": side.source, "width": side.width}
        for name, side in (("a", pair.a), ("b", pair.b))
    }
    names = sorted({name for side in (pair.a, pair.b) if side for name in side.counters})
    return {"function": pair.function, **sides, "counters": {name: list(pair.amounts(name)) for name in names}}
