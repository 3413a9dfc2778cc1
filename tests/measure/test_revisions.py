import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import InputError, WorkbenchError
from workbench.measure import revisions
from workbench.measure.git import Revision, find_revision, first_parents, is_dirty, repository_of, resolve, tree_of
from workbench.measure.revisions import arms_of, source_of, worktree

sys.path.insert(0, str(Path(__file__).parents[1]))
from git_repository import COMMITS, git, make_repository, variant


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def repository(tmp_path):
    return make_repository(tmp_path / "repository")


@pytest.fixture
def source(repository):
    return source_of(["kept"], [str(repository / "src")])


def test_a_commit_becomes_a_folder_and_the_repository_stays_as_it_was(repository):
    before = git(repository, "for-each-ref"), sorted(path for path in (repository / ".git").rglob("*"))
    with worktree(repository, "c2") as folder:
        assert (folder / "src/kept/moving.py").read_text() == variant("moving")
        assert not (folder / ".git").exists()
        written = (folder / "README").stat().st_ino
    with worktree(repository, git(repository, "rev-parse", "c2")) as again:
        assert again == folder and (again / "README").stat().st_ino == written, "it was made twice"
    with worktree(repository, ".") as here:
        assert here == repository
    assert (git(repository, "for-each-ref"), sorted(path for path in (repository / ".git").rglob("*"))) == before


def test_a_folder_that_was_changed_is_made_again(repository):
    with worktree(repository, "c2") as folder:
        (folder / "src/kept/moving.py").write_text("tampered")
        (folder / "src/kept/__pycache__").mkdir()
    with worktree(repository, "c2") as folder:
        assert (folder / "src/kept/moving.py").read_text() == variant("moving")


def test_what_was_not_used_for_long_goes_unless_it_is_in_use(repository, monkeypatch):
    with worktree(repository, "c1") as old, worktree(repository, "c2") as held:
        pass
    with worktree(repository, "c2"):
        for folder in (old, held):
            os.utime(f"{folder}.lock", (0, 0))
        with worktree(repository, "c3") as new:
            assert not old.exists() and held.is_dir() and new.is_dir()


def test_a_folder_that_cannot_be_written_is_told(repository, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(WorkbenchError, match="set WORKBENCH_CACHE"), worktree(repository, "c1"):
        pass


def test_an_interrupted_checkout_leaves_no_half(repository, monkeypatch):
    real = revisions.run_git

    def interrupted(folder, *words, **options):
        if "checkout-index" in words:
            raise KeyboardInterrupt
        return real(folder, *words, **options)

    monkeypatch.setattr(revisions, "run_git", interrupted)
    with pytest.raises(KeyboardInterrupt), worktree(repository, "c1"):
        pass
    shelf = Path(os.environ["WORKBENCH_CACHE"], "worktrees")
    assert [path for path in shelf.glob("*/*") if path.is_dir()] == []


def test_names_of_revisions(repository):
    git(repository, "branch", "feature/fast", "c3")
    found = resolve(repository, "feature/fast")
    assert (found.label, found.subject, found.commit) == (
        "feature-fast",
        "a comment",
        git(repository, "rev-parse", "c3"),
    )
    assert "@" not in resolve(repository, "trunk@{0}").label
    assert resolve(repository, found.commit).label == found.commit[:10]
    assert resolve(repository, ".").label == resolve(repository, "working tree").label == "working tree"
    assert find_revision(repository, "--all") is None and find_revision(repository, "") is None
    with pytest.raises(InputError, match=r"no revision 'nowhere' in .*: give a branch"):
        resolve(repository, "nowhere")


def test_arms_import_from_the_revision_and_have_names_of_their_own(source, repository):
    with arms_of(source, [resolve(repository, name) for name in ("c2", "c2", ".")]) as arms:
        assert [arm.label for arm in arms] == ["c2", "c2 (again)", "working tree"]
        assert arms[0].paths == arms[1].paths and Path(arms[0].paths[0], "kept/moving.py").is_file()
        assert arms[2].paths == (str(repository / "src"),)


def test_a_revision_without_the_module(source, repository):
    empty = resolve(repository, "c0")
    with pytest.raises(InputError, match="nothing yet has no module kept, which would be src/kept"):
        arms_of(source, [empty]).__enter__()


def test_built_in_kernels_lie_in_the_checkout_that_holds_them():
    root = Path(revisions.__file__).resolve().parents[2]
    if find_revision(root, "HEAD") is None:
        pytest.skip("the workbench is not run from a git checkout")
    source = source_of([])
    assert (source.repository / source.folders[0]).resolve() == root


def test_modules_that_are_nowhere_or_in_no_repository(tmp_path):
    (tmp_path / "loose.py").write_text("")
    with pytest.raises(InputError, match="module nowhere_at_all is not found"):
        source_of(["nowhere_at_all"])
    with pytest.raises(InputError, match="lies in no git repository"):
        source_of(["loose"], [str(tmp_path)])


def test_without_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InputError, match="git is not installed"):
        repository_of(repository)


