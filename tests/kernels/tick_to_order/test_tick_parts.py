"""Any choice of parts gives the same orders, and one may take over from another between two messages."""

import os

import numpy as np
import pytest
import streams
from hypothesis import HealthCheck, given, settings
from pipelines import EAGER, STRICT, TICK, assert_equal, assert_same_state, market

import kernels
from kernels.tick_to_order._layout import CHECKSUM
from kernels.tick_to_order._names import OWN, PART_KERNELS, VARIANTS
from kernels.tick_to_order._parts import module_of
from kernels.tick_to_order.reference import Reference
from workbench.gate.budgets import read_budgets
from workbench.measure.closed_loop import build_subjects, count_allocations

COMBINED = TICK.variants["combined"]
SEVERAL = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
NO_PART = {
    "order_codec": {"baseline", "lock_free"},  # called from Python; a queue itself
    "message_queue": {"mpmc_batch"},  # single records go as in mpmc
}
FUNCTIONS = {
    "signal": ("update",),
    "risk": ("check", "release"),
    "codec": ("encode", "decode"),
    "queue": ("push", "pop"),
    "pool": ("take", "give_back", "read", "write"),
    "position": ("apply_fill",),
}
ALL_PAIRS = bool(os.environ.get("WORKBENCH_LONG"))


def covering():
    """Return choices of parts in which every variant of every part occurs; with WORKBENCH_LONG every pair of them."""
    longest = max(map(len, VARIANTS.values()))
    chosen = [
        {part: names[(turn + place) % len(names)] for place, (part, names) in enumerate(VARIANTS.items())}
        for turn in range(longest)
    ]
    if ALL_PAIRS:
        seen = {pair for choice in chosen for pair in pairs_of(choice)}
        for a, first in VARIANTS.items():
            for b, second in VARIANTS.items():
                for pair in ((a, x, b, y) for x in first for y in second if a < b):
                    if pair not in seen:
                        choice = {part: names[len(seen) % len(names)] for part, names in VARIANTS.items()}
                        chosen.append({**choice, a: pair[1], b: pair[3]})
                        seen.update(pairs_of(chosen[-1]))
    return chosen


def sample():
    """Return the choices that are tested: some, or with WORKBENCH_LONG all of them."""
    return covering() if ALL_PAIRS else covering()[1::3]


def pairs_of(choice):
    return [(a, choice[a], b, choice[b]) for a in choice for b in choice if a < b]


def test_the_parts_are_those_of_their_kernels():
    assert set(PART_KERNELS) == set(VARIANTS)
    for part, kernel in PART_KERNELS.items():
        ours = {name for name, variant in kernels.get(kernel).variants.items() if not variant.peer}
        assert ours - set(VARIANTS[part]) == NO_PART.get(kernel, set()), f"{part}: choose it, or say why not"
        choices = next(parameter.choices for parameter in TICK.parameters if parameter.name == part)
        assert choices == (OWN, *VARIANTS[part])


def test_each_variant_of_a_part_has_its_functions():
    for part, names in FUNCTIONS.items():
        for variant in VARIANTS[part]:
            assert all(hasattr(module_of(part, variant), name) for name in names), f"{part} {variant}"


def test_each_variant_of_a_part_is_in_the_sample():
    for part, names in VARIANTS.items():
        assert {choice[part] for choice in covering()} == set(names)


def test_what_the_stages_may_spend_adds_up_to_the_whole():
    budgets = {budget.name: budget for budget in read_budgets()}
    whole = budgets[TICK.budget]
    stages = [budgets[f"{TICK.budget}.{stage}"] for stage in TICK.stages]
    for name in ("must", "stretch"):
        assert sum(getattr(stage.limits, name) for stage in stages) == getattr(whole.limits, name)
    assert [stage.metric for stage in stages] == [f"stage.{stage}" for stage in TICK.stages]
    assert {stage.statistic for stage in stages} == {whole.statistic} == {"p99"}
    book = budgets["market_data.order_book_update"].limits
    assert (book.must, book.stretch) == (stages[1].limits.must, stages[1].limits.stretch)


@pytest.mark.slow
@pytest.mark.parametrize("choice", sample(), ids=lambda choice: "-".join(choice.values()))
def test_any_choice_of_parts(choice):
    events = market(11, 1500)
    instance, reference = assert_equal(COMBINED, events, symbols=3, **{**EAGER, **STRICT}, **choice)
    assert reference.tally["sent"] > 50 and reference.tally["refused"] > 5
    # The combined pipeline takes over in the middle, from this choice and then this choice from it.
    own = COMBINED.build(**{**instance.parameters, **dict.fromkeys(VARIANTS, OWN)})
    other, follower = instance, Reference(**instance.parameters)
    other.reset()
    for part in np.array_split(events, 4):
        wanted, found = follower.replay(part), COMBINED.replay(other, part)
        assert np.array_equal(found, wanted)
        taker = own if other is instance else instance
        taker.import_state(other.export_state())
        other = taker
        assert_same_state(other, follower)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TICK.variants if name != "combined"])
@given(events=streams.events_of_all_kinds)
@SEVERAL
def test_streams_with_bad_events_in_every_variant(name, events):
    assert_equal(TICK.variants[name], events, symbols=streams.SYMBOLS, lot=3, **{**EAGER, **STRICT})


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("indicator", ["ema", "sma"])
@pytest.mark.parametrize("name", TICK.variants)
def test_the_real_hour(name, indicator):
    if indicator == "sma" and name != "combined":
        pytest.skip("the signal is the same part in every variant")
    events = streams.lobster(streams.data_file("AAPL_2012-06-21_34200000_37800000_message_50.csv.gz"))
    instance, reference = assert_equal(TICK.variants[name], events, indicator=indicator)
    assert reference.tally["sent"] > 1000 and instance.state.gateway[CHECKSUM] != 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TICK.variants)
def test_nothing_is_allocated(name):
    parameters = TICK.check_parameters({"symbols": 3, "window": 2, "edge": 0, "interval_ns": 1, "collar": 1023})
    prepared = TICK.prepare(market(12, 3000), parameters)
    (subject,) = build_subjects([TICK.variants[name]], prepared, parameters, None)
    TICK.variants[name].replay(subject.plain, prepared, subject.out)
    sent = np.count_nonzero(subject.out["order_id"])
    assert sent > 100
    assert count_allocations(subject) == (sent if name == "baseline" else 0)  # its pool allocates each order
