"""`workbench doctor` tells the truth about what is absent, and never fails on a strange machine."""

import json
import os

import pytest
from click.testing import CliRunner

from workbench import abilities
from workbench.abilities import ability as base
from workbench.abilities import house, machine, profilers
from workbench.commands.doctor import command

TOOLS = {  # a program: the abilities that need it
    "valgrind": {"cache simulation", "heap by valgrind"},
    "perf": {"perf", "lines in perf", "perf c2c"},
    "strace": {"system calls"},
    "py-spy": {"py-spy"},
    "chromium": {"browser tests"},
    "heaptrack": {"native heap"},
    "bpftrace": {"kernel tracing"},
    "g++": {"C++ peers"},
}


def test_each_ability_that_does_not_work_names_a_fallback():
    for ability in abilities.examine():
        assert ability.reason
        assert ability.works or ability.fallback, ability.name


@pytest.mark.parametrize("check", [abilities.callgrind, abilities.perf, abilities.compiler, abilities.browser])
def test_an_absent_program_is_told_with_what_to_install(check, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    ability = check()
    assert not ability.works
    assert "not on this machine" in ability.reason
    assert "apt-get install" in ability.remedy


def test_a_clock_without_constant_tsc_is_told(monkeypatch):
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine, "read", lambda path: "flags : fpu tsc nonstop_tsc")
    ability = abilities.clock()
    assert not ability.works
    assert "constant_tsc" in ability.reason
    assert "nonstop_tsc" not in ability.reason


