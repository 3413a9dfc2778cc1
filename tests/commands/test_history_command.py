"""`workbench history`: the table, the exit code, accepting, pinning, the page; and stores that hold nothing of use."""

import datetime
import json
import math
import random

import factory
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from workbench.cli import workbench
from workbench.errors import WorkbenchError
from workbench.store import migrations, open_store
from workbench.store.steps import accepted_steps

START = datetime.datetime(2026, 3, 1, 2, tzinfo=datetime.UTC)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_STORE", str(tmp_path / "results.sqlite3"))
    return open_store()


def fill(store, factors, kernel="order_book", **machine):
    random_ = random.Random(4)
    for night, each in enumerate(factors):
        speeds = {"ladder": 40.0 * each * math.exp(random_.gauss(0, 0.003))}
        created = START + datetime.timedelta(days=night)
        revision = f"{night:02x}".ljust(40, "0")
        run = factory.run(kernel, speeds, created=created, with_blocks=False, git_revision=revision, **machine)
        store.add(run.model_copy(update={"record_id": f"{night:03d}-{kernel}-{run.machine.hardware_key}"}))


def call(*arguments):
    """Run the verb; return its exit code and what it printed. A sentence that a person would read is raised."""
    result = CliRunner().invoke(workbench, ["history", *arguments], standalone_mode=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return int(result.return_value or 0), result.output


def test_a_slower_level_is_shown_and_ends_with_3(store):
    fill(store, [1.0] * 20 + [1.1] * 10)
    code, told = call("order_book")
    assert code == 3
    assert "order_book/ladder service_time p50" in told and "SLOWER" in told
    assert "step 2026-03-21 +9.8 %" in told and "1300000000..1400000000" in told
    assert "next: workbench bisect 130000000000 140000000000 order_book/ladder --on p50" in told
    assert "▁" in told and "█" in told


def test_an_accepted_step_ends_with_0_and_is_kept_with_who_and_why(store):
    fill(store, [1.0] * 20 + [1.1] * 12)
    with pytest.raises(WorkbenchError, match="needs a reason"):
        call("order_book", "--accept", "2026-03-21")
    with pytest.raises(WorkbenchError, match="no step near 2026-03-05: steps are at 2026-03-21"):
        call("order_book", "--accept", "2026-03-05", "--because", "wanted")
    assert accepted_steps(store, "order_book") == []
    code, told = call("order_book", "--accept", "2026-03-22", "--because", "bounds checks", "--by", "ada")
    assert code == 0 and "accepted by ada: bounds checks" in told
    (step,) = accepted_steps(store, "order_book")
    assert (step.accepted_by, step.reason, step.night) == ("ada", "bounds checks", datetime.date(2026, 3, 21))
    assert call("order_book")[0] == 0


def test_a_step_is_accepted_by_the_record_of_its_night_and_for_one_variant(store):
    fill(store, [1.0] * 20 + [1.1] * 12)
    code, _ = call("order_book/ladder", "--accept", "020-", "--because", "known", "--by", "ada")
    assert code == 0 and accepted_steps(store, "order_book")[0].variant == "ladder"


def test_a_pinned_night_is_the_base(store):
    fill(store, [1.0] * 20 + [1.02] * 20 + [1.045] * 20)
    assert call("order_book")[0] == 0
    code, told = call("order_book", "--pin", "2026-03-02")
    assert code == 3 and "against 2026-03-02 (pinned)" in told
    assert call("order_book", "--pin", "058-")[0] == 0
    with pytest.raises(WorkbenchError, match="no night or record"):
        call("order_book", "--pin", "2020-01-01")


def test_only_a_night_is_pinned_and_a_refusal_keeps_the_earlier_pin(store):
    fill(store, [1.0] * 12)
    call("order_book", "--pin", "2026-03-02")
    speeds = {"ladder@main": 40.0, "ladder@HEAD": 40.0}
    gate = factory.run("order_book", speeds, created=START + datetime.timedelta(days=3), with_blocks=False)
    store.add(gate.model_copy(update={"record_id": "gate"}))
    with pytest.raises(
        WorkbenchError, match="gate is no night or record of order_book: name one that `workbench run` measured"
    ):
        call("order_book", "--pin", "gate")
    assert store.baseline("history", "order_book").record_id.startswith("001-")


def test_a_pinned_day_is_the_base_of_every_input_of_that_night(store):
    fill(store, [1.0] * 12)
    for run in store.runs(limit=None):
        workload = run.workload.model_copy(update={"sha256": "1" * 64})
        hour_later = run.created + datetime.timedelta(hours=1)
        changes = {"record_id": run.record_id + "-other", "workload": workload, "created": hour_later}
        store.add(run.model_copy(update=changes))
    document = json.loads(call("order_book", "--statistic", "p50", "--pin", "2026-03-02", "--json")[1])
    assert [result["base"] for result in document["results"]] == [{"is": "pinned", "date": "2026-03-02"}] * 2


def test_since_a_day_after_the_pinned_night_says_that_the_base_is_gone(store):
    fill(store, [1.0] * 20)
    call("order_book", "--pin", "2026-03-02")
    assert "is not among these" not in call("order_book")[1]
    told = call("order_book", "--since", "2026-03-05")[1]
    assert "note: the pinned night of 2026-03-02 is not among these: nothing is held against it" in told


def test_json_says_what_the_table_says(store):
    fill(store, [1.0] * 20 + [1.1] * 10)
    code, told = call("order_book", "--json", "--metric", "throughput", "--since", "2026-03-05")
    document = json.loads(told)
    assert code == 3 and document["schema"] == "workbench/history/1"
    (result,) = document["results"]
    assert (result["metric"], result["nights"], result["verdict"]) == ("throughput", 26, "SLOWER")
    assert result["steps"][0]["ratio"] == pytest.approx(1.1, abs=0.01)


def test_two_kinds_of_machine_are_two_series(store):
    fill(store, [1.0] * 12)
    fill(store, [1.3] * 12, hardware_key="ffff", host="other")
    code, told = call("order_book", "--statistic", "p50")
    assert code == 0 and "2 groups" in told
    assert "machine 5f0c2d7e91ab" in told and "machine ffff" in told


def test_an_empty_store_and_one_night_are_told_and_fine(store):
    assert call("order_book") == (
        0,
        f"{store.where} has no night of this yet: `workbench run KERNEL` measures and saves one\n",
    )
    assert call()[0] == 0
    assert json.loads(call("--json")[1])["results"] == []
    fill(store, [1.0])
    code, told = call("order_book")
    assert code == 0 and "1 night: steps are looked for from 10 on" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["unknown"], "there is no kernel 'unknown'"),
        (["order_book/unknown"], "has no variant 'unknown'"),
        (["order_book", "--since", "yesterday"], "takes a day"),
        (["--pin", "2026-03-02"], "need a kernel"),
        (["order_book", "--because", "x"], "give --accept too"),
        (["order_book", "--accept", "zzzz", "--because", "x"], "no record whose id"),
        (["order_book", "--accept", "2026-03-02", "--because", "a\nb"], "printable"),
    ],
)
def test_wrong_usage_is_one_sentence(store, arguments, says):
    fill(store, [1.0] * 3)
    with pytest.raises(WorkbenchError, match=says) as caught:
        call(*arguments)
    assert caught.value.exit_code == 2


