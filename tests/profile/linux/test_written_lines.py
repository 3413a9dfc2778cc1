"""Which thread writes which line is told true sharing from false, on made arrays and on the teaching kernels."""

import numpy as np
import pytest

from kernels.machine.memory import aligned
from workbench import workloads
from workbench.profile.teaching import counters, ring
from workbench.profile.written_lines import Written, arrays_of, changed_words, lines_written, shared


def offsets(*words):
    return np.array(words) * 8


def test_different_words_of_a_line_are_false_and_the_same_word_is_true_sharing():
    array = aligned(32, np.int64)  # four lines
    found = shared("a", array, [offsets(0, 8), offsets(1, 8, 16)])
    assert (found.lines, found.false_lines, found.true_lines) == (3, 1, 1)
    assert found.example == [[0, 0, 7], [1, 8, 15]]
    assert "thread 0 bytes 0 to 7 and thread 1 bytes 8 to 15 of a line of a" in found.where()


def test_lines_are_those_of_the_memory_not_of_the_array():
    array = aligned(32, np.int64)[5:]  # begins in the middle of a line
    assert shared("a", array, [offsets(0), offsets(3)]).false_lines == 0
    assert shared("a", array, [offsets(0), offsets(2)]).false_lines == 1


def test_a_border_is_no_false_sharing():
    array = aligned(804, np.int64)
    halves = [np.arange(0, 402) * 8, np.arange(402, 804) * 8]
    found = shared("a", array, halves)
    assert found.false_lines == 1 and not found.is_false
    assert Written("a", 8, 2, 1, 0, []).is_false


def test_what_changed_is_found_by_words():
    before = np.zeros(4, np.int64)
    after = before.copy()
    after[2] = 256  # one byte of it
    assert changed_words(before, after).tolist() == [16]
    rows = np.zeros(2, [("a", np.int32), ("b", np.int64), ("c", np.int32)])
    later = rows.copy()
    later["b"][1] = 1
    assert changed_words(rows, later).tolist() == [16]


def test_arrays_are_named_by_their_fields():
    state = counters.allocate({})
    assert [name for name, _ in arrays_of((state, (np.zeros(3),)))] == ["0.counts", "1.0"]
    fixed = np.zeros(3)
    fixed.flags.writeable = False
    assert not list(arrays_of((fixed,)))


@pytest.mark.parametrize(
    ("kernel", "variant", "false"),
    [
        (counters.KERNEL, "shared_line", 1),
        (counters.KERNEL, "own_lines", 0),
        (ring.KERNEL, "packed", 1),
        (ring.KERNEL, "padded", 0),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_the_teaching_kernels_do_their_work_and_share_what_they_say(kernel, variant, false):
    chosen = kernel.variant(variant)
    events = workloads.synthetic(events=300).events
    alone = chosen.build(threads=1)
    prepared = kernel.prepare(events, alone.parameters)
    out = chosen.replay(alone, prepared)
    expected = kernel.reference().replay(prepared)
    assert np.array_equal(out, expected)
    pair = chosen.build(threads=2)
    rows = [Written(*row) for row in lines_written(kernel, chosen, pair, prepared, kernel.output(prepared, {}))]
    assert sum(row.false_lines for row in rows if row.is_false) == false
    assert not any(row.true_lines for row in rows)
    pair.reset()
    together = chosen.replay(pair, prepared)
    total = int(together[:: counters.APART].sum()) if kernel is counters.KERNEL else together.tolist()
    assert total == (int(expected[0]) if kernel is counters.KERNEL else expected.tolist())
