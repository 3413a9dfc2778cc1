"""How long a batch will take is told with where it is known from."""

import datetime
import os

import pytest
from tiny_notebook import write_notebook

from workbench.batch import estimate as module
from workbench.batch.estimate import Starts, batch_seconds, estimate, known_starts, measured_starts, read_history
from workbench.batch.job import Attempt, Job, State, write_job, write_state

PARAMETERS = "seconds: float = 2.0  # of measuring [s]\nreplicates: int = 3  # processes\nkernel: str = 'a'  # which\n"
NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
STARTS = Starts(notebook_s=10.0, process_s=1.5)


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "n.ipynb", "1", parameters=PARAMETERS)


def job(notebook, **parameters):
    return Job(notebook=str(notebook), parameters=parameters, key="k", limit_s=10_000)


def remember(out, batch, one, *seconds, status="finished", key="hw", age_s=0.0):
    """Write what a job of an earlier batch took, in each of its tries."""
    folder = out / batch / key / one.name
    write_job(folder, one)
    attempts = [Attempt(started=NOW, duration_s=each) for each in seconds]
    write_state(folder, State(status=status, key="k", started=NOW, duration_s=seconds[-1], attempts=attempts))
    (out / batch / "batch.json").write_text("{}")
    os.utime(folder / "state.json", (1e9 - age_s, 1e9 - age_s))


def one_estimate(out, asked, starts=lambda: STARTS):
    (found,) = estimate([asked], read_history(out, "hw"), starts)
    return found.seconds, found.source


def test_the_same_job_takes_what_it_took_lately(tmp_path, notebook):
    asked = job(notebook, seconds=5.0)
    for night, seconds in enumerate([500.0, 30.0, 31.0, 29.0, 32.0, 28.0]):
        remember(tmp_path, f"night-{night}", asked, 999.0, seconds, age_s=-night)
    assert one_estimate(tmp_path, asked) == (30.0, "same job"), "the last tries of the newest five, the oldest is not"


def test_other_parameters_of_the_same_notebook_pay_what_comes_on_top(tmp_path, notebook):
    remember(tmp_path, "night", job(notebook, seconds=5.0), 25.0)
    remember(tmp_path, "night", job(notebook, seconds=5.0, kernel="b"), 105.0)
    assert one_estimate(tmp_path, job(notebook, seconds=40.0)) == (60.0, "same notebook")
    assert one_estimate(tmp_path, job(notebook, seconds=40.0, kernel="b")) == (140.0, "same notebook")
    assert one_estimate(tmp_path, job(notebook, seconds=40.0, kernel="c")) == (100.0, "same notebook")


def test_without_history_it_is_reckoned_or_unknown(tmp_path, notebook):
    remember(tmp_path, "night", job(notebook), 99.0, status="failed")
    remember(tmp_path, "night", job(notebook), 99.0, key="other hardware")
    assert one_estimate(tmp_path, job(notebook)) == (2.0 + 10.0 + 3 * 1.5, "reckoned")
    assert one_estimate(tmp_path, job(notebook), lambda: None) == (None, "unknown")
    told = job(notebook).model_copy(update={"takes_s": 33.0})
    assert one_estimate(tmp_path, told) == (33.0, "plan")
    remember(tmp_path, "night", job(notebook, seconds=9.0), 30.0)
    assert one_estimate(tmp_path, told) == (23.0, "same notebook"), "what happened here says more"


def test_a_job_that_cannot_run_says_why_and_costs_nothing(tmp_path, notebook):
    asked = [job(notebook, secnods=1.0), job(tmp_path / "absent.ipynb"), job(tmp_path / ("x" * 400 + ".ipynb"))]
    found = estimate(asked, read_history(tmp_path, "hw"), lambda: pytest.fail("nothing is to be measured"))
    assert [each.source for each in found] == ["cannot run"] * 3
    assert "no parameter 'secnods'" in found[0].problem and "there is no notebook" in found[1].problem
    assert batch_seconds(asked, found, 1) == 0.0


def test_damaged_files_tell_nothing(tmp_path, notebook):
    remember(tmp_path, "night", job(notebook), 99.0)
    for file in tmp_path.glob("night/hw/*/*.json"):
        file.write_text('["torn')
    assert one_estimate(tmp_path, job(notebook))[1] == "reckoned"


def test_neighbours_that_time_nothing_share_the_time_and_a_limit_is_one(tmp_path, notebook):
    jobs = [job(notebook, seconds=float(n)) for n in range(5)]
    jobs = [one.model_copy(update={"times": place == 2, "limit_s": 50.0}) for place, one in enumerate(jobs)]
    for one, seconds in zip(jobs, [30.0, 10.0, 20.0, 5.0, 90.0], strict=True):
        remember(tmp_path, "night", one, seconds)
    found = estimate(jobs, read_history(tmp_path, "hw"), lambda: None)
    assert batch_seconds(jobs, found, 1) == 30 + 10 + 20 + 5 + 50
    assert batch_seconds(jobs, found, 2) == 30 + 20 + 50


def test_what_starts_cost_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    assert known_starts("hw") is None
    monkeypatch.setattr(module, "_notebook_start_s", lambda: 7.0)
    monkeypatch.setattr(module, "_process_start_s", lambda: 1.0)
    assert measured_starts("hw") == known_starts("hw") == Starts(7.0, 1.0)
    monkeypatch.setattr(module, "_notebook_start_s", lambda: pytest.fail("it was measured again"))
    assert measured_starts("hw") == Starts(7.0, 1.0)


@pytest.mark.slow
@pytest.mark.notebook
def test_the_start_of_a_notebook_can_be_measured():
    assert module._notebook_start_s() > module._process_start_s() > 0