def test_inside_a_hook_of_another_repository(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert repository_of(repository / "src").samefile(repository)
    with worktree(repository, "c2") as folder:
        assert (folder / "src").is_dir()
    assert not (tmp_path / "index").exists()


def test_commits_between(repository):
    good, bad = resolve(repository, "c1"), resolve(repository, "c4")
    assert [each.subject for each in first_parents(repository, good, bad)] == [subject for subject, _ in COMMITS[2:5]]
    with pytest.raises(InputError, match="is no ancestor of"):
        first_parents(repository, bad, good)
    with pytest.raises(InputError, match="no commit lies between"):
        first_parents(repository, good, good)
    with pytest.raises(InputError, match="working tree cannot be the good"):
        first_parents(repository, Revision("working tree", None), bad)


def test_subjects_with_any_characters_and_signed_commits(repository, tmp_path):
    subject = "one\u2028two\x0cthree\x85four"
    git(repository, "commit", "--quiet", "--allow-empty", "--message", subject)
    head = git(repository, "rev-parse", "HEAD")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n"
    text = git(repository, "cat-file", "commit", head).replace("\n\n", f"\n{signature}\n", 1) + "\n"
    words = ["git", "-C", str(repository), "hash-object", "-t", "commit", "-w", "--stdin"]
    signed = subprocess.run(words, input=text, check=True, capture_output=True, text=True).stdout.strip()
    program = tmp_path / "gpg"
    program.write_text("#!/bin/sh\necho 'gpg: Good signature' >&2\necho '[GNUPG:] GOODSIG 0 nobody'\n")
    program.chmod(0o755)
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "gpg.program", str(program))
    assert "Good signature" in git(repository, "log", "-1", "--format=%s", signed)
    last = resolve(repository, signed)
    assert last.subject == subject
    found = first_parents(repository, resolve(repository, "c6"), last)
    assert [(each.commit, each.subject) for each in found] == [
        (git(repository, "rev-parse", "c7"), COMMITS[7][0]),
        (signed, "one two three four"),
    ]


def test_a_dirty_working_tree_is_the_last_step(repository):
    here = resolve(repository, ".")
    assert first_parents(repository, resolve(repository, "c5"), here)[-1].subject == COMMITS[-1][0]
    assert not is_dirty(repository)
    (repository / "README").write_text("changed")
    assert is_dirty(repository)
    assert first_parents(repository, resolve(repository, "c5"), here)[-1] == here
    assert tree_of(repository, here, "src") is None
    assert tree_of(repository, resolve(repository, "c2"), "src") != tree_of(
        repository, resolve(repository, "c3"), "src"
    )


def test_a_detached_head_and_a_shallow_clone(repository, tmp_path):
    git(repository, "checkout", "--quiet", "--detach", "c3")
    assert resolve(repository, "HEAD").subject == "a comment"
    clone = tmp_path / "clone"
    words = ["git", "clone", "--quiet", "--depth", "1", "--branch", "trunk", f"file://{repository}", str(clone)]
    subprocess.run(words, check=True, capture_output=True)
    with worktree(clone, "HEAD") as folder:
        assert (folder / "src/kept").is_dir()
    with pytest.raises(InputError, match="this clone is shallow, `git fetch --unshallow`"):
        resolve(clone, "c3")


def test_nobody_waits_for_a_revision_that_another_only_reads(repository):
    with worktree(repository, "c1") as folder:
        lock = Path(f"{folder}.lock")
        script = f"import fcntl; fcntl.flock(open({str(lock)!r}), fcntl.LOCK_SH | fcntl.LOCK_NB)"
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
