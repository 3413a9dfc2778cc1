"""Profile a variant by source line: time on the code that ships, instructions and cache misses, and more kinds."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import click

_PREFIX = "_profile_"


class Kinds(click.Group):
    """The kinds are the files ``_profile_KIND.py`` beside this one: each holds a ``command``, and its help on top.

    A kind is imported only when it is used.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the kinds in alphabetical order."""
        return sorted(_files())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the kind's file and return its ``command``."""
        file = _files().get(name)
        if file is None:
            return None
        kind: click.Command = importlib.import_module(f"workbench.commands.{file.stem}").command
        return kind

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the kinds with the first line of each file's docstring, without importing any."""
        rows = [(kind, ast.get_docstring(ast.parse(file.read_bytes())) or "") for kind, file in _files().items()]
        with formatter.section("Kinds"):
            formatter.write_dl([(kind, text.partition("\n")[0]) for kind, text in sorted(rows)])


def _files() -> dict[str, Path]:
    """Return the kinds and their files."""
    files = Path(__file__).parent.glob(f"{_PREFIX}*.py")
    return {file.stem.removeprefix(_PREFIX).replace("_", "-"): file for file in files}


@click.command("profile", cls=Kinds)
def command() -> None:
    """Profile a variant by source line: time on the code that ships, instructions and cache misses, and more kinds.

    \b
    workbench profile cpu order_book/ladder
    workbench profile cpu signals/simd --input hour.csv.gz --seconds 10 --out profile/
    """
