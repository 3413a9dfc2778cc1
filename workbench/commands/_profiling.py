"""What all kinds of `workbench profile` share: the options, the data, and where the answer goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from workbench.profile.profile import Profile


def profile_options(verb: Any) -> Any:
    """Add what all kinds of profiles share: the variant, its data, and where the answer goes."""
    for option in reversed(
        (
            click.argument("variant", metavar="KERNEL/VARIANT"),
            click.option("--workload", metavar="NAME", help="A named workload; `workbench list` shows them."),
            click.option("--input", "input_file", metavar="FILE", type=click.Path(path_type=Path), help="Market data."),
            click.option("-P", "parameters", multiple=True, metavar="NAME=VALUE", help="A kernel's parameter."),
            click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Write the artefacts here."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        )
    ):
        verb = option(verb)
    return verb


def workload_options(workload: str | None, input_file: Path | None, parameters: tuple[str, ...]) -> dict[str, Any]:
    """Return the keyword arguments of `workbench.profile` for the shared options. Raises InputError."""
    from workbench import workloads
    from workbench.errors import InputError
    from workbench.measure.job import read_setting

    if workload is not None and input_file is not None:
        raise InputError("--workload and --input both name the data: give one of them")
    events = None
    if input_file is not None:
        events = workloads.load(input_file)
    elif workload is not None:
        events = workloads.parse(workload)
    return {"workload": events, **dict(read_setting(text) for text in parameters)}


def deliver(profile: Profile, out: Path | None, as_json: bool) -> None:
    """Write `profile` in every format that fits it into `out`, then print it: the top lines, or the record."""
    from workbench.measure.machine import fingerprint

    if out is not None:
        from workbench.profile import formats

        formats.write_all(profile, out)
    if as_json:
        click.echo(profile.to_record(fingerprint()).to_json())
        return
    click.echo(str(profile))
    for artefact in profile.artefacts:
        click.echo(f"wrote {artefact}")
