"""Revisions as folders that kernels are imported from.

A commit's files are written into the cache folder, with an index of their own: no hook runs, and the repository that a
person works in gets no entry, no lock and no new branch; one that cannot be written will do. What was written is used
again as long as it is intact, and goes when it was not used for two weeks.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.machinery
import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError, WorkbenchError
from workbench.files import cache_folder
from workbench.measure.arms import Arm
from workbench.measure.git import Revision, repository_of, resolve, run_git

STALE_S = 14 * 86_400.0
_HERE = Path(__file__).resolve().parents[2]  # the folder that holds `workbench` and `kernels`


@dataclass(frozen=True)
class Source:
    """Where the measured code lies in a repository."""

    repository: Path
    folders: tuple[str, ...]  # inside it, the ones that packages are imported from; "" is its top
    modules: tuple[tuple[str, str], ...]  # import name, and the folder that it is imported from

    def folders_in(self, checkout: Path, revision: Revision) -> tuple[str, ...]:
        """Return the folders of `checkout` to import from. Raises InputError where it lacks one of the modules."""
        for name, folder in self.modules:
            place = checkout / folder / Path(*name.split("."))
            if not place.is_dir() and not place.with_suffix(".py").is_file():
                where = place.relative_to(checkout)
                raise InputError(f"{revision} has no module {name}, which would be {where}: name a later revision")
        return tuple(str(checkout / folder) for folder in self.folders)


def source_of(modules: Sequence[str], paths: Sequence[str] = ()) -> Source:
    """Return where `modules` lie (none: the kernels of this checkout), as found on `paths` and on this process's.

    Nothing is imported. Raises InputError for a module that is not found, is in no repository, or in another one.
    """
    holders = {name: _holder(name.split(".")[0], paths) for name in modules} if modules else {"kernels": _HERE}
    repositories = {name: repository_of(holder) for name, holder in holders.items()}
    if len(set(repositories.values())) > 1:
        told = ", ".join(f"{name} in {repository}" for name, repository in repositories.items())
        raise InputError(f"the modules lie in different repositories ({told}): compare those of one at a time")
    repository = next(iter(repositories.values()))
    placed = {name: _inside(holder, repository) for name, holder in holders.items()}
    return Source(repository, tuple(dict.fromkeys(placed.values())), tuple(placed.items()))


def _inside(holder: Path, repository: Path) -> str:
    inside = str(holder.resolve().relative_to(repository.resolve()))
    return "" if inside == "." else inside


def _holder(top: str, paths: Sequence[str]) -> Path:
    """Return the folder from which the package or module called `top` is imported."""
    found = importlib.machinery.PathFinder.find_spec(top, [*paths, *filter(None, sys.path)])
    if found is None:
        with contextlib.suppress(ImportError, ValueError):
            found = importlib.util.find_spec(top)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if places:
        return Path(places[0]).absolute().parent
    if found is None or not found.origin or not Path(found.origin).is_file():
        raise InputError(f"module {top} is not found: run this where it can be imported")
    return Path(found.origin).absolute().parent


@contextlib.contextmanager
def arms_of(source: Source, revisions: Sequence[Revision]) -> Iterator[list[Arm]]:
    """Yield an arm for each revision, named by its label; what has the same label is called "(again)"."""
    with contextlib.ExitStack() as stack:
        arms: list[Arm] = []
        for revision in revisions:
            checkout = stack.enter_context(worktree(source.repository, revision))
            taken = [arm.label for arm in arms]
            label = revision.label
            while label in taken:
                label += " (again)"
            arms.append(Arm(label, source.folders_in(checkout, revision)))
        yield arms


@contextlib.contextmanager
def worktree(repository: Path, revision: Revision | str) -> Iterator[Path]:
    """Yield a folder with the files of `revision`; the repository's own folder for the working tree.

    It is kept in the cache, and not removed by others while in use. Submodules are left empty. Raises InputError for
    an unknown revision, WorkbenchError where the files cannot be written.
    """
    if isinstance(revision, str):
        revision = resolve(repository, revision)
    if revision.commit is None:
        yield repository
        return
    shelf = cache_folder() / "worktrees" / hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:12]
    folder = shelf / revision.commit
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        handle = os.open(shelf / f"{revision.commit}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise WorkbenchError(f"{folder} cannot be made ({error.strerror}): set WORKBENCH_CACHE to a folder") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)  # several may read it, this process twice too
        if not _is_intact(repository, folder):
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_intact(repository, folder):  # still, after the wait for who made it meanwhile
                _write(repository, revision, folder)
            fcntl.flock(handle, fcntl.LOCK_SH)
        os.utime(handle)
        _remove_stale(shelf)
        yield folder
        os.utime(handle)
    finally:
        os.close(handle)


def _index(folder: Path) -> dict[str, str]:
    return {"GIT_INDEX_FILE": f"{folder}.index"}


def _is_intact(repository: Path, folder: Path) -> bool:
    """Return whether every file is as it was written."""
    if not folder.is_dir() or not Path(f"{folder}.index").is_file():
        return False
    words = (f"--work-tree={folder}", "diff-files", "--quiet")
    return run_git(repository, *words, variables=_index(folder)).returncode == 0


def _write(repository: Path, revision: Revision, folder: Path) -> None:
    """Write the files beside their place and move them there, so that no half of them is ever used."""
    assert revision.commit is not None
    scratch = folder.with_name(f"{revision.commit}.making")
    try:
        for old in (scratch, folder):
            shutil.rmtree(old, ignore_errors=True)
        scratch.mkdir()
        Path(f"{folder}.index").unlink(missing_ok=True)
        words: tuple[str, ...]
        for words in (("read-tree", revision.commit), ("checkout-index", "--all", "--index", "--quiet")):
            done = run_git(repository, f"--work-tree={scratch}", *words, variables=_index(folder))
            if done.returncode != 0:
                why = done.stderr.strip().partition("\n")[0] or f"status {done.returncode}"
                raise WorkbenchError(f"git could not write the files of {revision} ({why}): nothing was measured")
        scratch.rename(folder)
    except OSError as error:
        raise WorkbenchError(f"the files of {revision} were not written to {folder} ({error.strerror})") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_stale(shelf: Path) -> None:
    """Remove what was not used for long and is not in use. The empty lock files stay: others may hold them open."""
    for lock in shelf.glob("*.lock"):
        folder = lock.with_suffix("")
        if not folder.is_dir() or time.time() - lock.stat().st_mtime < STALE_S:
            continue
        with lock.open("rb") as stream, contextlib.suppress(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            Path(f"{folder}.index").unlink(missing_ok=True)
