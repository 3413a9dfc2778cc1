"""The finding in words says what the data say: verdict, size, interval, reason."""

import factory
import pytest

from workbench.gate.outcome import read_outcome
from workbench.record import Run, Verdict, read
from workbench.report import findings
from workbench.report import notebook as report
from workbench.store import open_store


def compared(verdict, ratio, variant="ladder"):
    name = f"order_book/{variant}"
    return factory.comparison(f"{name}@main", name, ratio, verdict, metric="throughput", statistic="mean")


def test_the_fastest_variant_leads_with_its_factor():
    ratio = factory.comparison(
        "order_book/baseline", "order_book/aligned", 31 / 180, Verdict.FASTER, metric="throughput", statistic="mean"
    )
    outcome = findings.latency_outcome(factory.run(comparisons=[ratio]), "order_book")
    assert outcome.headline == (
        "aligned is the fastest variant of order_book: 32.3 M operations/s, 5.81 times as fast as baseline."
    )
    assert "Half of its operations take 31.0 ns or less; one in a hundred takes more than 68.2 ns." in outcome.findings
    assert outcome.verdict is None and outcome.exit_code == 0


def test_an_uncertain_lead_is_not_called_a_factor():
    ratio = factory.comparison(
        "order_book/baseline", "order_book/aligned", 0.9, Verdict.UNRESOLVED, metric="throughput", statistic="mean"
    )
    outcome = findings.latency_outcome(factory.run(comparisons=[ratio]), "order_book")
    assert "unresolved against baseline" in outcome.headline and "times" not in outcome.headline


@pytest.mark.parametrize(
    ("rows", "verdict", "says", "code"),
    [
        ([("ladder", Verdict.SLOWER, 1.08), ("aligned", Verdict.UNCHANGED, 1.0)], Verdict.SLOWER,
         "order_book/ladder got slower: mean time costs +8.0 % (interval +6.9 % to +9.1 %).", 3),
        ([("ladder", Verdict.SLOWER, 1.08), ("aligned", Verdict.SLOWER, 1.2)], Verdict.SLOWER,
         "order_book/aligned got slower: mean time costs +20", 3),
        ([("ladder", Verdict.FASTER, 0.7)], Verdict.FASTER, "got faster: mean time costs −30 %", 0),
        ([("ladder", Verdict.UNCHANGED, 1.0)], Verdict.UNCHANGED,
         "as fast as the baseline: every variant within ± 1.0 %", 0),
        ([("ladder", Verdict.UNRESOLVED, 1.0), ("aligned", Verdict.UNCHANGED, 1.0)], Verdict.UNRESOLVED,
         "1 of 2 comparisons", 4),
        ([("ladder", Verdict.ENVIRONMENT_INVALID, 1.2)], Verdict.ENVIRONMENT_INVALID, "not the code", 5),
        ([], Verdict.UNRESOLVED, "Nothing of order_book could be compared", 4),
    ],
)  # fmt: skip
def test_a_regression_is_told_by_its_worst_verdict(rows, verdict, says, code):
    made = [compared(one, ratio, variant) for variant, one, ratio in rows]
    run = factory.run(with_blocks=False)
    outcome = findings.regression_outcome(run, "order_book", run, made)
    assert outcome.verdict is verdict and outcome.exit_code == code
    assert says in outcome.headline
    assert len(outcome.findings) >= max(1, len(rows))


def test_changed_machine_code_is_named():
    old, new = factory.run(), factory.run()
    assert findings.code_sentence(new, old) == "The machine code of every variant is the same as in the baseline."
    changed = new.replicates[0].model_copy(
        update={"code_hash": {**new.replicates[0].code_hash, "order_book/ladder": "f"}}
    )
    new = new.model_copy(update={"replicates": [changed]})
    assert findings.code_sentence(new, old) == "The machine code changed in order_book/ladder."


def test_a_first_run_says_so_and_asks_to_become_the_baseline(tmp_path, monkeypatch):
    monkeypatch.setenv(report.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setenv("WORKBENCH_STORE", str(tmp_path / "s.sqlite3"))
    run = factory.run()
    assert report.find_baseline("main", run) is None
    words = report.conclude_regression(run, "order_book", None, "main", [])
    assert "no baseline 'main'" in str(words) and "becomes it" in str(words)
    outcome = read_outcome(tmp_path)
    assert outcome.save_baseline == "main" and outcome.verdict is None
    assert isinstance(read(tmp_path / "results.json"), Run)
    assert open_store().runs() == [], "the runner stores it, once the whole notebook is done"


def test_by_hand_the_first_run_saves_itself_and_the_second_is_judged(tmp_path, monkeypatch):
    monkeypatch.delenv(report.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("WORKBENCH_STORE", str(tmp_path / "s.sqlite3"))
    run = factory.run()
    report.conclude_regression(run, "order_book", None, "main", [])
    before = report.find_baseline("main", run)
    assert before.record_id == run.record_id
    assert report.find_baseline("main", factory.run("signals")) is None
    again = factory.run(seed=2)
    rows = report.compare_runs(again, before, "main", ["throughput"])
    assert {row.a for row in rows} == {f"order_book/{name}@main" for name in factory.SPEEDS_NS}
    assert "order_book" in str(report.conclude_regression(again, "order_book", before, "main", rows))
    assert len(report.regression_figure(rows, before).data) > 0
    assert "no baseline yet" in report.regression_figure([], None).layout.annotations[0].text


def test_words_are_escaped():
    outcome = findings.latency_outcome(factory.run("<b>k</b>", with_blocks=False), "<b>k</b>")
    assert "<b>k" not in report.Words(outcome)._repr_html_()
