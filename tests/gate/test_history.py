"""What is said of stored nights: which there are, which steps, their causes, what the newest are held against."""

import datetime
import json
import math
import random

import pytest

from workbench.gate import history as gate_history
from workbench.gate import history_words as words
from workbench.gate.history import analyse, drifted, step_near
from workbench.gate.series import build_series, same_code, what_changed
from workbench.record import Verdict
from workbench.store.steps import AcceptedStep

START = datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.UTC)
NOW = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
SETTINGS = {"versions": {"llvm": "19.1"}, "target_cpu": "znver4", "target_features_hash": "aa", "numba_settings": {}}


def row(night, value, **changes):
    values = {
        "record_id": f"record-{night}",
        "place": 0,
        "kernel": "order_book",
        "variant": "ladder",
        "metric": "service_time",
        "statistic": "p50",
        "unit": "ns",
        "value": value,
        "low": value,
        "high": value,
        "bound": "value",
        "rate_per_s": None,
        "operations_per_sample": 1,
        "created": (START + datetime.timedelta(days=night)).isoformat(),
        "hardware_key": "here",
        "git_revision": f"{night:02x}".ljust(40, "0"),
        "workload": "synthetic",
        "workload_sha256": "0" * 64,
        "parameters": json.dumps({"order_book": {"symbols": 8}}),
        "settings": json.dumps(SETTINGS),
        "code_hashes": json.dumps({"order_book/ladder": ["aa"]}),
    }
    return {**values, **changes}


def rows(factors, noise=0.004, base=40.0, **changes):
    """One row a night: `base` times the night's factor, with noise."""
    random_ = random.Random(5)
    return [
        row(night, base * each * math.exp(random_.gauss(0, noise)), **changes) for night, each in enumerate(factors)
    ]


def history(made, accepted=(), pinned=None):
    (one,) = analyse(build_series(made, NOW), accepted, pinned)
    return one


def moment(place):
    return START + datetime.timedelta(days=place, minutes=5)


def accept(place, **changes):
    values = {
        "kernel": "order_book",
        "variant": None,
        "metric": None,
        "statistic": None,
        "hardware_key": "here",
        "night": (START + datetime.timedelta(days=place)).date(),
        "reason": "wanted",
        "accepted_by": "ada",
        "accepted": NOW,
    }
    return AcceptedStep(**{**values, **changes})


def test_several_runs_of_a_night_are_one_point_the_median():
    midnight = datetime.datetime(2026, 3, 5, 23, 50, tzinfo=datetime.UTC)
    moments = [midnight + datetime.timedelta(minutes=minutes) for minutes in (0, 20, 400)]
    made = [
        row(place, value, created=moment.isoformat(), record_id=f"r{place}")
        for place, (moment, value) in enumerate(zip(moments, (40.0, 44.0, 41.0), strict=True))
    ]
    (series,) = build_series(reversed(made), NOW)
    (night,) = series.nights
    assert (night.value, night.date, night.records) == (41.0, datetime.date(2026, 3, 5), ("r0", "r1", "r2"))
    next_night = row(9, 50.0, created=datetime.datetime(2026, 3, 6, 12, 0, tzinfo=datetime.UTC).isoformat())
    (series,) = build_series([*made, next_night], NOW)
    assert [night.value for night in series.nights] == [41.0, 50.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"hardware_key": "there"},
        {"workload_sha256": "1" * 64},
        {"parameters": json.dumps({"order_book": {"symbols": 64}})},
        {"rate_per_s": 1e6},
        {"operations_per_sample": 64},
    ],
)
def test_what_answers_another_question_is_another_series(changes):
    assert len(build_series([row(0, 40.0), row(1, 40.0, **changes)], NOW)) == 2


def test_another_kernels_parameters_do_not_split_a_series():
    parameters = json.dumps({"order_book": {"symbols": 8}, "signals": {"window": 20}})
    assert len(build_series([row(0, 40.0), row(1, 40.0, parameters=parameters)], NOW)) == 1


