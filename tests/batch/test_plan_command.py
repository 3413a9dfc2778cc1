"""What a batch would do, what it is told to leave out, and how it came out: by an engine that only pretends."""

import datetime
import json
from pathlib import Path

import factory
import jsonschema
import pytest
from click.testing import CliRunner
from tiny_notebook import write_notebook

from workbench.batch import engines
from workbench.batch.engines import Done, held_state
from workbench.batch.estimate import Starts
from workbench.batch.folder import locked, read_batch
from workbench.batch.job import Attempt, Failure, State, write_job, write_state
from workbench.commands import schemas
from workbench.commands.batch import command
from workbench.errors import InputError, WorkbenchError
from workbench.gate.outcome import Outcome, write_outcome
from workbench.gate.rules import read_rules, write_rules
from workbench.record import Verdict

PLAN = """
title = "Every night"
baseline = "night"
budgets = "mine.toml"
thresholds = { p99 = 0.2, order_book = { throughput = 0.02 } }
[[job]]
notebook = "n.ipynb"
grid = { number = [1, 2] }
tags = ["quick"]
[[job]]
notebook = "judges.ipynb"
tags = ["judges", "long"]
times = false
"""
BUDGET = (
    '["mine"]\nkernel = "order_book"\nmetric = "service_time"\nstatistic = "p50"\nunit = "ns"\nbelow = { must = %s }\n'
)


class Pretends:
    """An engine that fills the folders of jobs without running anything."""

    def __init__(self):
        self.asked, self.fails, self.verdict, self.key = [], (), None, None

    def run(self, work, listener, render):
        done = []
        for place, job in enumerate(work.jobs):
            self.asked.append(job)
            folder = work.folder / (self.key or work.hardware_key) / job.name
            listener.started(place, job)
            failure = Failure(kind="exception", sentence="planted") if job.title in self.fails else None
            now = datetime.datetime.now(datetime.UTC)
            write_job(folder, job)
            if failure is None:
                (folder / "results.json").write_text(factory.run(with_blocks=False).to_json())
                write_outcome(folder, Outcome(headline="it is so", verdict=self.verdict))
                write_rules(folder, job.rules)
            state = State(
                status="failed" if failure else "finished", key=job.key, host="h", started=now, duration_s=7.0,
                attempts=[Attempt(started=now, duration_s=7.0, failure=failure)], failure=failure,
            )  # fmt: skip
            render(folder, state)
            write_state(folder, state)
            listener.ended(place, job, folder, state, again=True)
            done.append(Done(folder, state))
        return done


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A folder with a plan, in which an engine pretends to run it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_STORE", str(tmp_path / "store.sqlite3"))
    monkeypatch.setattr("workbench.batch.estimate.measured_starts", lambda key: Starts(10.0, 1.0))
    monkeypatch.setattr("workbench.batch.estimate.known_starts", lambda key: None)
    write_notebook(tmp_path / "n.ipynb", "1")
    write_notebook(tmp_path / "judges.ipynb", "1", parameters="baseline: str = 'main'  # which\n")
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "mine.toml").write_text(BUDGET % 1000)
    pretends = Pretends()
    monkeypatch.setattr(engines, "open_engine", lambda choice: pretends)
    return pretends


def batch(*options):
    done = CliRunner().invoke(command, ["plan.toml", "--batch", "b", *options], standalone_mode=False)
    return done if done.exception is None else done.exception


def summary():
    return json.loads(Path("reports/out/b/summary.json").read_text())


def test_a_dry_run_tells_and_does_nothing(engine):
    done = batch("--dry-run")
    assert done.return_value == 0 and "b: 3 jobs" in done.output
    assert done.output.count("reckoned") >= 3 and "about 30 s in all (3 reckoned)" in done.output
    assert not Path("reports").exists() and not engine.asked
    told = json.loads(batch("--dry-run", "--json", "--tags", "quick").output)
    assert told["estimated_s"] == 20.0 and [row["parameters"] for row in told["results"]] == [
        {"number": 1},
        {"number": 2},
    ]


