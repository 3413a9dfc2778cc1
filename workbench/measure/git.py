"""What is asked of git: which repository, which commit, which commits between. Nothing in a repository is changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError

WORKING_TREE = (".", "working tree")
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")  # set inside one, for its own repository
_LONG_HASH = 40


@dataclass(frozen=True)
class Revision:
    """A commit under the name that a person gave it, or the folder as it is now."""

    name: str
    commit: str | None  # None: the working tree
    subject: str = ""

    @property
    def label(self) -> str:
        """Return a name that can stand after @: without / and @."""
        if self.commit is None:
            return WORKING_TREE[1]
        short = self.name[:10] if self.name == self.commit and len(self.commit) == _LONG_HASH else self.name
        return short.replace("/", "-").replace("@", "-")

    def __str__(self) -> str:
        if self.commit is None:
            return "the working tree"
        return f"{self.commit[:10]} {self.subject}".strip()


def run_git(folder: Path, *words: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run git in `folder`, as if no hook had started this process. Raises InputError where there is no git."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(variables or {})}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
        )
    except FileNotFoundError:
        raise InputError("git is not installed here, so no revision can be had: install it") from None


def answer(folder: Path, *words: str) -> str | None:
    """Return what git answers, without the end of the line; None when it refuses."""
    done = run_git(folder, *words)
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def repository_of(folder: Path) -> Path:
    """Return the top folder of the repository that `folder` lies in. Raises InputError where it lies in none."""
    done = run_git(folder, "rev-parse", "--show-toplevel") if folder.is_dir() else None
    if done is None or done.returncode != 0 or not done.stdout.strip():
        why = done.stderr.strip().partition("\n")[0] if done is not None else ""
        reason = "" if not why or "not a git repository" in why else f" ({why})"
        raise InputError(f"{folder} lies in no git repository{reason}: revisions can be compared in a checkout only")
    return Path(done.stdout.rstrip("\n"))


def find_revision(repository: Path, name: str) -> Revision | None:
    """Return the revision called `name`; None where there is none of that name."""
    if name in WORKING_TREE:
        return Revision(WORKING_TREE[1], None)
    if not name or name.startswith("-"):
        return None
    commit = answer(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not commit:
        return None
    return Revision(name, commit, answer(repository, "log", "-1", "--no-show-signature", "--format=%s", commit) or "")


def resolve(repository: Path, name: str) -> Revision:
    """Return the revision called `name`, as git understands names; ``.`` is the working tree. Raises InputError."""
    found = find_revision(repository, name)
    if found is None:
        shallow = answer(repository, "rev-parse", "--is-shallow-repository") == "true"
        hint = (
            "this clone is shallow, `git fetch --unshallow` brings the rest"
            if shallow
            else "give a branch, a tag, a commit, or . for the folder as it is"
        )
        raise InputError(f"there is no revision {name!r} in {repository}: {hint}")
    return found


def is_dirty(repository: Path) -> bool:
    """Return whether files that git knows were changed since the last commit."""
    return bool(answer(repository, "status", "--porcelain", "--untracked-files=no"))


def first_parents(repository: Path, good: Revision, bad: Revision) -> list[Revision]:
    """Return the commits after `good` up to `bad` along the first parents, the oldest first.

    Ends with the working tree where that is `bad` and holds changes. Raises InputError where `good` is no ancestor.
    """
    if good.commit is None:
        raise InputError("the working tree cannot be the good revision: it is newer than every commit")
    last = bad.commit or resolve(repository, "HEAD").commit
    assert last is not None
    if run_git(repository, "merge-base", "--is-ancestor", good.commit, last).returncode != 0:
        raise InputError(f"{good} is no ancestor of {bad}: name a good revision that lies before the bad one")
    words = ("log", "--first-parent", "--reverse", "--no-show-signature", "-z", "--format=%H %s")
    entries = (answer(repository, *words, f"{good.commit}..{last}") or "").split("\0")  # a subject may hold any other
    pairs = [entry.partition(" ")[::2] for entry in entries if entry]
    found = [Revision(commit, commit, " ".join(subject.split())) for commit, subject in pairs]
    if bad.commit is None and is_dirty(repository):
        found.append(bad)
    if not found:
        raise InputError(f"{good} and {bad} are the same: no commit lies between")
    return found


def tree_of(repository: Path, revision: Revision, folder: str) -> str | None:
    """Return git's name for the content of `folder` in a commit; None for the working tree, or where it is absent."""
    if revision.commit is None:
        return None
    return answer(repository, "rev-parse", "--verify", "--quiet", f"{revision.commit}:{folder}")
