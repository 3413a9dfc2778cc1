"""A repository with a commit that makes a kernel 5 % slower, and what `workbench gate` and `workbench bisect` say.

The kernel is that of the proof, under another name and with its base alone, as a user has it in a package of his own.
Of the other commits one changes the machine code at no cost, the rest leave the machine code as it is.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proof.arms import TOOLS
from proof.trial import SCHEMA
from workbench.errors import WorkbenchError

NAME = "quoting"
ROUNDS = "opaque(rounds), opaque(long_rounds), "
SLOW = "opaque(rounds + rounds // 20), opaque(long_rounds + long_rounds // 20), "
STORY = (
    "A temporary repository holds the kernel and five commits after the first; the third of them makes every "
    "call do 5 % more rounds, in the function `mean_each`. The second changes its machine code at no cost; the others "
    "leave it as it is."
)


def find_planted(say: Callable[[str], None], input_file: str) -> dict[str, Any]:
    """Return what both commands said, with the commit that is to be found. Raises WorkbenchError where git fails."""
    with tempfile.TemporaryDirectory(prefix="workbench-planted-") as scratch:
        repository = Path(scratch)
        commits = make_repository(repository)
        common = ["-m", NAME, "--input", input_file]
        told = []
        for words in (
            ["gate", f"{NAME}/base", "--against", commits[0][:9], "--candidate", "HEAD", "--no-save", *common],
            ["bisect", commits[0][:9], "HEAD", f"{NAME}/base", *common],
        ):
            told.append(_run(words, repository, input_file))
            say(f"{told[-1]['command']}: exit {told[-1]['exit']} after {told[-1]['seconds']:.0f} s")
    return {
        "schema": SCHEMA,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "story": STORY,
        "planted": commits[3],
        "commands": told,
    }


def make_repository(folder: Path) -> list[str]:
    """Make the repository in `folder` and return its commits, the first first; number 3 is the slow one."""
    package = folder / NAME
    package.mkdir()
    for name in ("__init__.py", "_mean.py", "base.py"):
        text = (TOOLS / "proof" / "dosed_kernel" / name).read_text(encoding="utf-8")
        (package / name).write_text(text.replace("proof.dosed_kernel", NAME).replace('name="dosed"', f'name="{NAME}"'))
    _git(folder, "init", "--quiet", "--initial-branch", "main")
    mean, base = package / "_mean.py", package / "base.py"
    changes: list[tuple[str, Path, str, str]] = [
        ("The window of recent prices, and their mean", base, "", ""),
        ("The ring is described", mean, "float64[RECENT]", "float64[RECENT], the newest last"),
        ("A replay ends where its items end", mean, "return max(items.shape[0], begin)", "return items.shape[0]"),
        ("The mean reaches a little further back", mean, ROUNDS, SLOW),
        ("The idea is told in other words", base, "as many rounds as the window has", "a round for each price"),
        ("The decay is given in other words", mean, "DECAY = 1 / 64", "DECAY = 0.5**6"),
    ]
    commits = []
    for message, path, before, after in changes:
        text = path.read_text(encoding="utf-8")
        if before not in text:
            raise WorkbenchError(f"{path.name} does not hold {before!r} any more: the planted change has no place")
        path.write_text(text.replace(before, after), encoding="utf-8")
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
        commits.append(_git(folder, "rev-parse", "HEAD").strip())
    return commits


def _git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{what}": "proof@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkbenchError(f"git {words[0]} failed: {done.stderr.strip() or 'without a word'}")
    return done.stdout


def _run(words: Sequence[str], folder: Path, input_file: str) -> dict[str, Any]:
    """Run one verb of the workbench in `folder` and return its words, its end and its time."""
    environment = {**os.environ, "PYTHONPATH": str(TOOLS.parent)}
    command = [sys.executable, "-m", "workbench", *words]
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    output = done.stdout if done.stdout.strip() else done.stderr
    return {
        "command": " ".join(["workbench", *words]).replace(input_file, "EVENTS.npy"),
        "exit": done.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "output": output,
    }
