"""Say what can be measured on this machine, what cannot, why, and the fallback."""

from __future__ import annotations

import json

import click

from workbench import abilities
from workbench.errors import Exit


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--try", "thoroughly", is_flag=True, help="Also start what takes seconds: a Jupyter kernel, a browser, …")
def command(as_json: bool, thoroughly: bool) -> Exit:
    """Say what can be measured on this machine, what cannot, why, and the fallback.

    Nothing here is required but the import names: whatever is absent is skipped, by name, wherever it would be used.
    """
    found = list(abilities.examine(thoroughly=thoroughly))
    if as_json:
        click.echo(
            json.dumps({"schema": "workbench/doctor/1", "abilities": [each.as_dict() for each in found]}, indent=1)
        )
    else:
        print_abilities(found)
    broken = [each for each in found if each.name == "import names" and not each.works]
    return Exit.FAILED if broken else Exit.FINE


def print_abilities(found: list[abilities.Ability]) -> None:
    """Print a table: what works, what does not, why, what is used instead and what to install."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "ability", "why"):
        table.add_column(heading)
    for each in found:
        mark = "[green]yes[/]" if each.works else "[yellow]no[/]"
        lines = [each.reason]
        if each.fallback:
            lines.append(f"instead: {each.fallback}")
        if each.remedy:
            lines.append(f"to have it: {each.remedy}")
        table.add_row(mark, escape(each.name), escape("\n".join(lines)))
    console.print(table)
    works = sum(each.works for each in found)
    console.print(f"{works} of {len(found)} work here; next: workbench run order_book")
