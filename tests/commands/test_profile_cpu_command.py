"""`workbench profile cpu --with TOOL`: the tool is asked, its files tell its name, others' options are refused."""

import json

import pytest
from click.testing import CliRunner

from workbench import record
from workbench.commands.profile import command
from workbench.errors import InputError
from workbench.profile import cpu_tools
from workbench.profile.counted import Line
from workbench.profile.profile import Profile


def invoke(*arguments):
    return CliRunner().invoke(command, ["cpu", "signals/baseline", *arguments], catch_exceptions=False)


def test_the_tool_is_asked_and_its_files_tell_its_name(tmp_path, monkeypatch):
    asked = {}

    def take(subject, **options):
        asked.update(options, subject=subject)
        found = Profile(subject, "cpu", overhead={"wall_slowdown": 1.2})
        found.add(Line("f", "/w/f.py", 3), "samples", 5.0)
        found.artefacts.append(str(options["keep"] / "raw.txt"))
        return found

    monkeypatch.setattr("workbench.profile.pyspy.profile_pyspy", take)
    done = invoke(
        "--with", "py-spy", "--rate", "50", "--seconds", "2", "-P", "symbols=4", "--out", str(tmp_path), "--json"
    )
    assert asked["subject"] == "signals/baseline" and (asked["seconds"], asked["rate_per_s"]) == (2.0, 50.0)
    assert asked["symbols"] == 4 and asked["keep"] == tmp_path
    found = record.from_json(done.output)
    assert found.notes[0] == "taken with py-spy, which watched a child process"
    names = {file.name for file in tmp_path.iterdir()}
    assert "signals-baseline-cpu.py-spy.speedscope.json" in names and "signals-baseline-cpu.py-spy.html" in names
    assert not any(name.startswith(("perf-", "jit-")) for name in names), "those describe the code of this process"
    assert (
        json.loads((tmp_path / "signals-baseline-cpu.py-spy.speedscope.json").read_text())["name"] == "signals/baseline"
    )
    assert len(found.artefacts) == 1 + len(names)


def test_options_of_another_tool_are_refused():
    with pytest.raises(InputError, match="leave --rate out"):
        invoke("--with", "scalene", "--rate", "50")
    with pytest.raises(InputError, match="--clock is of the sampler, not of perf"):
        invoke("--with", "perf", "--clock", "cpu")
    with pytest.raises(InputError, match="take one of sampler, py-spy, scalene, perf"):
        cpu_tools.profile_with("gprof", "signals/baseline")
    assert "Invalid value for '--with'" in invoke("--with", "gprof").output


def test_each_kind_has_its_help_and_only_what_is_used_is_imported():
    told = CliRunner().invoke(command, ["--help"]).output
    assert {"cache", "cpu"} <= set(told.split())
    assert "No such command 'gpu'" in CliRunner().invoke(command, ["gpu"]).output
