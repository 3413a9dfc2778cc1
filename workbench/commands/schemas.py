"""Write the JSON Schemas of records and of a batch's files, for programs that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pydantic import BaseModel


@click.command("schemas")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write the JSON Schema of every kind of record, and of a batch's files, into FOLDER, one file a kind."""
    from workbench.files import write_text

    for kind in sorted(_models()):
        path = folder / f"{kind}.json"
        write_text(path, json.dumps(schema_of(kind), indent=1, sort_keys=True) + "\n")
        click.echo(path)


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of that kind, as it is written."""
    return _models()[kind].model_json_schema(by_alias=True, mode="serialization")


def _models() -> dict[str, type[BaseModel]]:
    """Return the records, and the files of a batch that other programs read: its list of jobs and how it came out."""
    from workbench.batch.folder import Batch
    from workbench.batch.job import Job, State
    from workbench.batch.summary import Summary
    from workbench.record import RECORDS

    files: dict[str, type[BaseModel]] = {"batch": Batch, "batch-summary": Summary, "job": Job, "job-state": State}
    return {**RECORDS, **files}
