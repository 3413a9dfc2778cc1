"""The address of a scheduler comes from the person who runs a plan, not from who wrote it."""

import pytest
from click.testing import CliRunner
from tiny_notebook import write_notebook

from workbench.batch.engines import EngineChoice
from workbench.commands.batch import _engine, command
from workbench.errors import InputError

THEIRS, MINE = "tcp://theirs:8786", "tcp://mine:8786"
PLANS = EngineChoice(name="dask", address=THEIRS)


@pytest.fixture(autouse=True)
def _no_scheduler(monkeypatch):
    monkeypatch.delenv("WORKBENCH_SCHEDULER", raising=False)


def test_an_address_in_a_plan_is_refused_unless_the_plan_is_trusted(monkeypatch):
    with pytest.raises(InputError, match=r"names the scheduler .tcp://theirs:8786.*give it by --scheduler"):
        _engine(PLANS, None, None, None, outside=False)
    assert _engine(PLANS, None, None, None, outside=True).address == THEIRS
    assert _engine(PLANS, None, MINE, None, outside=False).address == MINE
    monkeypatch.setenv("WORKBENCH_SCHEDULER", MINE)
    assert _engine(PLANS, None, None, None, outside=False).address == MINE
    assert _engine(PLANS, None, THEIRS, None, outside=False).address == THEIRS, "the command line comes first"


def test_the_environments_scheduler_is_for_engines_of_many_machines(monkeypatch):
    monkeypatch.setenv("WORKBENCH_SCHEDULER", MINE)
    assert _engine(EngineChoice(), None, None, None, outside=False) == EngineChoice()
    assert _engine(EngineChoice(), "dask", None, None, outside=False) == EngineChoice(name="dask", address=MINE)


def test_the_command_refuses_it_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path / "tiny.ipynb", "1")
    (tmp_path / "plan.toml").write_text(
        f'[engine]\nname = "dask"\naddress = "{THEIRS}"\n[[job]]\nnotebook = "tiny.ipynb"\n'
    )
    done = CliRunner().invoke(command, ["plan.toml", "--dry-run"], standalone_mode=False)
    assert isinstance(done.exception, InputError) and "could run code here" in str(done.exception)
