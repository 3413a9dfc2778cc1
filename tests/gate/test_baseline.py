"""A run is compared with a saved one only where that answers a question, and the code's share is told from the rest."""

import factory
import pytest

from workbench.errors import Exit, InputError
from workbench.gate.baseline import compare_with_baseline
from workbench.gate.margins import Margins
from workbench.gate.outcome import Outcome, exit_of, read_outcome, worst_verdict, write_outcome
from workbench.record import Verdict


def a_run(speeds=None, *, seed=1, scale=1.0, code=None, **more):
    """A run of six processes; `code` gives the hash of machine code by variant."""
    run = factory.run(speeds=speeds, seed=seed, scale=scale, **more)
    speeds = speeds or factory.SPEEDS_NS
    made = factory.replicates("order_book", speeds, number=6, seed=seed, scale=scale)
    if code:
        made = [
            replicate.model_copy(
                update={
                    "code_hash": {
                        **replicate.code_hash,
                        **{f"order_book/{variant}": hash_ for variant, hash_ in code.items()},
                    }
                }
            )
            for replicate in made
        ]
    return run.model_copy(update={"replicates": made})


def verdicts(comparisons):
    return {(c.b.split("/")[1], c.statistic): c.verdict for c in comparisons}


def test_identical_code_on_a_machine_that_slowed_down_is_unchanged():
    found = compare_with_baseline(a_run(seed=2, scale=1.2), a_run(), "quick", ["p50", "throughput"])
    assert set(verdicts(found).values()) == {Verdict.UNCHANGED}
    assert len(found) == 6 and found[0].a == "order_book/baseline@quick"
    assert "expressed against order_book/ladder" in found[0].reason


def test_changed_code_that_got_slower_is_found_through_a_machine_that_slowed_down():
    slower = {**factory.SPEEDS_NS, "ladder": 44.0}
    found = compare_with_baseline(
        a_run(slower, seed=2, scale=1.2, code={"ladder": "new"}), a_run(), "quick", ["throughput"]
    )
    assert verdicts(found)[("ladder", "mean")] is Verdict.SLOWER
    assert verdicts(found)[("aligned", "mean")] is Verdict.UNCHANGED
    ladder = next(c for c in found if c.b == "order_book/ladder")
    assert ladder.low < 1.1 < ladder.high and ladder.high - ladder.low < 0.05
    assert worst_verdict(found) is Verdict.SLOWER


def test_the_same_code_never_counts_as_a_regression():
    slower = {**factory.SPEEDS_NS, "ladder": 50.0}
    found = compare_with_baseline(a_run(slower, seed=2), a_run(), "quick", ["throughput"])
    ladder = next(c for c in found if c.b == "order_book/ladder")
    assert ladder.verdict is Verdict.ENVIRONMENT_INVALID and "not the code" in ladder.reason


def test_without_a_yardstick_the_runs_are_compared_as_they_are():
    code = dict.fromkeys(factory.SPEEDS_NS, "new")
    found = compare_with_baseline(a_run(seed=2, scale=0.8, code=code), a_run(), "quick", ["throughput"])
    assert set(verdicts(found).values()) == {Verdict.FASTER}
    assert "different times" in found[0].reason


def test_margins_decide_and_do_not_settle_what_has_no_interval():
    slower = {**factory.SPEEDS_NS, "ladder": 44.0}
    wide, ask = Margins({"": {"throughput": 0.3}}), ("quick", ["throughput"])
    found = compare_with_baseline(a_run(slower, seed=2, code={"ladder": "new"}), a_run(), *ask, wide)
    ladder = next(row for row in found if row.b == "order_book/ladder")
    assert (ladder.verdict, ladder.margin) == (Verdict.UNCHANGED, 0.3)
    few = compare_with_baseline(factory.run(seed=2), factory.run(), *ask, wide)
    assert {row.verdict for row in few} == {Verdict.UNRESOLVED}


def test_few_processes_settle_nothing():
    found = compare_with_baseline(factory.run(seed=2), factory.run(), "quick", ["throughput"])
    assert set(verdicts(found).values()) == {Verdict.UNRESOLVED}


def test_a_percentile_without_enough_samples_or_below_the_clocks_floor_is_not_judged():
    fast = {"baseline": 180.0, "ladder": 12.0}
    found = compare_with_baseline(a_run(fast, seed=2), a_run(fast), "quick", ["p50", "p999"])
    assert [(c.b, c.statistic) for c in found] == [("order_book/baseline", "p50")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hardware_key": "ffff"}, "other hardware"),
        ({"workload": "w"}, "other input"),
        ({"parameters": {}}, "parameters"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, says):
    run = factory.run(with_blocks=False)
    if "hardware_key" in change:
        run = factory.run(with_blocks=False, **change)
    elif "workload" in change:
        run = run.model_copy(update={"workload": run.workload.model_copy(update={"sha256": "f" * 64})})
    else:
        run = run.model_copy(update=change)
    with pytest.raises(InputError, match=says):
        compare_with_baseline(run, factory.run(with_blocks=False), "quick")


def test_an_unknown_statistic_is_refused():
    with pytest.raises(InputError, match="p50, p99, p999, throughput"):
        compare_with_baseline(factory.run(), factory.run(), "quick", ["p42"])


def test_an_outcome_survives_its_file_and_decides_the_exit_code(tmp_path):
    outcome = Outcome(headline="slower", findings=["a"], verdict=Verdict.SLOWER)
    write_outcome(tmp_path, outcome)
    assert read_outcome(tmp_path) == outcome
    assert outcome.exit_code is Exit.REGRESSION
    assert exit_of([outcome, None, Outcome(headline="", verdict=Verdict.ENVIRONMENT_INVALID)], False) is Exit.INVALID
    assert exit_of([outcome], failed=True) is Exit.FAILED
    assert exit_of([Outcome(headline="first")], False) is Exit.FINE
    assert read_outcome(tmp_path / "absent") is None