def test_another_package_called_kernels_is_noticed_and_fails(monkeypatch, tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("")
    spec = house.importlib.util.spec_from_file_location("kernels", tmp_path / "kernels" / "__init__.py")
    monkeypatch.setattr(house.importlib.util, "find_spec", lambda name: spec)
    assert not abilities.import_names().works
    result = CliRunner().invoke(command, ["--json"], standalone_mode=False)
    assert result.return_value == 1


def test_a_check_that_breaks_hides_no_other(monkeypatch):
    def broken():
        raise OSError("no /proc")

    monkeypatch.setattr(abilities, "CHECKS", (broken, abilities.pinning))
    first, second = abilities.examine()
    assert not first.works
    assert "no /proc" in first.reason
    assert second.name == "pinned replicates"


def test_json_is_one_object():
    result = CliRunner().invoke(command, ["--json"], standalone_mode=False)
    told = json.loads(result.output)
    assert told["schema"] == "workbench/doctor/1"
    assert len(told["abilities"]) == len(abilities.CHECKS)


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch):
    for name in ("WORKBENCH_CACHE", "WORKBENCH_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "~")
    for check, variable in ((abilities.code_cache, "WORKBENCH_CACHE"), (abilities.results_store, "WORKBENCH_HOME")):
        ability = check()
        assert not ability.works and variable in ability.remedy


@pytest.fixture
def only(monkeypatch, tmp_path):
    """Return a function that leaves some programs on the PATH: each a script that ends with a status."""

    def leave(**statuses):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, status in statuses.items():
            script = folder / name.replace("_", "-")
            script.write_text(f"#!/bin/sh\necho 'it is not allowed.' >&2\nexit {status}\n")
            script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setattr(base.sys, "executable", str(folder / "python"))

    return leave


@pytest.mark.parametrize("absent", ["valgrind", "perf", "strace", "py-spy", "chromium"])
def test_doctor_tells_of_one_absent_tool_and_finds_the_others(absent, monkeypatch, tmp_path):
    found = {name: path for name in [*TOOLS, "true", "sh", "which"] if (path := base.tool(name))}
    for name, path in found.items():
        if name != absent:
            (tmp_path / name).symlink_to(path)
    (tmp_path / "python").symlink_to(base.sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(base.sys, "executable", str(tmp_path / "python"))  # py-spy lies beside it
    told = {each["name"]: each for each in json.loads(CliRunner().invoke(command, ["--json"]).output)["abilities"]}
    for name in TOOLS[absent]:
        assert not told[name]["works"], told[name]
        assert absent in told[name]["reason"] and "not" in told[name]["reason"]
        assert told[name]["fallback"] and told[name]["remedy"]
    for tool in found.keys() & TOOLS.keys() - {absent}:
        for name in TOOLS[tool]:
            assert "not on this machine" not in told[name]["reason"], told[name]


@pytest.mark.parametrize(
    ("check", "tool"),
    [
        (abilities.callgrind, "valgrind"),
        (abilities.massif, "valgrind"),
        (abilities.perf, "perf"),
        (abilities.false_sharing, "perf"),
        (abilities.jitdump, "perf"),
        (abilities.strace, "strace"),
        (abilities.heaptrack, "heaptrack"),
    ],
)
def test_a_program_that_is_there_and_may_not_do_its_work_is_told(check, tool, only):
    only(**{tool: 1})
    refused = check()
    assert not refused.works and refused.fallback
    assert "it is not allowed" in refused.reason
    only(**{tool: 0})
    assert check().works


def test_py_spy_is_let_at_a_child(only, monkeypatch):
    python = base.sys.executable
    only(py_spy=0)
    monkeypatch.setattr(profilers.sys, "executable", python)  # of the child that is traced
    monkeypatch.setattr(profilers, "tool", lambda name: str(base.Path(os.environ["PATH"]) / name))
    assert "traces a child" in abilities.ptrace().reason
    only(py_spy=1)
    monkeypatch.setattr(profilers.sys, "executable", python)
    refused = abilities.ptrace()
    assert not refused.works and "it is not allowed" in refused.reason and "SYS_PTRACE" in refused.remedy
    monkeypatch.setattr(profilers, "read", lambda path: "3")
    assert "switched off" in abilities.ptrace().reason


def test_bpftrace_needs_root_and_a_tracepoint(only, monkeypatch):
    only(bpftrace=1)
    monkeypatch.setattr(profilers.os, "geteuid", lambda: 1000)
    assert abilities.bpftrace().reason == "bpftrace needs root"
    monkeypatch.setattr(profilers.os, "geteuid", lambda: 0)
    assert "it is not allowed" in abilities.bpftrace().reason
    only(bpftrace=0)
    assert abilities.bpftrace().works


def test_a_trial_that_hangs_is_ended_and_a_program_that_does_not_start_is_told():
    assert base.tried(["sleep", "60"], patience_s=0.2) == "it did not end within 0.2 s"
    assert "does not start" in base.tried(["/nonexistent/program"])
    assert base.tried(["sh", "-c", "exit 3"]) == "status 3"
    assert base.tried(["true"]) == ""


@pytest.mark.parametrize(
    ("check", "package"),
    [
        (abilities.memray, "memray"),
        (abilities.scalene, "scalene"),
        (abilities.notebooks, "papermill"),
        (abilities.widgets, "anywidget"),
        (abilities.dask, "distributed"),
    ],
)
def test_an_absent_package_is_told_with_what_to_install(check, package, monkeypatch):
    real = base.importlib.util.find_spec
    monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None if name == package else real(name))
    absent = check()
    assert not absent.works and package in absent.reason
    assert absent.remedy.startswith("pip install") and absent.fallback


def test_a_server_that_does_not_answer_is_told_without_its_password(monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.delenv("WORKBENCH_STORE", raising=False)
    assert "names no server" in abilities.postgres().reason
    monkeypatch.setenv("WORKBENCH_STORE", "postgresql+psycopg://me:s3cret@127.0.0.1:9/none")
    refused = abilities.postgres()
    assert not refused.works and "127.0.0.1" in refused.reason
    assert "s3cret" not in str(refused.as_dict())


def test_trials_stand_for_checks_and_are_asked_for():
    assert set(abilities.TRIALS) <= set(abilities.CHECKS)
    assert all(trial.__name__ == f"try_{check.__name__}" for check, trial in abilities.TRIALS.items())


@pytest.mark.slow
def test_thorough_trials_start_what_is_installed():
    told = {each.name: each for each in abilities.examine(thoroughly=True)}
    assert "knows the magics" in told["notebooks"].reason, told["notebooks"]
    assert "reads its file" in told["memray"].reason, told["memray"]
    assert "profiles a program" in told["scalene"].reason, told["scalene"]
