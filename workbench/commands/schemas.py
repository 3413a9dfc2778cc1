"""Write the JSON Schemas of the records, for programs that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command("schemas")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write the JSON Schema of every kind of record into FOLDER, one file a kind."""
    from workbench.files import write_text
    from workbench.record import RECORDS

    for kind in sorted(RECORDS):
        path = folder / f"{kind}.json"
        write_text(path, json.dumps(schema_of(kind), indent=1, sort_keys=True) + "\n")
        click.echo(path)


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of the records of that kind, as they are written."""
    from workbench.record import RECORDS

    return RECORDS[kind].model_json_schema(by_alias=True, mode="serialization")