def test_a_dry_run_names_what_cannot_run_and_what_is_done(engine):
    batch("--tags", "quick")
    Path("judges.ipynb").unlink()
    done = batch("--dry-run")
    assert done.return_value == 2 and "there is no notebook" in done.output
    assert "2 of them are finished and will not be repeated" in done.output


def test_a_dry_run_of_many_jobs_is_told_by_notebook(engine):
    Path("plan.toml").write_text(f'[[job]]\nnotebook = "n.ipynb"\ngrid = {{ number = {list(range(300))} }}\n')
    done = batch("--dry-run")
    assert "300 jobs" in done.output and len(done.output.splitlines()) < 10 and "50 min" in done.output


def test_the_whole_is_told_in_one_json_object_that_has_a_schema(engine):
    engine.fails = ("judges.ipynb",)
    done = batch("--json")
    told = json.loads(done.stdout)
    assert told == summary() and done.return_value == told["exit_code"] == 1
    assert told["counts"] == {"finished": 2, "failed": 1} and told["took_s"] == 21.0
    assert told["results"][2]["failure"]["sentence"] == "planted" and told["results"][2]["attempts"] == 1
    jsonschema.validate(told, schemas.schema_of("batch-summary"))
    jsonschema.validate(json.loads(Path("reports/out/b/batch.json").read_text()), schemas.schema_of("batch"))


@pytest.mark.parametrize("kind", ["batch", "batch-summary", "job", "job-state"])
def test_the_committed_schema_is_that_of_the_model(kind):
    file = Path(__file__).parents[2] / "docs" / "schemas" / f"{kind}.json"
    assert json.loads(file.read_text()) == schemas.schema_of(kind), "run: workbench schemas docs/schemas"


def test_tags_choose_and_what_ran_before_stays_in_the_batch(engine):
    batch("--tags", "judges")
    assert [job.title for job in engine.asked] == ["judges.ipynb"] and len(summary()["results"]) == 1
    batch("--skip", "long")
    assert [job.title for job in engine.asked[1:]] == ["n.ipynb"] * 2
    assert [row["notebook"] for row in summary()["results"]] == ["n.ipynb", "n.ipynb", "judges.ipynb"]
    assert "has the tag 'slow': there are judges, long, quick" in str(batch("--tags", "slow"))
    assert "leave no job" in str(batch("--tags", "quick", "--skip", "quick"))


def test_baseline_thresholds_and_budgets_reach_the_jobs(engine):
    assert batch().return_value == 0
    assert [job.parameters for job in engine.asked] == [{"number": 1}, {"number": 2}, {"baseline": "night"}]
    assert [job.times for job in engine.asked] == [True, True, False]
    rules = read_rules(next(Path("reports/out/b").glob("*/n-*")))
    assert [budget.name for budget in rules.budgets] == ["mine"]
    assert rules.chosen_margins().of("order_book", "throughput", "mean") == 0.02
    assert rules.chosen_margins().of("signals", "service_time", "p99") == 0.2


def test_a_budget_of_the_plan_that_is_surely_missed_fails_the_batch(engine):
    Path("mine.toml").write_text(BUDGET % 1)
    done = batch()
    assert done.return_value == 3 and "budget missed: mine" in done.output
    assert len(summary()["budgets_missed"]) == 1
    engine.verdict = Verdict.ENVIRONMENT_INVALID
    assert batch().return_value == 5 and not summary()["budgets_missed"], "what is invalid misses nothing"


def test_the_verdicts_of_jobs_become_the_exit_code(engine):
    engine.verdict = Verdict.SLOWER
    assert batch().return_value == 3
    engine.verdict = Verdict.UNRESOLVED
    assert batch().return_value == 4


