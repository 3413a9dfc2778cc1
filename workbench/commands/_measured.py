"""How profiles are delivered whose figures belong to no line as well: a page with all of them, and the sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from workbench.gate.outcome import Outcome
    from workbench.profile.measured import MeasuredProfile


def deliver_measured(profile: MeasuredProfile, outcome: Callable[[], Outcome], out: Path | None, as_json: bool) -> None:
    """Write the page of `profile` into `out`, then print it with its conclusion; or print the record."""
    from workbench.files import write_text
    from workbench.measure.machine import fingerprint

    if out is not None:
        path = out / f"{profile.title.replace('/', '-')}-{profile.kind}.html"
        write_text(path, profile.page())
        profile.artefacts.append(str(path))
    if as_json:
        click.echo(profile.to_record(fingerprint()).to_json())
        return
    click.echo(str(profile))
    concluded = outcome()
    click.echo("\n".join(["", concluded.headline, *(f"- {sentence}" for sentence in concluded.findings)]))
    for artefact in profile.artefacts:
        click.echo(f"wrote {artefact}")
