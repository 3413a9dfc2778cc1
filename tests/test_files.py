"""Writing leaves the old file or the new one; what went wrong is one sentence with the right exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernels._jit import cache_root
from workbench import files
from workbench.errors import Exit, InputError, WorkbenchError, worst
from workbench.workloads import known


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


@pytest.fixture
def homeless(monkeypatch):
    """A user without a home folder: what a container's numeric user with no entry and no HOME is to Python."""
    for name in ("WORKBENCH_CACHE", "WORKBENCH_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "~")  # what remains of ~ when nothing is known


def test_without_a_home_results_need_a_folder_and_the_cache_is_one_that_nobody_can_write(homeless, monkeypatch):
    with pytest.raises(InputError, match="no home folder: set WORKBENCH_HOME"):
        files.data_folder()
    assert files.cache_folder() == cache_root().parent
    with pytest.raises(InputError, match="cannot be written"):
        files.write_text(files.cache_folder() / "x", "x")
    monkeypatch.setenv("WORKBENCH_HOME", "/chosen")
    assert str(files.data_folder()) == "/chosen"


def test_without_a_home_kernels_compile_and_nothing_is_left(homeless, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from kernels._jit import kernel_jit\n@kernel_jit\ndef double(x):\n    return 2 * x\nprint(double(21))\n"
    )
    root = str(Path(files.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
    for command in ([str(script)], ["-m", "workbench", "list"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == "" and ("42" in done.stdout or "order_book" in done.stdout)
    assert list(tmp_path.iterdir()) == [script]


def test_a_home_of_somebody_unknown_is_no_traceback():
    with pytest.raises(InputError):
        known.parse("~nobody-of-this-name/day.csv")