def test_values_that_are_none_are_left_out_and_told():
    bad = [row(1, math.nan), row(2, 0.0), row(3, -1.0), row(4, None), row(5, 28.0, bound="upper")]
    wrong_clock = [row(6, 40.0, created="1970-01-01T00:00:10+00:00"), row(7, 40.0, created="2031-01-01T00:00:00+00:00")]
    one = history([row(0, 40.0), *bad, *wrong_clock])
    assert len(one.series.nights) == 1
    assert "4 values left out, not a positive number" in one.remarks
    assert any("1 value left out, below the clock's floor" in remark for remark in one.remarks)
    assert any("2 values left out" in remark and "clock was wrong" in remark for remark in one.remarks)


def test_a_clock_that_went_back_gives_the_series_by_its_dates():
    made = rows([1.0] * 20 + [1.1] * 20)
    shuffled = random.Random(1).sample(made, len(made))
    assert history(shuffled) == history(made)


def test_sides_of_revisions_are_no_nights():
    assert build_series([row(0, 40.0, variant="ladder@main")], NOW) == []


def test_too_few_nights_are_told_and_judged_by_nothing():
    one = history(rows([1.0] * 9))
    assert one.verdict is None and words.state(one) == "too few nights"
    assert one.remarks == ("9 nights: steps are looked for from 10 on",)
    assert analyse([]) == []


def test_a_slower_level_is_found_sized_and_leads_to_bisect():
    made = rows([1.0] * 30 + [1.08] * 12)
    for night in range(30, 42):
        made[night]["code_hashes"] = json.dumps({"order_book/ladder": ["bb"]})
    one = history(made)
    (step,) = one.steps
    assert step.change.index == 30 and math.exp(step.change.size) == pytest.approx(1.08, abs=0.01)
    assert (step.before, step.after) == ("1d".ljust(40, "0"), "1e".ljust(40, "0"))
    assert step.cause == "machine code changed"
    assert one.verdict is Verdict.SLOWER and one.against_previous.verdict is Verdict.SLOWER
    assert words.next_step(one) == "workbench bisect 1d0000000000 1e0000000000 order_book/ladder --on p50"
    assert "+7.9 % (p 0.001), 1d00000000..1e00000000" in words.step_words(one, step)


def test_more_operations_a_second_are_faster():
    made = rows([1.0] * 30 + [1.08] * 12, metric="throughput", statistic="mean", unit="operations/s")
    one = history(made)
    assert one.verdict is Verdict.FASTER and one.steps[0].change.size < 0


def test_a_step_within_the_margin_is_told_and_is_no_regression():
    one = history(rows([1.0] * 30 + [1.015] * 20, noise=0.002))
    assert len(one.steps) == 1 and one.verdict is Verdict.UNCHANGED


def test_the_same_machine_code_names_the_environment():
    made = rows([1.0] * 20 + [1.1] * 20)
    assert history(made).steps[0].cause == "no code change: environment"
    newer = json.dumps({**SETTINGS, "versions": {"llvm": "20.1"}, "target_features_hash": "bb"})
    for night in range(20, 40):
        made[night]["settings"] = newer
    one = history(made)
    assert one.steps[0].cause == "no code change: llvm 19.1 -> 20.1, target features aa -> bb"
    only = "--metric service_time --statistic p50"
    assert words.next_step(one).startswith(f"workbench history order_book/ladder {only} --accept 2026-01-21 --because")
    for night in range(20, 40):
        made[night]["code_hashes"] = "{}"
    assert history(made).steps[0].cause == "llvm 19.1 -> 20.1, target features aa -> bb"


def test_settings_that_come_and_go_are_named():
    before, after = (
        build_series([row(0, 1.0, settings=json.dumps(each))], NOW)[0].nights[0]
        for each in ({**SETTINGS, "numba_settings": {"NUMBA_OPT": "1"}}, {**SETTINGS, "governor": "performance"})
    )
    assert what_changed(before, after) == ["NUMBA_OPT 1 -> none", "governor None -> performance"]
    assert what_changed(before, before) == [] and same_code(before, after) is True


