"""A job's process is told its store; a password never reaches a file."""

import json
import sys

import pytest
from tiny_notebook import a_job

from workbench.batch import local
from workbench.batch.engines import Work
from workbench.batch.job import PARAMS, read_job, write_job

SECRET = "postgresql+psycopg://me:hunter2@server/results"
TELL = (
    "import json, os, pathlib, sys\n"
    "place = pathlib.Path(sys.argv[1]).with_name('told.json')\n"
    "place.write_text(json.dumps(os.environ.get('WORKBENCH_STORE')))"
)


class Silent:
    def __getattr__(self, name):
        return lambda *told, **more: None


@pytest.mark.parametrize(
    ("store", "written"),
    [
        (SECRET, None),
        ("postgresql://server/results?password=hunter2", None),
        ("postgresql://server:[/results", None),
        ("postgresql://me@server/results", "postgresql://me@server/results"),
        ("/data/results.sqlite3", "/data/results.sqlite3"),
    ],
)
def test_what_is_written_of_a_store(tmp_path, store, written):
    write_job(tmp_path, a_job(tmp_path / "x.ipynb").model_copy(update={"store": store}))
    assert read_job(tmp_path / PARAMS).store == written
    assert "hunter2" not in (tmp_path / PARAMS).read_text()


def test_the_job_s_process_gets_the_whole_address(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "RUN_JOB", (sys.executable, "-c", TELL))
    job = a_job(tmp_path / "x.ipynb").model_copy(update={"store": SECRET})
    local.LocalEngine().run(Work([job], tmp_path, "key"), Silent(), lambda *told: None)
    folder = tmp_path / "key" / job.name
    assert json.loads((folder / "told.json").read_text()) == SECRET
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "told.json"
                and b"hunter2" in path.read_bytes()]  # fmt: skip
