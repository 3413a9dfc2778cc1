"""`workbench doctor` tells the truth about what is absent, and never fails on a strange machine."""

import json
import os

import pytest
from click.testing import CliRunner

from workbench import abilities
from workbench.commands.doctor import command


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
    monkeypatch.setattr(abilities.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(abilities, "_read", lambda path: "flags : fpu tsc nonstop_tsc")
    ability = abilities.clock()
    assert not ability.works
    assert "constant_tsc" in ability.reason
    assert "nonstop_tsc" not in ability.reason


def test_another_package_called_kernels_is_noticed_and_fails(monkeypatch, tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("")
    spec = abilities.importlib.util.spec_from_file_location("kernels", tmp_path / "kernels" / "__init__.py")
    monkeypatch.setattr(abilities.importlib.util, "find_spec", lambda name: spec)
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


def test_py_spy_is_found_beside_python_when_that_is_not_on_the_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(abilities, "_read", lambda path: "1")
    monkeypatch.setattr(abilities.sys, "executable", str(tmp_path / "python"))
    assert "not installed" in abilities.ptrace().reason
    program = tmp_path / "py-spy"
    program.write_text("")
    os.chmod(program, 0o755)
    ability = abilities.ptrace()
    assert ability.works and str(program) in ability.reason