def test_a_job_that_ran_on_another_kind_of_machine_is_part_of_the_batch(engine, monkeypatch):
    engine.key = "otherkind"
    assert batch().return_value == 0
    assert [row["job"].split("/")[0] for row in summary()["results"]] == ["otherkind"] * 3
    address = ("--engine", "dask", "--address", "tcp://nowhere:1")
    assert "3 of them are finished" in batch("--dry-run", *address).output
    assert "of them" not in batch("--dry-run").output, "this machine would measure them anew"
    waited = []
    monkeypatch.setattr(Pretends, "run", lambda self, work, *_: waited.append(read_batch(work.folder).jobs) or [])
    batch(*address)
    assert [job.split("/")[0] for job in waited[0]] == ["otherkind"] * 3, "nothing waits under this machine's key"


@pytest.mark.parametrize("name", ["../outside.ipynb", "/absent/outside.ipynb", "link.ipynb", "../../x", "/x"])
def test_a_plan_runs_no_notebook_outside_its_folder_unless_allowed(engine, tmp_path, monkeypatch, name):
    plans = tmp_path / "plans"
    plans.mkdir()
    monkeypatch.chdir(plans)
    write_notebook(tmp_path / "outside.ipynb", "1")
    (plans / "link.ipynb").symlink_to(tmp_path / "outside.ipynb")
    (plans / "plan.toml").write_text(f'[[job]]\nnotebook = "{name}"\n')
    refused = batch()
    assert isinstance(refused, InputError) and "[[job]] number 1, notebook:" in str(refused)
    assert "outside" in str(refused) and not engine.asked
    assert batch("--outside").exception is None and len(engine.asked) == 1


def test_a_notebook_below_the_current_folder_is_the_persons_own(engine, tmp_path):
    plans = tmp_path / "plans"
    plans.mkdir()
    (plans / "plan.toml").write_text('[[job]]\nnotebook = "../n.ipynb"\n')
    done = CliRunner().invoke(command, ["plans/plan.toml", "--batch", "b"], standalone_mode=False)
    assert done.return_value == 0 and engine.asked[0].title == "../n.ipynb"


def test_a_second_batch_of_the_same_name_is_refused_and_a_dead_ones_lock_is_taken_over(engine, tmp_path):
    folder = tmp_path / "reports" / "out" / "b"
    with locked(folder):
        refused = batch()
    assert isinstance(refused, InputError) and "is being run by another process" in str(refused)
    assert (folder / ".lock").is_file(), "it stays; nobody holds it"
    assert batch().return_value == 0


def test_what_cannot_be_stored_is_told_and_stops_nothing(engine, monkeypatch):
    from workbench.store import Store

    def full(self, record):
        raise WorkbenchError("the disk is full")

    monkeypatch.setattr(Store, "add", full)
    done = batch()
    assert done.return_value == 1 and len(engine.asked) == 3
    assert "are not in the store: the disk is full" in done.output and len(summary()["troubles"]) == 3


def test_a_job_whose_folder_tells_nothing_of_its_failure_is_told_all_the_same(engine, monkeypatch):
    """As one that somebody runs by hand meanwhile: what lies there may be an earlier run's, finished."""
    batch()

    def holds(self, work, listener, render):
        done = [
            Done(work.folder / work.hardware_key / job.name, held_state(job, WorkbenchError("another runs it")))
            for job in work.jobs
        ]
        for place, each in enumerate(done):
            listener.ended(place, work.jobs[place], each.folder, each.state, again=True)
        return done

    monkeypatch.setattr(Pretends, "run", holds)
    done = batch()
    assert done.return_value == 1 and done.output.count("it was not begun: another runs it") >= 3


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ('{ kernel = "../x.py:x" }', "parameter kernel: ../x.py:x"),
        ('{ kernel = "link.py:x/fast" }', "parameter kernel: link.py:x/fast"),
        ('{ kernels = ["order_book", "/absent/x.py:x"] }', "parameter kernels: /absent/x.py:x"),
        ('{ function = "~/x.py:f" }', "parameter function: ~/x.py:f"),
        ('{ function = "../x.so:f" }', "parameter function: ../x.so:f"),
        ('{ module = "../package" }', "parameter module: ../package"),
        ('{ modules = ["..", "plain"] }', "parameter modules: .."),
    ],
)
def test_a_plan_imports_no_code_outside_its_folder_unless_allowed(engine, tmp_path, monkeypatch, parameters, names):
    plans = tmp_path / "plans"
    plans.mkdir()
    monkeypatch.chdir(plans)
    write_notebook(plans / "n.ipynb", "1")
    (tmp_path / "x.py").write_text("")
    (plans / "link.py").symlink_to(tmp_path / "x.py")
    (plans / "plan.toml").write_text(f'[[job]]\nnotebook = "n.ipynb"\nparameters = {parameters}\n')
    refused = batch()
    assert isinstance(refused, InputError) and f"[[job]] number 1, {names} lies outside" in str(refused)
    assert not engine.asked
    assert batch("--outside").exception is None and len(engine.asked) == 1


