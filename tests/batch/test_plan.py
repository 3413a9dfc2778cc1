"""A plan says what runs; a mistake in it is told with file, table and key."""

import datetime
import json
from pathlib import Path

import factory
import pytest

import kernels
from workbench.batch.folder import batch_name, check_name, jobs_of, locked, merged_jobs
from workbench.batch.job import Job, job_key
from workbench.batch.parameters import check_parameters, declared_parameters, read_notebook
from workbench.batch.plan import NOT_PLANS, find_notebook, find_plan, plan_rules, read_plan
from workbench.errors import InputError
from workbench.files import shipped
from workbench.gate.rules import Rules
from workbench.measure.job import read_setting

JOB = '[[job]]\nnotebook = "latency"\n'


def plan_of(tmp_path, text):
    path = tmp_path / "nightly.toml"
    path.write_text(text)
    return read_plan(path)


def test_a_shipped_plan_is_found_by_its_name_and_a_file_of_ones_own_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = shipped("reports") / "quick.toml"
    assert find_plan(Path("quick")) == find_plan(Path("reports/quick.toml")) == kept
    assert find_plan(Path("other/quick.toml")) == Path("other/quick.toml")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "quick.toml").write_text(JOB)
    assert find_plan(Path("reports/quick.toml")) == Path("reports/quick.toml")


def test_a_grid_multiplies(tmp_path):
    plan = plan_of(tmp_path, JOB + 'parameters = { seconds = 2.0 }\ngrid = { kernel = ["a", "b"], n = [1, 2] }')
    values = [values for _, values in plan.expand()]
    assert len(values) == 4
    assert values[1] == {"seconds": 2.0, "kernel": "a", "n": 2}


BUILT_IN = sorted(path.parent.name for path in Path(kernels.__file__).parent.glob("*/reference.py"))
PLANS = sorted(path.stem for path in shipped("reports").glob("*.toml") if path.stem not in NOT_PLANS)


@pytest.mark.parametrize("name", PLANS)
def test_a_shipped_plan_asks_for_what_there_is(name):
    for entry, values in read_plan(shipped("reports") / f"{name}.toml").expand():
        path = find_notebook(entry.notebook)
        assert path.is_file()
        check_parameters(declared_parameters(read_notebook(path), path.name), values, path.name)
        if "kernel" in values:
            kernel = kernels.get(values["kernel"])
            assert set(values.get("variants", ())) <= set(kernel.variants)
            kernel.check_parameters(dict(map(read_setting, values.get("settings", ()))))


def test_the_nightly_plan_has_every_notebook_and_every_kernel():
    jobs = read_plan(shipped("reports") / "nightly.toml").expand()
    assert {entry.notebook for entry, _ in jobs} == {path.stem for path in shipped("notebooks").glob("*.ipynb")}
    for notebook in ("regression", "cpu", "memory", "cache", "system"):
        measured = {values["kernel"] for entry, values in jobs if entry.notebook == notebook}
        assert measured == set(BUILT_IN), f"{notebook} leaves kernels out"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "job is missing"),
        ("job = []", "job: List should have at least 1 item"),
        ("[[job]]\n", "[[job]] number 1, notebook is missing"),
        (JOB + "[[job]]\nnotebook = 7", "[[job]] number 2, notebook: Input should be a valid string, not '7'"),
        (JOB + "speling = 1", "[[job]] number 1, speling is no key of a plan"),
        (JOB + "[limits]\njob_s = -1", "table [limits], job_s: Input should be greater than 0"),
        (JOB + "[limits]\nretries = 99", "table [limits], retries"),
        (JOB + "grid = { kernel = [] }", "grid: kernel has no value"),
        (JOB + JOB, "stands twice"),
        (JOB + f"grid = {{ a = {list(range(400))}, b = {list(range(400))} }}", "160,000 jobs"),
        ("[[job]\n", "is not TOML"),
        ("[[job]]\nnotebook = '" + "x" * 10_000 + "'", "[[job]] number 1, notebook: String should have at most 1000"),
        ('[[job]]\nnotebook = "a\\u0000b.ipynb"', "printable text"),
        (JOB + "grid = { " + ", ".join(f"p{n} = [0, 1, 2, 3]" for n in range(60)) + " }", "jobs, at most 100,000"),
        ("budgets = 5\n" + JOB, "table [budgets]: name a file of budgets"),
        (JOB + '[budgets.b]\nkernel = "k"', 'table [budgets]: "b", metric: Field required'),
        (JOB + "[thresholds]\np98 = 0.1", "table [thresholds]: p98: there is no metric 'p98'"),
        (
            JOB + "[thresholds.signals]\np99 = 10",
            "table [thresholds]: signals.p99: a margin is a number between 0 and 1",
        ),
        (JOB + "[limits]\nbatch_s = inf", "table [limits], batch_s: Input should be a finite number"),
        (JOB + "[engine]\nat_once = 0", "table [engine], at_once: Input should be greater than or equal to 1"),
        (JOB + "[engine]\nnaem = 'dask'", "table [engine], naem is no key of a plan"),
    ],
)
def test_a_mistake_is_told_where_it_is(tmp_path, text, says):
    with pytest.raises(InputError) as caught:
        plan_of(tmp_path, text)
    assert says in str(caught.value) and "nightly.toml" in str(caught.value)


