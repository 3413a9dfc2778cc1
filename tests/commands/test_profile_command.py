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
