"""The counter `lines_touched`: on streams so small that the lines can be counted by hand."""

import numpy as np
import pytest
import streams
from streams import BOOK, add, delete

from kernels.messages import Kind

INVERSE = pow(0x9E3779B97F4A7C15, -1, 2**64)
TRADE = (Kind.TRADE, 0, 0, 0, 0, 0, 0)
AFTER = [TRADE] * 16  # the straight loop leaves the last messages of a call to the common code


def at(slot, which=1):
    """Return an id whose search begins in that slot of a table of 64."""
    return ((slot << 58) + which) * INVERSE % 2**64


def total(name, rows, **parameters):
    instance = BOOK.variants[name].build(instrumented=True, **{"orders": 16, **parameters})
    BOOK.variants[name].replay(instance, streams.make(rows + AFTER))
    return instance.counters()["lines_touched"]


def lines(name, before, row, **parameters):
    """Return how many lines the message `row` is counted with, after those of `before`."""
    return total(name, [*before, row], **parameters) - total(name, before, **parameters)


# A message that changes the best level, by what it touches: the columns or the entry of its order; the row; the total;
# the word of the bitmap (ladder, aligned); the floor of the depth (lock_free). In the sorted array: where the row
# begins, its length, the key, the total, the best. In the skip list: two lines of the head and of the tail, the node;
# then the heads and the first nodes of both sides.
BEST_LEVEL = {
    "baseline": 4 + 2 + 2 + 1,
    "ladder": 4 + 1 + 1 + 1,
    "simd": 4 + 1 + 1,
    "aligned": 1 + 1 + 1 + 1,
    "combined": 1 + 1 + 1,
    "lock_free": 1 + 1 + 1 + 1,
    "skip_list": 4 + 4 + 1 + 4,
}
COLUMNS = {"baseline", "ladder", "simd", "skip_list"}
FIRST = [add(at(40), 100, 9)]  # after it the window of 64 ticks begins at 52, and the level 100 is its tick 48


@pytest.fixture(params=sorted(BEST_LEVEL))
def name(request):
    return request.param


def same_level(name, more=0, more_in_columns=0):
    return BEST_LEVEL[name] + more + (more_in_columns if name in COLUMNS else 0)


def test_a_change_of_the_best_level(name):
    assert lines(name, FIRST, add(at(10), 100), window_ticks=64) == same_level(name)
    taken = (Kind.CANCEL, 0, 0, at(40), 0, 0, 3)
    assert lines(name, FIRST, taken, window_ticks=64) == same_level(name)


def test_the_slot_behind_the_last_one_of_a_line(name):
    """It is looked at with every change of an order: 8 ids share a line, or 4 entries."""
    assert lines(name, FIRST, add(at(15), 100), window_ticks=64) == same_level(name, 1)
    assert lines(name, FIRST, add(at(63), 100), window_ticks=64) == same_level(name, 1)


def test_a_search_that_comes_to_another_line(name):
    taken = [*FIRST, add(at(15), 100)]
    assert lines(name, taken, add(at(15, 2), 100), window_ticks=64) == same_level(name, 1)
    taken = [*FIRST, add(at(12), 100)]
    assert lines(name, taken, add(at(12, 2), 100), window_ticks=64) == same_level(name)


def test_a_gap_that_is_closed_across_lines(name):
    """The slot behind is on another line; what moves up from there is in three more columns, of 16 to a line."""
    taken = [*FIRST, add(at(15), 100), add(at(15, 2), 100)]
    assert lines(name, taken, delete(at(15)), window_ticks=64) == same_level(name, 1, more_in_columns=3)
    taken = [*FIRST, add(at(14), 100), add(at(14, 2), 100)]  # slot 16 is looked at: it ends the search
    assert lines(name, taken, delete(at(14)), window_ticks=64) == same_level(name, 1)


def test_a_level_whose_total_is_not_on_the_line_of_the_best(name):
    """Tick 47 of the window; in the sorted array a new level asks for room, in the list it is a node more."""
    more = {"baseline": 1, "skip_list": 2}.get(name, 1)
    assert lines(name, FIRST, add(at(10), 99), window_ticks=64) == BEST_LEVEL[name] + more


# Not of the skip list: what it passes on the way depends on the random heights of the nodes.
@pytest.mark.parametrize("name", sorted(BEST_LEVEL.keys() - {"skip_list"}))
def test_a_best_level_that_comes_to_another_group(name):
    """Two wide compares of 64 totals: one finds the group of the best empty, the other the next level."""
    before = [*FIRST, add(at(10), 60)]
    more = {"baseline": 0, "ladder": 1, "aligned": 1}.get(name, 2 * 4)
    assert lines(name, before, delete(at(40)), window_ticks=128) == BEST_LEVEL[name] + more


def test_a_message_that_changes_nothing(name):
    """The best of both sides is read for every message; a bad one looks for its order, too."""
    best = 4 if name == "skip_list" else 1
    assert lines(name, FIRST, TRADE) == best
    shown = (
        2 if name == "lock_free" else 0
    )  # the straight loop shows the book before it leaves, and so does who goes on
    assert lines(name, FIRST, delete(at(10))) == best + (4 if name in COLUMNS else 1) + shown


def test_the_levels_that_are_shifted():
    """Below 16 levels, which fill a line of keys and a line of totals: both go on to the next line."""
    before = [add(at(0, i + 1), 100 + i) for i in range(16)]
    level = 4 + 2 + 1 + 1 + 1 + 1  # columns; begin and length; key; total; room; best
    assert lines("baseline", before[1:], add(at(50), 50)) == level
    assert lines("baseline", before, add(at(50), 50), orders=32) == level + 2


@pytest.mark.parametrize("name", ["aligned", "ladder"])
def test_a_spilled_level(name):
    """A price outside the window: misses, length, room; the search in the spill; the window's best beside it."""
    order = 4 if name in COLUMNS else 1
    spilled = (2 + 1) + (2 + 1 + 1 + 1) + 2  # before; begin, length, key, total and room in the spill; word and total
    assert lines(name, FIRST, add(at(10), 10), window_ticks=64) == order + spilled + 1


def test_what_readers_see_is_counted_when_it_is_shown():
    """When the next message is of another symbol; one that stays costs nothing more."""
    first = [*FIRST, add(at(20), 100, symbol=1), add(at(21), 100, symbol=1)]
    assert lines("lock_free", first, add(at(10), 100, symbol=1), symbols=2) == BEST_LEVEL["lock_free"]
    assert lines("lock_free", first, add(at(10), 100, symbol=0), symbols=2) == BEST_LEVEL["lock_free"] + 1


def test_a_book_of_many_symbols_has_one_column_more():
    assert lines("aligned", FIRST, add(at(10), 100), symbols=600) == BEST_LEVEL["aligned"] + 1
    assert lines("combined", FIRST, add(at(10), 100), symbols=600) == BEST_LEVEL["combined"] + 1


def test_the_straight_loop_counts_as_the_common_code():
    events = streams.walk(17, 3000, symbols=2)
    counted = []
    for step in (len(events), 16):
        instance = BOOK.variants["combined"].build(instrumented=True, symbols=2, window_ticks=1024)
        for begin in range(0, len(events), step):
            BOOK.variants["combined"].replay(instance, events[begin : begin + step])
        counters = instance.counters()
        counted.append((counters["lines_touched"], counters["probes"]))
    assert counted[0] == counted[1]
    assert counted[0][0] > 3 * np.count_nonzero(events["kind"] != Kind.TRADE)
