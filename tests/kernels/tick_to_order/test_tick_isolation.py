"""One part live, its neighbours replayed: the same orders, from the tape, and never from a tape of another input."""

import numpy as np
import pytest
from pipelines import EAGER, TICK, market

from kernels.tick_to_order._names import PART_KERNELS
from kernels.tick_to_order._standin import AT, FIRST_ROOM, PLAYING

COMBINED = TICK.variants["combined"]
QUICK = ("risk", "book")
SLOW = tuple(name for name in PART_KERNELS if name not in QUICK)


def stand_ins(instance):
    return {name: part for name in PART_KERNELS if hasattr(part := getattr(instance.state, name), "tape")}


def replay(instance, events):
    instance.reset()
    return COMBINED.replay(instance, events)


@pytest.mark.parametrize("live", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_live_part_alone_leads_to_the_same_orders(live):
    events, other = market(1, 3000), market(2, 3000)
    whole = COMBINED.build(symbols=3, **EAGER)
    wanted = replay(whole, events)
    alone = COMBINED.build(symbols=3, live=live, **EAGER)
    recorded, played = replay(alone, events), replay(alone, events)
    assert wanted["order_id"].any()
    assert np.array_equal(recorded, wanted) and np.array_equal(played, wanted)
    neighbours = stand_ins(alone)
    assert set(neighbours) == set(PART_KERNELS) - {live}
    assert all(part.words[PLAYING] for part in neighbours.values())
    assert np.array_equal(replay(alone, other), replay(whole, other))  # another input: recorded anew
    assert not any(part.words[PLAYING] for part in neighbours.values())


def test_the_neighbours_answers_come_from_the_tape():
    events = market(1, 3000)
    alone = COMBINED.build(symbols=3, live="book", **EAGER)
    sent = np.count_nonzero(replay(alone, events)["order_id"])
    checks = alone.state.risk
    checks.tape[: checks.words[AT]] = 1  # as if every order had been refused
    refused = replay(alone, events)
    assert sent > 100 and not refused["order_id"].any()


def test_a_tape_that_is_full_grows_and_goes_on():
    events = market(3, FIRST_ROOM)  # two answers of the book to each
    alone = COMBINED.build(symbols=3, live="risk", **EAGER)
    wanted = replay(COMBINED.build(symbols=3, **EAGER), events)
    assert np.array_equal(replay(alone, events), wanted)
    assert len(alone.state.book.tape) > FIRST_ROOM
    assert np.array_equal(replay(alone, events), wanted) and alone.state.book.words[PLAYING]


def test_a_run_that_goes_on_without_a_reset_is_no_replay_of_the_tape():
    events = market(4, 2000)
    whole, alone = (COMBINED.build(symbols=3, live=live, **EAGER) for live in ("all", "risk"))
    for instance in (whole, alone):
        instance.reset()
    for part in (events[:900], events[900:], events[:0]):
        assert np.array_equal(COMBINED.replay(alone, part), COMBINED.replay(whole, part))
    assert np.array_equal(replay(alone, events[:900]), replay(whole, events[:900]))  # nothing whole was kept of that
    assert np.array_equal(replay(alone, events[:500]), replay(whole, events[:500]))  # the beginning of what was kept
    assert alone.state.book.words[PLAYING]
    with pytest.raises(ValueError, match="reset before another input"):  # the neighbours have not seen the beginning
        COMBINED.replay(alone, events[500:])
    assert np.array_equal(replay(alone, events), replay(whole, events))


@pytest.mark.parametrize("field", ["side", "symbol"])
def test_an_input_of_the_same_ids_and_prices_is_another_one(field):
    events = market(5, 1000)
    alone = COMBINED.build(symbols=3, live="risk", **EAGER)
    replay(alone, events)
    other = events.copy()
    other[field] = 1 - other[field] if field == "side" else (other[field] + 1) % 3
    replay(alone, other)
    assert not alone.state.book.words[PLAYING]


def test_what_one_live_part_cannot_do_is_told():
    with pytest.raises(ValueError, match="live=PART is for one thread"):
        COMBINED.build(live="risk", threads=2)
    with pytest.raises(ValueError, match="live must be one of all, book"):
        COMBINED.build(live="risky")
    with pytest.raises(ValueError, match="build with live=all"):
        COMBINED.build(live="risk").export_state()