def test_the_page_is_whole_and_hostile_text_stays_text(store, tmp_path):
    hostile = "<script>alert(1)</script>"
    fill(store, [1.0] * 20 + [1.1] * 10, kernel=hostile)
    code, told = call("--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert code == 3 and "page: " in told
    assert "alert(1)" in page and hostile not in page
    assert page.count('class="wb-plot"') == 4 and "default-src" in page


def test_a_read_only_store_is_read_and_refuses_an_acceptance_in_one_sentence(store, monkeypatch):
    fill(store, [1.0] * 20 + [1.1] * 10)
    monkeypatch.setenv("WORKBENCH_STORE", f"sqlite:///file:{store.where}?mode=ro&uri=true")
    assert call("order_book")[0] == 3
    with pytest.raises(WorkbenchError, match="cannot be written"):
        call("order_book", "--accept", "2026-03-21", "--because", "x", "--by", "ada")


def test_a_store_of_an_older_version_is_brought_up_and_read(tmp_path, monkeypatch):
    path = tmp_path / "old.sqlite3"
    run = factory.run(created=START)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrations.migrate(connection, "test", newest=1)
        head = {"id": run.record_id, "created": START.isoformat(), "document": run.to_json()}
        connection.execute(
            sa.text("INSERT INTO records VALUES (:id, 'run', :created, '5f0c2d7e91ab', 'host', NULL, :document)"), head
        )
        for place, row in enumerate(run.results):
            connection.execute(
                sa.text(
                    "INSERT INTO results VALUES (:id, :place, :kernel, :variant, :metric, :statistic, :unit, :value, "
                    ":low, :high, :samples, :bound)"
                ),
                {"id": run.record_id, "place": place, **row.model_dump()},
            )
    engine.dispose()
    monkeypatch.setenv("WORKBENCH_STORE", str(path))
    code, told = call("order_book/ladder", "--statistic", "p50", "--json")
    (result,) = json.loads(told)["results"]
    assert code == 0 and result["value"] == 40.0 and result["workload"] == "synthetic"