def test_budgets_and_thresholds_are_read(tmp_path):
    budget = 'kernel = "k"\nmetric = "m"\nstatistic = "p99"\nunit = "ns"\nbelow = { must = 5 }\n'
    (tmp_path / "own.toml").write_text(f'["from a file"]\n{budget}')
    plan = plan_of(tmp_path, f'{JOB}[budgets."a b"]\n{budget}[thresholds]\np50 = 0.01\nsignals = {{ p99 = 0.5 }}\n')
    rules = plan_rules(plan, tmp_path / "nightly.toml")
    assert [each.name for each in rules.budgets] == ["a b"] and rules.binding
    assert rules.margins == {"": {"p50": 0.01}, "signals": {"p99": 0.5}}
    rules = plan_rules(plan_of(tmp_path, 'budgets = "own.toml"\n' + JOB), tmp_path / "nightly.toml")
    assert [each.name for each in rules.budgets] == ["from a file"]
    assert not plan_rules(plan_of(tmp_path, JOB), tmp_path / "nightly.toml").binding


def test_a_missing_plan_names_those_there_are(tmp_path):
    with pytest.raises(InputError, match=r"there is no plan .*quick\.toml"):
        read_plan(tmp_path / "absent.toml")


def test_notebooks_are_found_by_name_or_beside_the_plan(tmp_path):
    assert find_notebook("latency") == shipped("notebooks") / "latency.ipynb"
    assert find_notebook("mine.ipynb", tmp_path) == tmp_path / "mine.ipynb"


def test_a_batch_is_a_plan_and_a_date(tmp_path):
    assert batch_name(tmp_path / "nightly.toml", datetime.date(2026, 1, 5)) == "nightly-2026-01-05"
    for name in ("", "..", "a/b", "a b", ".hidden", "x" * 101):
        with pytest.raises(InputError, match="cannot name a batch"):
            check_name(name)


def test_a_jobs_key_changes_with_what_decides_its_results(tmp_path):
    notebook = tmp_path / "n.ipynb"
    notebook.write_text("{}")
    machine = factory.machine()
    key = job_key(notebook, {"a": 1}, machine)
    assert key == job_key(notebook, {"a": 1}, factory.machine(load_1min=9.0, host="other"))
    assert key != job_key(notebook, {"a": 2}, machine)
    assert key != job_key(notebook, {"a": 1}, factory.machine(hardware_key="ffff"))
    assert key != job_key(notebook, {"a": 1}, factory.machine(versions={"numba": "0.1"}))
    assert key != job_key(notebook, {"a": 1}, machine, Rules(margins={"": {"p99": 0.5}}))
    notebook.write_text("{ }")
    assert key != job_key(notebook, {"a": 1}, machine)


def test_jobs_carry_all_that_a_process_of_its_own_needs(tmp_path):
    plan = plan_of(tmp_path, JOB + "parameters = { kernel = '<script>' }\ntags = ['t']\n[limits]\njob_s = 7")
    [job] = jobs_of(plan, tmp_path / "nightly.toml", "b", factory.machine(), "sqlite:///x")
    assert Job.model_validate(json.loads(job.model_dump_json(by_alias=True))) == job
    assert (job.limit_s, job.batch, job.store, job.tags) == (7, "b", "sqlite:///x", ["t"])
    assert job.name.startswith("latency-") and "<" not in job.name


def test_other_machines_jobs_stay_in_the_batch(tmp_path):
    job = Job(notebook="/n.ipynb")
    earlier = type("Earlier", (), {"jobs": ["other/n-1", "here/old"]})()
    assert merged_jobs(earlier, "here", [job], [job]) == ["other/n-1", f"here/{job.name}"]


def test_a_batch_is_run_by_one_process_at_a_time(tmp_path):
    with locked(tmp_path / "b"), pytest.raises(InputError, match="another process"), locked(tmp_path / "b"):
        pass
    with locked(tmp_path / "b"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), locked(tmp_path / "file" / "b"):
        pass
