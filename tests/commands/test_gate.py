"""The verb: options, outputs, exit codes, hostile input; revisions are gated on paper and once for real."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "gate"))
import factory
from synthetic import Machine, Silent

from workbench import cli, files, performance_regression
from workbench.commands.gate import command
from workbench.errors import Exit, InputError, WorkbenchError
from workbench.gate import newest, revisions
from workbench.gate.running import Gate
from workbench.measure.arms import Arm
from workbench.measure.turns_job import EVERYTHING
from workbench.store import open_store


def invoke(*words):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def on_paper(home, monkeypatch):
    """Let the gate measure a machine on paper; returns a function that sets it."""

    def use(machine):
        def gate(request, against, candidate, options, make_progress):
            arms = Arm(against), Arm("working tree" if candidate == "." else candidate)
            return Gate(request, *arms, options, Silent, look=machine.look, measure=machine.measure).run()

        monkeypatch.setattr(revisions, "gate_revisions", gate)

    return use


@pytest.mark.parametrize(
    ("machine", "code", "first"),
    [
        ({"speeds": {"k/a": (100, 100)}}, Exit.FINE, "UNCHANGED"),
        ({"speeds": {"k/a": (100, 80)}}, Exit.FINE, "FASTER"),
        ({"speeds": {"k/a": (100, 120)}}, Exit.REGRESSION, "SLOWER"),
        ({"speeds": {"k/a": (100, 103)}}, Exit.UNRESOLVED, "UNRESOLVED"),
        ({"speeds": {"k/a": (100, 120)}, "drift": 1.2}, Exit.INVALID, "ENVIRONMENT INVALID"),
    ],
)
def test_exit_codes_and_all_outputs(on_paper, home, machine, code, first):
    on_paper(Machine(**machine))
    comment, junit = home / "new" / "gate.md", home / "gate.xml"
    result = invoke("k", "--against", "main", "--markdown", comment, "--junit", junit)
    assert result.return_value == code
    assert result.stdout.startswith(f"{first}: ") and "next: " in result.stdout
    assert comment.read_text().startswith(f"### {first}: ")
    assert ElementTree.parse(junit).getroot().tag == "testsuites"
    (saved,) = re.findall(r"saved as (\w+)", result.stdout)
    stored = open_store().get(saved)
    assert stored.verdict == first and [open_store().get(each).kind for each in stored.run_ids] == ["run"] * len(
        stored.run_ids
    )


def test_json_is_one_object(on_paper):
    on_paper(Machine({"k/a": (100, 120)}))
    result = invoke("k", "--against", "main", "--json", "--no-save")
    told = json.loads(result.stdout)
    assert told["schema"] == "workbench/gate/1" and told["verdict"] == "SLOWER"
    assert [cell["verdict"] for cell in told["cells"]] == ["SLOWER"]
    assert "saved" not in result.output


def test_unresolved_may_pass_and_is_said_to(on_paper):
    on_paper(Machine({"k/a": (100, 103)}))
    result = invoke("k", "--against", "main", "--allow-unresolved")
    assert result.return_value == Exit.FINE and "UNRESOLVED does not block here" in result.output
    on_paper(Machine({"k/a": (100, 120)}))
    assert invoke("k", "--against", "main", "--allow-unresolved").return_value == Exit.REGRESSION


def test_a_missed_budget_blocks_though_unresolved_may_pass(on_paper, home):
    told = '[book]\nkernel = "k"\nmetric = "throughput"\nstatistic = "mean"\nunit = "operations/s"\n'
    (home / "budgets.toml").write_text(f"{told}above = {{must = 1e12}}\n")
    on_paper(Machine({"k/a": (100, 103)}))
    result = invoke("k", "--against", "main", "--allow-unresolved", "--budgets", home / "budgets.toml")
    assert result.return_value == Exit.REGRESSION and "UNRESOLVED, but over budget" in result.output
    assert "does not block here" not in result.output


def test_the_threshold_is_the_margin_of_all(on_paper, home):
    on_paper(Machine({"k/a": (100, 106)}))
    assert invoke("k", "--against", "main", "--threshold", "10").return_value == Exit.FINE
    on_paper(Machine({"k/a": (100, 106)}))
    (home / "margins.toml").write_text("[gate.margins.k]\nthroughput = 0.02\n")
    assert invoke("k", "--against", "main", "--margins", home / "margins.toml").return_value == Exit.REGRESSION


def save(name, seed, **options):
    run = factory.run(seed=seed, **options)
    store = open_store()
    store.add(run)
    if name:
        store.save_baseline(name, run)


def test_stored_runs(home, monkeypatch):
    monkeypatch.setattr("workbench.measure.machine.fingerprint", lambda *folder: factory.machine())
    save("monday", 1)
    with pytest.raises(InputError, match="was not measured since"):
        invoke("order_book")
    save(None, 2)
    result = invoke("order_book/ladder", "--baseline", "monday")
    assert result.return_value == Exit.UNRESOLVED, "three processes a side settle nothing"
    assert "newest against monday" in result.stdout
    assert "order_book/ladder" in result.stdout and "order_book/aligned  " not in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--against", "main", "--baseline", "x"], "give one of them"),
        (["--candidate", "HEAD"], "need --against"),
        (["--all"], "need --against"),
        (["--instructions"], "need --against"),
        (["--against", "main", "--no-timing"], "give --instructions"),
        (["--against", "main", "--threshold", "0"], "above 0 and below 100"),
        (["--against", "main", "--threshold", "3", "--margins", "x.toml"], "give one of them"),
        (["--against", "main", "--margins", "absent.toml"], "absent.toml cannot be read"),
        (["--against", "main", "--budgets", "absent.toml"], "absent.toml cannot be read"),
        (["--against", "no such revision", "order_book"], "there is no revision"),
        (["--against", "--help", "order_book"], "there is no revision"),
        (["unheard_of"], "no baseline"),
        (["order_book", "-m", "mine", "--baseline", "x"], "-m would change nothing"),
        (["order_book", "--seconds", "6", "-P", "a=1"], "--seconds, -P would change nothing"),
        (["--against", "main", "--threshold", "nan"], "above 0 and below 100"),
        (["--threshold", "inf"], "above 0 and below 100"),
    ],
)
def test_wrong_usage_is_one_sentence(home, words, told):
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        invoke(*words)
    assert "\n" not in str(caught.value) and caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize("modules", [[], ["-m", "some_module"]])
def test_without_names_each_side_tells_which_kernels_it_has(home, monkeypatch, modules):
    asked = []

    def gate(request, *rest):
        asked.append((request.selectors, request.modules))
        raise InputError("no more is needed")

    monkeypatch.setattr(revisions, "gate_revisions", gate)
    with pytest.raises(InputError, match="no more is needed"):
        invoke("--against", "main", *modules)
    assert asked == [([EVERYTHING], modules[1:])], "a kernel that one side alone has would end the gate"


def test_no_timing_without_valgrind_leaves_nothing(home, monkeypatch):
    monkeypatch.setattr("workbench.gate.instructions.missing", lambda: "valgrind is not installed")
    with pytest.raises(InputError, match="nothing can be judged with --no-timing: valgrind is not installed"):
        invoke("--against", "main", "--instructions", "--no-timing")


def test_a_full_disk_leaves_the_old_file(on_paper, home, monkeypatch):
    on_paper(Machine({"k/a": (100, 100)}))
    file = home / "gate.md"
    file.write_text("old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(WorkbenchError, match="was not written"):
        invoke("k", "--against", "main", "--no-save", "--markdown", file)
    assert file.read_text() == "old" and list(home.glob(".gate*")) == []


def test_a_folder_that_cannot_be_written_is_told(on_paper, home):
    on_paper(Machine({"k/a": (100, 100)}))
    (home / "file").write_text("")
    with pytest.raises(InputError, match="a part of that path is a file"):
        invoke("k", "--against", "main", "--no-save", "--junit", home / "file" / "gate.xml")


def test_the_workflow_is_yaml_whose_commands_exist():
    printed = invoke("--workflow").stdout
    assert printed == (Path(files.shipped("reports")) / "templates" / "performance-gate.yml").read_text()
    told = yaml.safe_load(printed)
    assert set(told["jobs"]) == {"instructions", "time"} and "pull_request" in told[True]  # YAML 1.1: on is true
    lines = [
        line.strip()
        for job in told["jobs"].values()
        for step in job["steps"]
        for line in step.get("run", "").splitlines()
    ]
    ours = [line.split() for line in lines if line.startswith(("workbench ", "check_performance_regression "))]
    assert len(ours) == 2
    known = {option for parameter in command.params for option in parameter.opts}
    for words in ours:
        assert words[0] == "check_performance_regression" or words[1] == "gate"
        options = [word for word in words if word.startswith("--")]
        assert len(options) >= 4 and set(options) <= known
    assert "${{" not in "".join(lines), "what others write must not reach a shell unquoted"


def test_the_check_is_the_gate_with_a_threshold(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "main", lambda: seen.append(sys.argv[1:]))
    for words in (["--against", "main"], ["--threshold", "5"], ["--threshold=5"], ["--margins", "a.toml"], ["--help"]):
        monkeypatch.setattr(sys, "argv", ["check_performance_regression", *words])
        performance_regression.main()
    assert seen == [
        ["gate", "--against", "main", "--threshold", "10"],
        ["gate", "--threshold", "5"],
        ["gate", "--threshold=5"],
        ["gate", "--margins", "a.toml"],
        ["gate", "--help"],
    ]
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'check_performance_regression = "workbench.performance_regression:main"' in project


def test_the_statistics_of_stored_runs_are_those_of_compare():
    from workbench.commands.compare import STATISTICS

    assert set(newest.STATISTICS) == set(STATISTICS)


@pytest.mark.slow
def test_a_planted_slowdown_is_found_between_two_revisions(toy, tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    source = Path(__file__).parents[1] / "measure" / "toy_kernel"
    (repository / "toy_kernel").mkdir(parents=True)
    for file in source.glob("*.py"):
        (repository / "toy_kernel" / file.name).write_bytes(file.read_bytes())
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    changed = repository / "toy_kernel" / "baseline.py"
    changed.write_text(changed.read_text().replace("probe, 1)", "probe, 2)"))
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "path", [str(repository), *[path for path in sys.path if "tests/measure" not in path]])
    words = [word for word in toy if word not in ("--replicates", "1")]
    result = invoke("toy", "--against", "HEAD", *words, "--replicates", "6", "-P", "rounds=40", "--json")
    told = json.loads(result.stdout)
    assert told["same_code"] == ["toy/doubled"]
    if told["verdict"] == "ENVIRONMENT INVALID":
        pytest.skip("another program disturbed the controls: this machine is not quiet")
    found = {cell["b"]: cell["verdict"] for cell in told["cells"] if cell["metric"] == "throughput"}
    assert found == {"toy/baseline@working tree": "SLOWER"} and result.return_value == Exit.REGRESSION
