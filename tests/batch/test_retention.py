"""What a clean leaves: the newest of each plan, the young, the pinned and what runs; and what it never touches."""

import datetime
import json

import factory
import pytest
from click.testing import CliRunner

from workbench.batch import retention
from workbench.batch.folder import Batch, locked, write_batch
from workbench.commands.clean import command
from workbench.errors import InputError

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def out(tmp_path):
    """Five nights of one plan, the newest of today, and one old batch of another."""
    for plan, age_days in [*(("nightly", n) for n in range(5)), ("quick", 40)]:
        created = NOW - datetime.timedelta(days=age_days)
        folder = tmp_path / f"{plan}-{created:%Y-%m-%d}"
        write_batch(
            folder,
            Batch(
                name=folder.name, title="", plan=f"/plans/{plan}.toml", created=created, machine=factory.machine(),
                jobs=["hw/job"],
            ),
        )  # fmt: skip
        (folder / "hw" / "job").mkdir(parents=True)
        (folder / "hw" / "job" / "executed.ipynb").write_text("x" * 10_000)
    return tmp_path


def night(out, age_days, plan="nightly"):
    return out / f"{plan}-{NOW - datetime.timedelta(days=age_days):%Y-%m-%d}"


def clean(out, *options):
    return CliRunner().invoke(command, ["--out", str(out), *map(str, options)], standalone_mode=False)


def staying(out):
    return sorted(path.name for path in out.iterdir() if path.is_dir())


def test_only_delete_deletes(out):
    before = staying(out)
    done = clean(out, "--keep", 2)
    assert done.return_value == 0 and "3 batches would go" in done.output and "--delete" in done.output
    assert staying(out) == before
    done = clean(out, "--keep", 2, "--delete")
    assert "3 batches deleted" in done.output and "KB freed" in done.output
    assert staying(out) == sorted([night(out, 0).name, night(out, 1).name, night(out, 40, "quick").name])


def test_young_ones_stay_and_a_plan_can_be_named(out):
    clean(out, "--days", 2.5, "--plan", "nightly", "--delete")
    assert staying(out) == sorted([*(night(out, n).name for n in range(3)), night(out, 40, "quick").name])
    clean(out, "--days", 2.5, "--keep", 1, "--delete")
    assert night(out, 40, "quick").is_dir(), "the newest of its plan, however old"
    clean(out, "--days", 2.5, "--delete")
    assert not night(out, 40, "quick").exists()


def test_what_is_pinned_or_runs_stays(out):
    assert clean(out, "--pin", night(out, 3).name, "--because", "before the new allocator").return_value == 0
    (night(out, 2) / "hw" / "job" / ".lock").write_text("")
    with locked(night(out, 4)), locked(night(out, 2) / "hw" / "job"):
        done = clean(out, "--keep", 1, "--delete", "--json")
    told = {row["batch"]: row for row in json.loads(done.output)["results"]}
    assert told[night(out, 3).name]["stays"] == "pinned: before the new allocator"
    assert told[night(out, 4).name]["stays"] == told[night(out, 2).name]["stays"] == "running"
    assert told[night(out, 1).name]["deleted"] and json.loads(done.output)["freed_bytes"] > 10_000
    assert [night(out, n).is_dir() for n in range(5)] == [True, False, True, True, True]
    clean(out, "--unpin", night(out, 3).name)
    clean(out, "--keep", 1, "--delete")
    assert [night(out, n).is_dir() for n in range(5)] == [True, False, False, False, False]


def test_one_that_begins_to_run_meanwhile_stays(out, monkeypatch):
    monkeypatch.setattr(retention, "is_running", lambda folder: False)
    with locked(night(out, 4)):
        done = clean(out, "--keep", 4, "--plan", "nightly", "--delete")
    assert done.return_value == 1 and "begun to run meanwhile" in done.output and night(out, 4).is_dir()


def test_what_is_no_batch_is_never_touched(out, tmp_path):
    (out / "mine").mkdir()
    (out / "mine" / "batch.json").write_text('{"something": "else"}')
    outside = tmp_path / "kept" / "thing"
    outside.mkdir(parents=True)
    (out / "link").symlink_to(night(out, 4))
    (night(out, 4) / "hw" / "job" / "link").symlink_to(outside)
    clean(out, "--keep", 1, "--delete")
    assert (out / "mine").is_dir() and (out / "link").is_symlink() and outside.is_dir()
    assert not night(out, 4).exists()


def test_a_clean_that_was_killed_is_finished_by_the_next(out):
    night(out, 4).rename(out / f".going-{night(out, 4).name}")
    clean(out, "--keep", 9, "--delete")
    assert not list(out.glob(".going-*"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "say what stays"),
        (["--keep", 1, "--delete", "--dry-run"], "contradict"),
        (["--pin", "absent"], "is no batch"),
        (["--pin", "../x"], "cannot name a batch"),
        (["--unpin", "absent"], "is not pinned"),
        (["--pin", "absent", "--keep", 1], "stand alone"),
    ],
)
def test_wrong_usage_is_told(out, options, says):
    done = clean(out, *options)
    assert isinstance(done.exception, InputError) and says in str(done.exception)
    assert len(staying(out)) == 6


def test_a_number_of_days_that_is_none_marks_nothing(out):
    before = staying(out)
    done = clean(out, "--days", "nan", "--delete")
    assert isinstance(done.exception, InputError) and "not nan" in str(done.exception)
    assert staying(out) == before


def test_a_batch_whose_moment_has_no_offset_is_of_utc(out):
    file = night(out, 40, "quick") / "batch.json"
    described = json.loads(file.read_text())
    file.write_text(json.dumps({**described, "created": "2025-01-01T00:00:00"}))
    (gone,) = [each for each in retention.find_batches(out) if each.plan == "quick"]
    assert gone.created == datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    assert clean(out, "--days", 1, "--delete").return_value == 0
    assert not file.exists()
