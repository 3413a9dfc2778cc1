"""Writing leaves the old file or the new one; what went wrong is one sentence with the right exit code."""

import errno
import os

import pytest

from workbench import files
from workbench.errors import Exit, InputError, WorkbenchError, worst


def test_a_write_that_breaks_leaves_the_old_file_and_no_scratch(tmp_path):
    path = tmp_path / "kept.json"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"), files.replacing(path) as stream:
        stream.write(b"new, unfin")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["kept.json"]


def test_a_full_disk_is_told_and_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "kept.json"
    files.write_text(path, "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(WorkbenchError, match="No space left on device") as caught:
        files.write_text(path, "new")
    assert caught.value.exit_code == Exit.FAILED
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["kept.json"]


def test_a_file_where_a_folder_should_be_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a part of that path is a file"):
        files.write_text(tmp_path / "file" / "below.json", "x")


def test_a_folder_that_cannot_be_written_is_bad_input(tmp_path, monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.tempfile, "mkstemp", refused)
    with pytest.raises(InputError, match="choose a folder that you may write to"):
        files.write_text(tmp_path / "x", "x")


def test_the_order_of_exit_codes():
    assert worst([]) == Exit.FINE
    assert worst([Exit.UNRESOLVED, Exit.REGRESSION]) == Exit.REGRESSION
    assert worst([Exit.REGRESSION, Exit.INVALID]) == Exit.INVALID
    assert worst([Exit.INVALID, Exit.FAILED]) == Exit.FAILED


def test_notebooks_and_plans_lie_in_the_checkout():
    assert (files.shipped("reports") / "budgets.toml").is_file()
