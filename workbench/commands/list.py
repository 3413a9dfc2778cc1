"""List the kernels, variants, operations, notebooks and workloads there are."""

from __future__ import annotations

import json
from typing import Any

import click

from workbench.files import shipped


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """List the kernels, variants, operations, notebooks and workloads there are.

    Measure one of them with `workbench run KERNEL[/VARIANT]`.
    """
    import kernels
    from workbench import workloads

    found = {
        "kernels": {name: _kernel(kernel) for name, kernel in kernels.catalog().items()},
        "workloads": dict(workloads.names()),
        "notebooks": sorted(file.stem for file in shipped("notebooks").glob("*.ipynb")),
    }
    if as_json:
        click.echo(json.dumps({"schema": "workbench/list/1", **found}, indent=1))
    else:
        _print(found)


def _kernel(kernel: Any) -> dict[str, Any]:
    return {
        "title": kernel.title,
        "operations": dict(kernel.operations),
        "parameters": {each.name: _parameter(each) for each in kernel.parameters},
        "variants": {
            variant.name: {
                "parent": variant.parent,
                "idea": variant.idea,
                "peer": variant.peer,
                "missing": variant.missing(),
            }
            for variant in kernel.variants.values()
        },
    }


def _parameter(parameter: Any) -> dict[str, Any]:
    about = {"default": parameter.default, "help": parameter.help}
    if parameter.choices:
        about |= {"default": parameter.choices[parameter.default], "choices": list(parameter.choices)}
    return about


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for name, kernel in found["kernels"].items():
        console.print(f"[bold]{escape(name)}[/]  {escape(kernel['title'])}")
        console.print(f"  operations: {escape(', '.join(kernel['operations']))}")
        settings = (f"{name}={about['default']}" for name, about in kernel["parameters"].items())
        console.print(f"  parameters: {escape(', '.join(settings))}")
        for parameter, about in kernel["parameters"].items():
            if "choices" in about:
                console.print(f"  {escape(parameter)}: one of {escape(', '.join(about['choices']))}")
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        for variant, about in kernel["variants"].items():
            origin = "a peer's code" if about["peer"] else f"from {about['parent']}" if about["parent"] else ""
            absent = f"  [yellow](not here: {escape(about['missing'])})[/]" if about["missing"] else ""
            table.add_row(f"[cyan]{escape(variant)}[/]", escape(origin), escape(about["idea"]) + absent)
        console.print(table)
    for section in ("workloads", "notebooks"):
        console.print(f"[bold]{section}[/]")
        items = found[section]
        for name in items:
            console.print(f"  [cyan]{escape(name)}[/]  {escape(items[name]) if isinstance(items, dict) else ''}")
