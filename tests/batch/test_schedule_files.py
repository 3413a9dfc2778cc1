"""What runs a plan every night is ready to be installed, and a hostile path in it is a path."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from workbench.batch import schedule
from workbench.batch.schedule import Nightly
from workbench.commands.schedule import command
from workbench.errors import InputError

HOSTILE = [
    "plain",
    "with blank",
    "quo'te",
    'dou"ble',
    "per%cent %n %%",
    "$HOME ${x}",
    "back\\slash",
    "semi;colon & #",
    "ünï",
]
PLAN = '[[job]]\nnotebook = "latency"\n'


def nightly(folder, plan, **more):
    program = folder / "bin" / "workbench"
    return Nightly((str(program),), plan, folder, 2, 5, {"WORKBENCH_DATA": str(folder / "data"), **more})


def make_program(folder):
    """Write a program that says what it was called with, and where."""
    program = folder / "bin" / "workbench"
    program.parent.mkdir(parents=True)
    told = folder / "told.txt"
    program.write_text(
        f"#!{sys.executable}\nimport os, pathlib, sys\n"
        f"pathlib.Path({str(told)!r}).write_text(repr((sys.argv[1:], os.getcwd(), os.environ['WORKBENCH_DATA'])))\n"
    )
    program.chmod(0o755)
    return told


@pytest.mark.parametrize("name", HOSTILE)
def test_the_line_for_cron_runs_the_plan_whatever_its_folder_is_called(tmp_path, name):
    folder = tmp_path / name
    told = make_program(folder)
    line = schedule.cron(nightly(folder, folder / f"{name}.toml"))
    assert line.endswith("\n") and line.count("\n") == 1
    minute, hour, *days, command_ = line.rstrip("\n").split(" ", 5)
    assert [minute, hour, *days] == ["5", "2", "*", "*", "*"]
    as_cron_reads_it = command_.replace("\\%", "%")
    assert "%" not in command_.replace("\\%", "")
    if shutil.which("flock") is None:
        pytest.skip("flock is not installed")
    subprocess.run(["/bin/sh", "-c", as_cron_reads_it], check=True, timeout=60)
    assert told.read_text() == repr((["batch", str(folder / f"{name}.toml")], str(folder), str(folder / "data")))
    assert (folder / "reports" / "out").is_dir()


@pytest.mark.parametrize("name", HOSTILE)
def test_systemd_takes_the_units_whatever_the_folder_is_called(tmp_path, name):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    folder = tmp_path / name
    make_program(folder)
    files = schedule.systemd(nightly(folder, folder / f"{name}.toml"))
    units = tmp_path / "units"
    units.mkdir()
    for file, text in files.items():
        (units / file).write_text(text)
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(units / file) for file in files)],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "workbench" in line]
    assert done.returncode == 0 and not said, done.stderr


def test_a_word_of_a_unit_is_quoted_as_systemd_reads_it():
    one = Nightly(("/a b/workbench",), schedule.Path('/x/$y%z"\\.toml'), schedule.Path("/w %d"), 2, 30, {"A": "1 %"})
    service, timer = schedule.systemd(one).values()
    assert 'ExecStart=/usr/bin/env "/a b/workbench" "batch" "/x/$$y%%z\\"\\\\.toml"' in service
    assert "WorkingDirectory=/w %%d\n" in service and 'Environment="A=1 %%"' in service
    assert "OnCalendar=*-*-* 02:30:00" in timer and "Persistent=true" in timer


@pytest.mark.parametrize("plan", ["reports/nightly.toml", "my plans/a: b #c.toml", "-rf.toml", '"; rm -rf x; ".toml'])
def test_the_workflow_is_yaml_that_passes_the_plan_on_as_text(plan):
    yaml = pytest.importorskip("yaml")
    one = Nightly(("workbench",), schedule.Path("/x") / plan, schedule.Path("/x"), 2, 30)
    told = yaml.safe_load(schedule.github(one, plan))
    job = told["jobs"]["nightly"]
    assert told[True]["schedule"] == [{"cron": "30 2 * * *"}]
    assert job["env"]["PLAN"] == plan
    (run,) = [step["run"] for step in job["steps"] if "batch" in step.get("run", "")]
    assert shlex.split(run) == ["workbench", "batch", "--", "$PLAN"]
    assert plan not in "".join(step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: schedule.read_time("25:00"), "takes a time as 02:30"),
        (lambda: schedule.read_time("2:5"), "takes a time as 02:30"),
        (lambda: schedule.cron(nightly(schedule.Path("/a\nb"), schedule.Path("/x.toml"))), "line break"),
        (lambda: schedule.systemd(nightly(schedule.Path("/a"), schedule.Path("/x\ny.toml"))), "line break"),
        (lambda: schedule.systemd(nightly(schedule.Path("/a "), schedule.Path("/x.toml"))), "cannot work in"),
        (lambda: schedule.github(nightly(schedule.Path("/a"), schedule.Path("/x")), "${{ x }}"), "would not take"),
    ],
)
def test_what_cannot_be_quoted_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_two_plans_of_one_name_have_units_of_their_own():
    one, other = (Nightly(("w",), schedule.Path(f"/{at}/mine.toml"), schedule.Path("/x"), 2, 30) for at in "ab")
    assert not set(schedule.systemd(one)) & set(schedule.systemd(other))
    shipped = Nightly(("w",), schedule.shipped("reports") / "nightly.toml", schedule.Path("/x"), 2, 30)
    assert set(schedule.systemd(shipped)) == {"workbench-nightly.service", "workbench-nightly.timer"}


def test_the_workflow_keeps_earlier_nights_and_lets_the_plans_limit_come_first():
    yaml = pytest.importorskip("yaml")
    one = Nightly(("workbench",), schedule.Path("/x/p.toml"), schedule.Path("/x"), 2, 30)
    job = yaml.safe_load(schedule.github(one, "p.toml", batch_s=7201.0))["jobs"]["nightly"]
    assert job["steps"][0] == {"uses": "actions/checkout@v4", "with": {"clean": False}}
    assert job["timeout-minutes"] == 121 + 60
    assert yaml.safe_load(schedule.github(one, "p.toml"))["jobs"]["nightly"]["timeout-minutes"] == 23 * 60


def test_a_workflow_names_no_plan_that_the_runner_has_not(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "nightly.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path / "here")
    done = CliRunner().invoke(command, ["github", "../nightly.toml"], standalone_mode=False)
    assert isinstance(done.exception, InputError) and "lies outside" in str(done.exception)
    done = CliRunner().invoke(command, ["github", "nightly"], standalone_mode=False)
    assert done.return_value == 0 and 'PLAN: "nightly"' in done.output


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("postgresql+psycopg://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql+psycopg://me@host/db?sslmode=require", "postgresql+psycopg://me@host/db?sslmode=require"),
        ("sqlite:///nights.db", "sqlite:///{folder}/nights.db"),
        ("postgresql://me:pass@host/db", None),
        ("postgresql://me@host/db?password=x", None),
        ("postgresql://me@host/db?sslpassword=x", None),
        ("no url://", None),
    ],
)
def test_a_stores_address_is_passed_on_unless_it_holds_a_secret(tmp_path, monkeypatch, address, kept):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN)
    monkeypatch.setenv("WORKBENCH_STORE", address)
    done = CliRunner().invoke(command, ["cron", "plan.toml"], standalone_mode=False)
    assert done.return_value == 0
    if kept is None:
        assert "WORKBENCH_STORE=" not in done.stdout and "WORKBENCH_STORE holds a password" in done.stderr
        assert "pass@" not in done.output and "password=x" not in done.output
    else:
        shown = shlex.quote(kept.format(folder=tmp_path))
        assert f"WORKBENCH_STORE={shown}" in done.stdout and "was left out" not in done.stderr


def test_only_what_the_nightly_run_needs_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = schedule.settings_of(
        {
            "WORKBENCH_DATA": "data",
            "SECRET": "x",
            "WORKBENCH_STORE": "postgresql://me:pass@host/db",
            "WORKBENCH_HOME": "",
        }
    )
    assert found == {"WORKBENCH_DATA": str(tmp_path / "data")}


@pytest.mark.parametrize("kind", ["systemd", "cron", "github"])
def test_the_command_prints_or_writes_them(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN)
    done = CliRunner().invoke(command, [kind, "plan.toml", "--at", "03:15"], standalone_mode=False)
    assert done.return_value == 0 and "plan.toml" in done.output
    done = CliRunner().invoke(command, [kind, "plan.toml", "--write", "units"], standalone_mode=False)
    assert sorted(path.suffix for path in (tmp_path / "units").iterdir()) == {
        "systemd": [".service", ".timer"], "cron": [".cron"], "github": [".yml"]
    }[kind]  # fmt: skip


def test_a_plan_that_is_wrong_is_told_before_the_night(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text("[[job]]\n")
    done = CliRunner().invoke(command, ["cron", "plan.toml"], standalone_mode=False)
    assert isinstance(done.exception, InputError) and "notebook is missing" in str(done.exception)