def test_an_accepted_step_is_no_regression_and_becomes_the_base():
    made = rows([1.0] * 30 + [1.08] * 40)
    one = history(made, [accept(31)])
    assert one.steps[0].accepted.reason == "wanted" and one.verdict is Verdict.UNCHANGED
    assert (one.base, one.base_is) == (30, "accepted step")
    assert one.against_previous is None and one.against_base.verdict is Verdict.UNCHANGED
    again = history(rows([1.0] * 30 + [1.08] * 40 + [1.2] * 10), [accept(30)])
    assert again.verdict is Verdict.SLOWER and [bool(step.accepted) for step in again.steps] == [True, False]


@pytest.mark.parametrize(
    "changes",
    [{"night": datetime.date(2026, 1, 20)}, {"hardware_key": "there"}, {"variant": "other"}, {"statistic": "p99"}],
)
def test_what_was_accepted_for_something_else_is_not_accepted_here(changes):
    one = history(rows([1.0] * 30 + [1.08] * 12), [accept(30, **changes)])
    assert one.verdict is Verdict.SLOWER and one.steps[0].accepted is None


@pytest.mark.parametrize("place", [-400, -1, 0, 400])
def test_an_acceptance_of_other_nights_accepts_no_step_at_the_edge(place):
    made = rows([1.0] * 5 + [1.08] * 25 if place <= 0 else [1.0] * 25 + [1.08] * 5)
    one = history(made, [accept(place)])
    (step,) = one.steps
    assert step.change.index == (5 if place <= 0 else 25) and step.accepted is None
    assert one.verdict is Verdict.SLOWER


@pytest.mark.parametrize("place", [20, 22])
def test_a_new_step_soon_after_an_accepted_one_is_not_accepted_with_it(place):
    """At 22 the acceptance is two nights late, and within reach of both steps."""
    one = history(rows([1.0] * 20 + [1.1] * 5 + [1.25] * 15), [accept(place)])
    assert [(step.change.index, bool(step.accepted)) for step in one.steps] == [(20, True), (25, False)]
    assert one.verdict is Verdict.SLOWER


def test_other_kernels_and_machines_do_not_hide_a_lone_step(monkeypatch):
    """With p-values of 1/1,000 at best, one finding among 13 tests would be none at a rate of 0.01."""
    monkeypatch.setattr(gate_history, "_DRAWS", (999,))
    calm = [row for place in range(6) for row in rows([1.0] * 40, kernel=f"k{place}")]
    calm += [row for place in range(6) for row in rows([1.0] * 40, hardware_key=f"m{place}")]
    told = analyse(build_series([*calm, *rows([1.0] * 25 + [1.08] * 15)], NOW))
    slower = [one for one in told if one.verdict is Verdict.SLOWER]
    assert [(one.series.key.kernel, one.series.key.hardware_key) for one in slower] == [("order_book", "here")]
    assert [one.series for one in told] == build_series([*calm, *rows([1.0] * 25 + [1.08] * 15)], NOW)


@pytest.mark.parametrize("count", [10, 11])
def test_a_family_too_large_for_a_lone_step_says_so(monkeypatch, count):
    monkeypatch.setattr(gate_history, "_DRAWS", (999,))
    made = [row for place in range(count) for row in rows([1.0] * 12, variant=f"v{place}")]
    for one in analyse(build_series(made, NOW)):
        assert any("11 series are tested together" in remark for remark in one.remarks) == (count == 11)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "workbench bisect 180000000000 190000000000 order_book/ladder --on p50"),
        ({"statistic": "p99"}, "workbench bisect 180000000000 190000000000 order_book/ladder --on p99"),
        ({"metric": "throughput", "statistic": "mean"}, "workbench bisect 180000000000 190000000000 order_book/ladder"),
        ({"statistic": "p999"}, None),
        ({"metric": "response_time", "rate_per_s": 1e6}, None),
        ({"variant": "ladder+together"}, None),
        ({"variant": "peer_std_map"}, None),
    ],
)
def test_a_bisection_is_proposed_where_it_can_answer_and_an_acceptance_names_its_series(changes, says):
    made = rows([1.0] * 25 + [1.5] * 15, code_hashes="{}", **changes)
    if says is None:
        about = {**made[0], **changes}
        only = f"--metric {about['metric']} --statistic {about['statistic']}"
        says = f"workbench history order_book/{about['variant']} {only} --accept 2026-01-26"
        says += ' --because "..." if it is wanted'
    assert words.next_step(history(made)) == says


