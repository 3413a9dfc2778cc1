"""The fixture in a suite of its own: what fails, what is only told, what is kept. Only the slow test times anything."""

import json
import subprocess
import sys
from pathlib import Path

import factory
import pytest
import scipy.special  # noqa: F401  (the judges import it when they need it, which inside a run of pytest would be twice)

from workbench import record
from workbench.measure.driver import Report
from workbench.measure.function_kernel import Plan
from workbench.measure.job import Chosen, Outcome, Share
from workbench.store import open_store
from workbench.testing import performance as fixture_module  # here: what a run inside a test imports, it forgets
from workbench.testing import revision as revision_module

pytest_plugins = "pytester"

FUNCTIONS = """
def old(n): return sum(range(n))
def new(n): return sum(range(n))
def other(n): return -1
def raising(n): raise KeyError("lost")
def arguments(): return (50,)
"""
AGAINST_OLD = "from functions import *\ndef test_it(performance):\n    performance.compare(old, new, 50)\n"
AGAINST_BASELINE = "from functions import *\ndef test_it(performance):\n    performance(new, 50)\n"


class Faked:
    """In place of a measurement: what the processes would report if functions took the times that the test sets."""

    speeds_ns: dict = {}  # noqa: RUF012
    codes: dict = {}  # noqa: RUF012
    replicates = 6
    requests: list = []  # noqa: RUF012
    wait = ""
    arms = ("",)

    def __init__(self, request, progress):
        self.request = request
        Faked.requests.append(request)
        if self.wait:
            progress.note(self.wait)

    def run(self):
        folder = next(path for path in self.request.paths if (Path(path) / "plan.json").exists())
        plan = Plan.model_validate_json((Path(folder) / "plan.json").read_bytes())
        names = [selector.partition("/")[2] + arm for selector in self.request.selectors for arm in self.arms]
        speeds = {name: self.speeds_ns.get(name, 100.0) for name in names}
        replicates = factory.replicates(plan.kernel, speeds, self.replicates, seed=len(Faked.requests))
        codes = {f"{plan.kernel}/{name}": self.codes.get(name, name) for name in names}
        replicates = [each.model_copy(update={"code_hash": codes}) for each in replicates]
        parameters = {"calls": plan.calls, **({"yardstick": plan.yardstick} if plan.yardstick else {})}
        outcomes = [
            Outcome(
                replicate=each,
                workload=self.request.description,
                parameters={plan.kernel: parameters},
                chosen=[Chosen(kernel=plan.kernel, variant=name, parent=None, peer=False) for name in names],
                operations_per_sample={plan.kernel: 1},
                shares={plan.kernel: Share(blocks=6, repeats=1)},
            )
            for each in replicates
        ]
        return Report(outcomes, factory.machine(), {}, 1.0, 1.0, [], {})


