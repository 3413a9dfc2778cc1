import json
import os

import pytest
from click.testing import CliRunner

from workbench import record
from workbench.commands.profile import command
from workbench.errors import InputError


def test_cpu_writes_its_artefacts_and_prints_the_record(tmp_path):
    out = tmp_path / "out"
    arguments = ["cpu", "signals/baseline", "--workload", "synthetic", "--seconds", "0.5", "--json", "--out", str(out)]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = record.from_json(done.output)
    assert found.variant == "signals/baseline" and found.profile_kind == "cpu"
    assert {file.name for file in out.iterdir()} == {
        "signals-baseline-cpu.html",
        "signals-baseline-cpu.speedscope.json",
        "signals-baseline-cpu.collapsed.txt",
        "signals-baseline-cpu.trace.json",
        f"perf-{os.getpid()}.map",
        f"jit-{os.getpid()}.dump",
    }
    assert sorted(found.artefacts) == sorted(str(file) for file in out.iterdir())
    assert json.loads((out / "signals-baseline-cpu.speedscope.json").read_text())["name"] == "signals/baseline"


def test_two_inputs_are_refused(tmp_path):
    with pytest.raises(InputError, match="give one of them"):
        CliRunner().invoke(
            command,
            ["cpu", "signals/baseline", "--workload", "synthetic", "--input", str(tmp_path / "x")],
            catch_exceptions=False,
        )


def test_against_another_variant_both_are_written_and_the_difference(tmp_path, monkeypatch):
    from workbench.profile import run
    from workbench.profile.counted import Line
    from workbench.profile.profile import Profile

    def counted(name, **options):
        found = Profile(name, "cache", "instructions")
        found.add(Line("f", "/src/f.py", 3), "instructions", 100 if name.endswith("a") else 70)
        return found

    monkeypatch.setattr(run, "profile", counted)
    asked = ["cache", "toy/b", "--against", "toy/a", "--json", "--out", str(tmp_path)]
    done = CliRunner().invoke(command, asked, catch_exceptions=False)
    told = json.loads(done.output)
    assert told["totals"] == {"instructions": {"a": 100, "b": 70}}
    assert told["lines"][0]["counters"] == {"instructions": [100, 70]}
    assert (tmp_path / "toy-b-against-toy-a-cache.html").read_text().count("−30") == 1
    assert {"toy-a-cache.html", "toy-b-cache.html"} < {file.name for file in tmp_path.iterdir()}
    with pytest.raises(InputError, match="itself"):
        CliRunner().invoke(command, ["cache", "toy/a", "--against", "toy/a"], catch_exceptions=False)
