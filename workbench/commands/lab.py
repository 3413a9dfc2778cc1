"""Open JupyterLab on the notebooks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click


@click.command("lab", context_settings={"ignore_unknown_options": True})
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work. [the checkout's notebooks, or a copy]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(folder: Path | None, arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks; ARGUMENTS go to `jupyter lab`, as `--port 9999` or `--no-browser`.

    From an installed package the notebooks are copied to ./workbench-notebooks first, where they can be changed;
    those that are there already stay as they are.
    """
    where = folder or _folder()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", f"--notebook-dir={where}", *arguments])


def _folder() -> Path:
    """Return the notebooks of a checkout, or a copy of the installed ones that a person may change."""
    from workbench.files import shipped

    source = shipped("notebooks")
    if "_shipped" not in source.parts:
        return source
    target = Path.cwd() / "workbench-notebooks"
    target.mkdir(exist_ok=True)
    for file in source.glob("*.ipynb"):
        if not (target / file.name).exists():
            shutil.copy(file, target)
    return target