@pytest.fixture
def suite(pytester, monkeypatch, tmp_path):
    """Return a function that runs a test file with the fixture, with measurements faked, and returns its result."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fixture_module, "Measurement", Faked)
    monkeypatch.setattr(fixture_module, "fingerprint", factory.machine)
    for name, value in (("speeds_ns", {}), ("codes", {}), ("requests", []), ("replicates", 6), ("wait", "")):
        monkeypatch.setattr(Faked, name, value)
    pytester.makepyfile(functions=FUNCTIONS)
    monkeypatch.syspath_prepend(str(pytester.path))
    monkeypatch.delitem(sys.modules, "functions", raising=False)

    def run(text, *options):
        pytester.makepyfile(test_one=text)
        return pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider", *options)

    return run


@pytest.mark.parametrize(
    ("new_ns", "options", "verdict", "fails"),
    [
        (100, [], "UNCHANGED", False),
        (50, [], "FASTER", False),
        (120, [], "SLOWER", True),
        (120, ["--performance-threshold", "30"], "UNCHANGED", False),
        (102.9, [], "UNRESOLVED", False),
        (102.9, ["--performance-strict"], "UNRESOLVED", True),
    ],
)
def test_only_slower_fails_unless_one_is_strict(suite, new_ns, options, verdict, fails):
    Faked.speeds_ns = {"old": 100.0, "new": new_ns}
    result = suite(AGAINST_OLD, *options)
    result.assert_outcomes(**{"failed" if fails else "passed": 1})
    result.stdout.fnmatch_lines(["*= performance =*", f"{verdict} *test_one.py::test_it: new against old *(*..*)"])
    runs = open_store().runs()
    assert runs[0].comparisons[0].verdict == verdict


def test_a_failure_is_one_sentence_with_the_interval(suite):
    Faked.speeds_ns = {"old": 100.0, "new": 150.0}
    result = suite(AGAINST_OLD)
    assert "new against old: SLOWER, 1.5" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert len(Faked.requests) == 2  # measured again in fresh processes before it fails


def test_slower_that_fresh_processes_do_not_confirm_does_not_fail(suite, monkeypatch):
    Faked.speeds_ns = {"old": 100.0, "new": 150.0}
    first = Faked.run

    def calmed(self):
        report = first(self)
        Faked.speeds_ns = {}
        return report

    monkeypatch.setattr(Faked, "run", calmed)
    result = suite(AGAINST_OLD)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["UNRESOLVED*", "*fresh processes did not confirm*"])
    assert len(open_store().runs()) == 2


def test_one_process_is_never_slower(suite):
    Faked.speeds_ns, Faked.replicates = {"old": 100.0, "new": 300.0}, 1
    result = suite(AGAINST_OLD, "--performance-replicates", "1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["UNRESOLVED*", "*one process says nothing*"])
    assert Faked.requests[0].replicates == 1


def test_the_same_machine_code_cannot_be_slower(suite):
    Faked.speeds_ns, Faked.codes = {"old": 100.0, "new": 150.0}, {"old": "same", "new": "same"}
    result = suite(AGAINST_OLD)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["ENVIRONMENT INVALID*", "*same machine code*"])


def test_the_first_run_saves_and_later_ones_judge(suite):
    suite(AGAINST_BASELINE).stdout.fnmatch_lines(["SAVED *test_it: new *ns a call", "*saved as this test's baseline*"])
    Faked.codes = {"new": "changed"}
    suite(AGAINST_BASELINE).stdout.fnmatch_lines(["UNCHANGED *new against its baseline of *"])
    Faked.speeds_ns = {"new": 150.0}
    result = suite(AGAINST_BASELINE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["SLOWER *", "*expressed against*yardstick*"])
    suite(AGAINST_BASELINE, "--performance-save").stdout.fnmatch_lines(["SAVED*"])
    suite(AGAINST_BASELINE).assert_outcomes(passed=1)


def test_the_threshold_decides_against_a_baseline_too(suite):
    suite(AGAINST_BASELINE)
    Faked.codes, Faked.speeds_ns = {"new": "changed"}, {"new": 120.0}
    suite(AGAINST_BASELINE, "--performance-threshold", "30").stdout.fnmatch_lines(["UNCHANGED*"])
    assert open_store().runs()[0].comparisons[0].margin == 0.3
    suite(AGAINST_BASELINE).assert_outcomes(failed=1)
    Faked.replicates = 2
    suite(AGAINST_BASELINE, "--performance-threshold", "1").stdout.fnmatch_lines(["UNRESOLVED*", "*no interval*"])


def test_a_slow_machine_is_no_slow_function(suite):
    suite(AGAINST_BASELINE)
    Faked.codes, Faked.speeds_ns = {"new": "changed"}, {"new": 150.0, "yardstick": 150.0}
    suite(AGAINST_BASELINE).stdout.fnmatch_lines(["UNCHANGED*"])


def test_the_baselines_settings_are_used_again(suite, monkeypatch):
    suite(AGAINST_BASELINE)
    monkeypatch.setattr("workbench.measure.functions._calls_for", lambda fastest_ns, slowest_ns: 3)
    monkeypatch.setattr("workbench.measure.functions._rounds", lambda examined: 7)
    Faked.codes = {"new": "changed"}
    suite(AGAINST_BASELINE)
    second, first = open_store().runs()
    assert first.parameters == second.parameters != {}
    assert first.parameters[first.results[0].kernel] != {"calls": 3, "yardstick": 7}


def test_a_renamed_function_is_told_and_not_judged(suite):
    suite(AGAINST_BASELINE)
    result = suite(AGAINST_BASELINE.replace("new", "old"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["UNRESOLVED*", "*baseline is of another function, not of old: give --performance-save"]
    )
    assert len(Faked.requests) == 1
    suite(AGAINST_BASELINE.replace("new", "old"), "--performance-save").stdout.fnmatch_lines(["SAVED *old*"])


def test_another_project_has_a_baseline_of_its_own(suite, monkeypatch):
    suite(AGAINST_BASELINE)
    monkeypatch.setattr(pytest.Config, "rootpath", Path("/somewhere/another"))
    suite(AGAINST_BASELINE).stdout.fnmatch_lines(["SAVED*"])
    assert Faked.requests[-1].selectors[0].startswith("another 3.")


def test_other_arguments_are_not_judged(suite):
    suite(AGAINST_BASELINE)
    result = suite(AGAINST_BASELINE.replace("50", "60"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["UNRESOLVED*", "*arguments are not the baseline's*"])
    assert len(Faked.requests) == 1


def test_code_that_did_not_change_is_not_timed(suite, monkeypatch):
    monkeypatch.setattr("workbench.measure.functions.hash_of", lambda variant: "same")
    Faked.codes = {"new": "same"}
    suite(AGAINST_BASELINE)
    result = suite(AGAINST_BASELINE)
    result.stdout.fnmatch_lines(["UNCHANGED*", "*no code change*nothing was timed*"])
    assert len(Faked.requests) == 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("performance(3)", "int is a int, which cannot be called"),
        ("performance(raising, 1)", "raising raised KeyError ('lost')"),
        ("performance(new)", "raised TypeError"),
        ("performance.compare(old, other, 5)", "old and other return different results"),
        ("performance.compare(old, old, 5)", "compared with itself"),
        ("performance.compare(old, lambda n: sum(range(n)), 5)", "a lambda cannot be imported by another process"),
        ("performance(new, 5, setup=arguments)", "give one of them"),
        ("performance(new, setup=7)", "cannot be called"),
        ("performance(new, setup=lambda: None)", "returned None"),
        ("performance(len, (i for i in range(3)))", "TypeError"),
    ],
)
def test_a_mistake_is_one_sentence(suite, call, sentence):
    result = suite(f"from functions import *\ndef test_it(performance):\n    {call}\n")
    result.assert_outcomes(failed=1)
    assert sentence in result.stdout.str()
    assert "Traceback" not in result.stdout.str() and "During handling" not in result.stdout.str()
    assert Faked.requests == []


def test_arguments_made_by_a_function_and_two_measurements_in_one_test(suite):
    text = (
        "from functions import *\ndef test_it(performance):\n"
        "    assert performance.compare(old, new, setup=arguments).verdict == 'UNCHANGED'\n"
        "    performance.compare(old, other, 5, tolerance=None)\n"
    )
    suite(text).assert_outcomes(passed=1)
    selectors = [request.selectors[0].split(" ", 2)[2] for request in Faked.requests]
    assert selectors == ["test_one::test_it/old", "test_one::test_it #2/old"]


def test_names_of_parametrized_tests_can_be_kernels(suite):
    text = (
        "import pytest\nfrom functions import *\n"
        "@pytest.mark.parametrize('x', ['a/b', 'a.b', 'c,d', 'c;d', 'e@f', 'e(at)f'])\n"
        "def test_it(performance, x):\n    performance(new, 50)\n"
    )
    suite(text).assert_outcomes(passed=6)
    for request in Faked.requests:
        assert request.selectors[0].count("/") == 1 and "@" not in request.selectors[0]
    assert len(open_store().baselines()) == 6


def test_waiting_for_another_timing_job_is_told_at_once(suite):
    Faked.wait = "waiting for another timing job on this host: process 7"
    suite(AGAINST_OLD).stdout.fnmatch_lines(["performance: waiting for another timing job*", "*= performance =*"])


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)


def test_a_function_against_a_revision(suite, pytester, monkeypatch):
    seen = []

    def in_turns(request, arms, progress):
        seen.append([(arm.label, (Path(arm.paths[0]) / "functions.py").read_text()) for arm in arms])
        monkeypatch.setattr(Faked, "arms", tuple(f"@{arm.label}" for arm in arms))
        return Faked(request, progress).run()

    monkeypatch.setattr(revision_module, "measure_in_turns", in_turns)
    monkeypatch.setenv("WORKBENCH_CACHE", str(pytester.path / "cache"))
    result = suite(AGAINST_BASELINE, "--performance-against", "HEAD")
    result.assert_outcomes(failed=1)
    assert "lies in no git repository" in result.stdout.str()
    git(pytester.path, "init", "-q")
    git(pytester.path, "add", "functions.py")
    git(pytester.path, "commit", "-qm", "first")
    (pytester.path / "functions.py").write_text(FUNCTIONS + "# later\n")
    Faked.speeds_ns = {"new@HEAD": 100.0, "new@working tree": 150.0}
    result = suite(AGAINST_BASELINE, "--performance-against", "HEAD")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["SLOWER *new against HEAD 1.5*"])
    (then, old), (now, new) = seen[0]
    assert (then, now) == ("HEAD", "working tree")
    assert "def new" in old and "# later" not in old and "# later" in new
    result = suite(AGAINST_BASELINE, "--performance-against", "nowhere")
    assert "there is no revision 'nowhere'" in result.stdout.str()
    result = suite(AGAINST_BASELINE, "--performance-against", ".")
    assert "name a commit" in result.stdout.str()


def test_skip_collect_only_and_without_the_plugin(suite):
    result = suite(AGAINST_OLD, "--performance-skip", "-rs")
    result.assert_outcomes(skipped=1)
    assert "= performance =" not in result.stdout.str()
    result = suite(AGAINST_OLD, "--collect-only")
    assert result.ret == 0 and Faked.requests == []
    result = suite(AGAINST_OLD, "-p", "no:kernel-workbench")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'performance' not found*"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--performance-threshold", "0"], "no change in percent"),
        (["--performance-threshold", "nan"], "no change in percent"),
        (["--performance-threshold", "inf"], "no change in percent"),
        (["--performance-seconds", "-1"], "no time to measure"),
        (["--performance-replicates", "0"], "give 1 or more"),
        (["--performance-save", "--performance-against", "main"], "exclude each other"),
    ],
)
def test_options_that_mean_nothing(suite, options, sentence):
    result = suite(AGAINST_OLD, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert sentence in result.stderr.str()


def test_junit_xml_carries_the_verdict(suite, pytester):
    suite(AGAINST_OLD, "--junitxml=out.xml")
    assert "UNCHANGED" in (pytester.path / "out.xml").read_text()


def test_a_run_without_the_fixture_imports_nothing_heavy(pytester):
    pytester.makepyfile(
        "import sys\ndef test_it():\n"
        "    heavy = {'numba', 'numpy', 'scipy', 'pydantic', 'sqlalchemy', 'rich', 'click'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    script = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:hypothesispytest']))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=pytester.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow  # two more processes that import everything
def test_xdist_workers_hand_their_lines_to_the_summary(pytester, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    pytester.makepyfile(functions=FUNCTIONS)
    pytester.makeconftest(
        f"import sys\nsys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "import workbench.testing.performance as module\nfrom test_pytest_plugin import Faked\n"
        "module.Measurement = Faked\n"
    )
    pytester.makepyfile(test_one=AGAINST_OLD, test_two=AGAINST_OLD)
    result = pytester.runpytest_subprocess("-n", "1", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["UNCHANGED *test_one.py::test_it*", "UNCHANGED *test_two.py::test_it*"])


@pytest.mark.slow
def test_compiled_functions_are_timed_in_fresh_processes(pytester, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "lock"))
    pytester.makepyfile(
        functions="""
        import numba
        @numba.njit
        def once(x):
            total = 0.0
            for i in range(x.shape[0]):
                total += x[i]
            return total
        @numba.njit
        def often(x):
            most = 0.0
            for turn in range(8):
                total = turn * 0.0  # which LLVM must not call 0, so that each turn is work of its own
                for i in range(x.shape[0]):
                    total += x[i]
                most = max(most, total)
            return most
        """,
        test_one="""
        import numpy as np
        from functions import once, often
        X = np.arange(2000.0)
        def test_slower(performance):
            performance.compare(once, often, X)
        def test_baseline(performance):
            performance(once, X)
        """,
    )
    options = ("-p", "no:cacheprovider", "-q", "--performance-replicates", "6", "--performance-seconds", "1.2")
    first = pytester.runpytest_subprocess(*options)
    first.assert_outcomes(failed=1, passed=1)
    first.stdout.fnmatch_lines(["SLOWER *often against once*", "SAVED *once *ns a call"])
    again = pytester.runpytest_subprocess(*options, "-k", "baseline")
    again.assert_outcomes(passed=1, deselected=1)
    again.stdout.fnmatch_lines(["UNCHANGED *", "*no code change*"])
    runs = open_store(str(tmp_path / "home" / "results.sqlite3")).runs()
    run = next(run for run in runs if run.results[0].kernel.endswith("test_one::test_slower"))
    assert isinstance(run, record.Run) and len(run.replicates) == 6
    assert json.loads(run.to_json())["workload"]["content"] == "arguments"
