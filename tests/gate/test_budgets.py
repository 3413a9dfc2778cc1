"""Budgets are met or missed by a stated amount, whichever way the limit points; a wrong file is told by its key."""

import factory
import pytest

from workbench.errors import InputError
from workbench.gate.budgets import judge_budgets, read_budgets

COST = '["book.p99"]\nkernel = "order_book"\nmetric = "service_time"\nstatistic = "p99"\nunit = "ns"\n'
RATE = '["book.rate"]\nkernel = "order_book"\nmetric = "throughput"\nstatistic = "mean"\nunit = "operations/s"\n'


def budgets(tmp_path, text):
    path = tmp_path / "budgets.toml"
    path.write_text(text)
    return read_budgets(path)


def judge(tmp_path, text, run=None):
    return judge_budgets(budgets(tmp_path, text), (run or factory.run(with_blocks=False)).results)


def test_the_shipped_budgets_are_well_formed():
    names = [budget.name for budget in read_budgets()]
    assert "market_data.order_book_update" in names and len(names) == len(set(names))


def test_the_best_variant_is_judged_and_the_distance_told(tmp_path):
    [outcome] = judge(tmp_path, COST + "below = { old = 15_000, must = 5_000, stretch = 70 }")
    assert (outcome.variant, outcome.value) == ("aligned", pytest.approx(31 * 2.2))
    assert outcome.must_met and outcome.stretch_met
    assert outcome.words == "must met, 73.3 times better than the limit; stretch met by 2.6 %"


def test_a_rate_has_its_limits_the_other_way_round(tmp_path):
    [outcome] = judge(tmp_path, RATE + "above = { must = 40_000_000, stretch = 80_000_000 }")
    assert outcome.variant == "aligned" and not outcome.must_met and not outcome.stretch_met
    assert outcome.words.startswith("must missed by 24.0 %; stretch missed, 2.48 times worse")


def test_the_worst_or_a_named_variant_can_be_asked_for(tmp_path):
    limits = "below = { must = 100 }"
    assert judge(tmp_path, COST + limits + '\njudged = "worst"')[0].variant == "baseline"
    assert judge(tmp_path, COST + limits + '\nvariant = "ladder"')[0].variant == "ladder"
    assert judge(tmp_path, COST + limits + '\nvariant = "absent"') == []


def test_an_interval_across_the_limit_is_told(tmp_path):
    [outcome] = judge(tmp_path, COST + "below = { must = 69 }")
    assert outcome.must_met and not outcome.sure and "interval crosses" in outcome.words


def test_the_reference_is_no_candidate(tmp_path):
    run = factory.run(speeds={"reference": 1.0, "ladder": 40.0}, with_blocks=False)
    assert judge(tmp_path, COST + "below = { must = 100 }", run)[0].variant == "ladder"


def test_an_arm_of_an_experiment_is_no_candidate(tmp_path):
    run = factory.run(speeds={"aligned@1,000 events": 1.0, "ladder": 40.0}, with_blocks=False)
    assert judge(tmp_path, COST + "below = { must = 100 }", run)[0].variant == "ladder"
    assert judge(tmp_path, COST + 'below = { must = 100 }\njudged = "worst"', run)[0].variant == "ladder"


def test_nothing_measured_nothing_judged(tmp_path):
    assert judge(tmp_path, COST.replace("order_book", "positions") + "below = { must = 100 }") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (COST, "either below"),
        (COST + "below = { must = 5 }\nabove = { must = 5 }", "either below"),
        (COST + "below = { must = 5, stretch = 9 }", "stretch must not be easier"),
        (RATE + "above = { must = 5, stretch = 2 }", "stretch must not be easier"),
        (COST + "below = { must = -5 }", "below.must"),
        (COST + "below = { must = 5 }\nspeling = 1", "speling"),
        (COST.replace('kernel = "order_book"', "") + "below = { must = 5 }", "kernel"),
        ("loose = 1", "outside a table"),
        ("= broken", "is not TOML"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as caught:
        budgets(tmp_path, text)
    assert "budgets.toml" in str(caught.value) and "\n" not in str(caught.value).strip()


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_budgets(tmp_path / "absent.toml")