def test_a_plan_may_name_code_of_its_own_and_what_only_looks_like_a_path(engine):
    Path("own.py").write_text("")
    own = 'kernel = "own.py:k", module = "numpy", workload = "/data/x.csv", settings = ["a=/b"]'
    Path("plan.toml").write_text(f'[[job]]\nnotebook = "n.ipynb"\nparameters = {{ {own} }}\n')
    assert batch().exception is None and len(engine.asked) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("n.ipynb", "./n.ipynb"), ("judges.ipynb", "judges.ipynb'\nparameters.baseline = 'night")],
)
def test_a_job_that_stands_twice_in_other_words_is_refused(engine, first, second):
    tables = f"[[job]]\nnotebook = '{first}'\n[[job]]\nnotebook = '{second}'\n"
    Path("plan.toml").write_text(f"baseline = 'night'\n{tables}")
    refused = batch()
    assert isinstance(refused, InputError) and "[[job]] number 2 makes the same job as number 1" in str(refused)
    assert not engine.asked


def test_two_plans_of_one_name_do_not_share_a_batch(engine, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_notebook(other / "mine.ipynb", "1")
    (other / "plan.toml").write_text('[[job]]\nnotebook = "mine.ipynb"\n')
    assert batch().exception is None
    kept = Path("reports/out/b/batch.json").read_bytes()
    for more in ((), ("--dry-run",)):
        words = ["other/plan.toml", "--batch", "b", *more]
        refused = CliRunner().invoke(command, words, standalone_mode=False).exception
        assert isinstance(refused, InputError) and "give another --batch NAME or --out" in str(refused)
    assert Path("reports/out/b/batch.json").read_bytes() == kept
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    words = [str(link / "plan.toml"), "--batch", "b"]
    assert CliRunner().invoke(command, words, standalone_mode=False).exception is None, "the same plan by another path"
    Path("plan.toml").rename("plan.moved")
    moved = CliRunner().invoke(command, ["other/plan.toml", "--batch", "b"], standalone_mode=False)
    assert moved.exception is None, "a plan that was moved with its notebooks goes on with its batch"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("state.json", '{"status": "finished", "attempts": 5}'),
        ("state.json", '{"status": "failed", "failure": "no"}'),
        ("results.json", "[" * 100_000),
        ("params.json", "[" * 100_000),
    ],
)
def test_an_odd_file_of_a_job_ends_no_batch_nor_its_resume(engine, file, text):
    batch()
    for folder in Path("reports/out/b").glob("*/n-*"):
        (folder / file).write_text(text)
    again = batch("--tags", "judges")
    assert again.return_value in (0, 1), again
    assert (Path("reports/out/b/index.html")).read_text().rstrip().endswith("</html>")
    assert not [each for each in summary()["troubles"] if "index" in each]


def test_what_no_code_foresaw_is_told_and_stops_nothing(engine, monkeypatch):
    from workbench.store import Store

    def too_large(self, record):
        raise OverflowError("Python int too large to convert to SQLite INTEGER")

    monkeypatch.setattr(Store, "add", too_large)
    done = batch()
    assert done.return_value == 1 and len(engine.asked) == 3
    assert summary()["troubles"][0].endswith("are not in the store: OverflowError: Python int too large to convert to "
                                             "SQLite INTEGER")  # fmt: skip
