"""A function of one's own in a cell, through papermill into a page: the three magics' answers are in it."""

import shutil
import subprocess
import sys

import pytest
from own_function import write_own_function

from workbench.batch.job import EXECUTED, REPORT, Job, read_state, write_job


@pytest.mark.notebook
def test_the_magics_through_papermill(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed, so %%cache cannot run")
    folder = tmp_path / "job"
    folder.mkdir()
    notebook = write_own_function(tmp_path / "own.ipynb")
    write_job(folder, Job(notebook=str(notebook), title="own", parameters={}, limit_s=700, key="k"))
    command = [sys.executable, "-m", "workbench", "run-job", str(folder / "params.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, (done.stderr, read_state(folder))
    assert (folder / EXECUTED).is_file()
    page = (folder / REPORT).read_text()
    for told in ("spread: same code", "spread: simulated", "division by zero in a loop", "Measured:", "# the line"):
        assert told in page
    assert "Traceback" not in page