def test_the_step_near_a_night():
    one = history(rows([1.0] * 30 + [1.08] * 20 + [1.2] * 20))
    assert step_near(one, one.series.nights[32].date) is one.steps[0]
    assert step_near(one, one.series.nights[52].date) is one.steps[1]
    assert step_near(one, one.series.nights[10].date) is None


def test_what_creeps_is_seen_against_the_pinned_night():
    """Steps of 2.5 % each, none above the margin of 3 %, add up to 7.7 %."""
    made = rows([1.0] * 25 + [1.025] * 25 + [1.0506] * 25 + [1.0769] * 25, noise=0.002)
    assert history(made).verdict is Verdict.UNCHANGED
    pinned = history(made, pinned={("order_book", "here"): moment(3)})
    assert (pinned.base, pinned.base_is) == (3, "pinned")
    assert pinned.verdict is Verdict.SLOWER and pinned.against_base.verdict is Verdict.SLOWER
    assert pinned.against_previous.verdict is Verdict.UNCHANGED


def test_a_night_pinned_after_a_step_leaves_the_step_behind():
    made = rows([1.0] * 30 + [1.08] * 40)
    one = history(made, pinned={("order_book", "here"): moment(40)})
    assert one.open_steps == () and one.verdict is Verdict.UNCHANGED
    assert history(made, pinned={("signals", "here"): moment(40)}).base is None


def test_all_inputs_of_the_pinned_night_have_it_as_their_base_and_one_without_it_says_so():
    creeping = [1.0] * 25 + [1.025] * 25 + [1.0506] * 25 + [1.0769] * 25
    made = rows(creeping, noise=0.002)
    made += [{**each, "record_id": f"other-{place}", "workload_sha256": "1" * 64} for place, each in enumerate(made)]
    later = [{**each, "record_id": each["record_id"] + "-later", "workload_sha256": "2" * 64} for each in made[50:100]]
    one, other, new = sorted(
        analyse(build_series([*made, *later], NOW), pinned={("order_book", "here"): moment(3)}),
        key=lambda each: each.series.key.workload_sha256,
    )
    assert (one.base, other.base, new.base) == (3, 3, None)
    assert one.verdict is other.verdict is Verdict.SLOWER
    assert new.remarks == (f"the pinned night of {moment(3).date()} is not among these: nothing is held against it",)


def test_a_slow_drift_is_told_with_its_interval():
    made = rows([math.exp(0.001 * night) for night in range(120)], noise=0.003)
    one = history(made)
    total = drifted(one)
    assert total.low < math.log(1.127) < total.high and total.verdict is Verdict.SLOWER
    assert one.verdict is Verdict.SLOWER and (one.creeping or not one.steps)
    assert "since 2026-01-01" in words.drift_words(one)


def test_a_step_is_no_drift():
    one = history(rows([1.0] * 40 + [1.1] * 40))
    assert not one.creeping and one.drift is None


def test_series_without_a_step_are_calm_and_many_of_them_stay_so():
    made = [each for place in range(12) for each in rows([1.0] * 40, base=40.0 + place, variant=f"v{place}")]
    random_ = random.Random(9)
    for each in made:
        each["value"] *= math.exp(random_.gauss(0, 0.02))
    assert [one.verdict for one in analyse(build_series(made, NOW))] == [None] * 12


def test_the_document_is_json_and_says_all():
    one = history(rows([1.0] * 30 + [1.08] * 12), [accept(30)])
    (result,) = json.loads(json.dumps(words.document([one])))["results"]
    assert result["steps"][0]["accepted"] == {"by": "ada", "when": "2027-01-01T00:00:00+00:00", "because": "wanted"}
    assert result["nights"] == 42 and result["base"]["date"] == "2026-01-31" and result["kernel"] == "order_book"
