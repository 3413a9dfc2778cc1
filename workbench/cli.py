"""The command line: finds the verb's file, runs it, and turns what went wrong into one sentence and an exit code.

A verb is imported only when it is used, so that ``workbench --help`` answers at once.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path

import click

from workbench.errors import Exit, WorkbenchError

_COMMANDS = Path(__file__).with_name("commands")


class Verbs(click.Group):
    """The verbs are the files of ``workbench/commands``: ``run_job.py`` is ``run-job``; its docstring is its help."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the verbs in alphabetical order."""
        return sorted(_files())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the verb's file and return its ``command``."""
        file = _files().get(name)
        if file is None:
            return None
        command: click.Command = importlib.import_module(f"workbench.commands.{file.stem}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs with the first line of each file's docstring, without importing any."""
        summaries = {verb: ast.get_docstring(ast.parse(file.read_bytes())) or "" for verb, file in _files().items()}
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, summary.splitlines()[0]) for verb, summary in sorted(summaries.items())])


def _files() -> dict[str, Path]:
    """Return the verbs and their files."""
    return {file.stem.replace("_", "-"): file for file in _COMMANDS.glob("[a-z]*.py")}


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kernel-workbench", prog_name="workbench")
def workbench() -> None:
    """Profile, compare and gate Numba kernels: which is faster, why, and is it sure?

    Start with `workbench list`, `workbench doctor`, `workbench run order_book`.

    \b
    Exit codes: 0 fine, 1 failed, 2 wrong usage or bad input, 3 regression, 4 unresolved, 5 environment invalid.
    """


def main() -> None:
    """Run the command line and exit."""
    try:
        code = workbench(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except WorkbenchError as error:
        click.echo(f"workbench: {error}", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("workbench: stopped; what was finished is kept", err=True)
        code = Exit.FAILED
    except BrokenPipeError:  # the reader, as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.FINE
    sys.exit(int(code or 0))
