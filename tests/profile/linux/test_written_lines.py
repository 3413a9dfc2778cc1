"""Which thread writes which line is told true sharing from false, on made arrays and on the teaching kernels."""

import numpy as np
import pytest

from kernels.machine.memory import aligned
from workbench import workloads
from workbench.profile.teaching import counters, ring
from workbench.profile.written_lines import Words, Written, arrays_of, changed_words, lines_written, shared, written


def offsets(*words):
    return np.array(words) * 8


def shared_in(name, array, writes):
    """The one row of an array of which each thread wrote the words at these offsets."""
    begin = array.__array_interface__["data"][0]
    (row,) = shared([[Words(name, array.itemsize, begin + each)] for each in writes])
    return row


def test_different_words_of_a_line_are_false_and_the_same_word_is_true_sharing():
    array = aligned(32, np.int64)  # four lines
    found = shared_in("a", array, [offsets(0, 8), offsets(1, 8, 16)])
    assert (found.lines, found.false_lines, found.true_lines) == (3, 1, 1)
    assert found.example == [[0, 0, 7], [1, 8, 15]]
    assert "thread 0 bytes 0 to 7 and thread 1 bytes 8 to 15 of a line of a" in found.where()


def test_lines_are_those_of_the_memory_not_of_the_array():
    array = aligned(32, np.int64)[5:]  # begins in the middle of a line
    assert shared_in("a", array, [offsets(0), offsets(3)]).false_lines == 0
    assert shared_in("a", array, [offsets(0), offsets(2)]).false_lines == 1


def test_a_border_is_no_false_sharing():
    array = aligned(804, np.int64)
    halves = [np.arange(0, 402) * 8, np.arange(402, 804) * 8]
    found = shared_in("a", array, halves)
    assert found.false_lines == 1 and not found.is_false
    assert Written("a", 8, 2, 1, 0, []).is_false


def test_two_arrays_on_one_line_are_shared_falsely():
    line = aligned(8, np.int64)
    head, tail, begin = line[:1], line[1:2], line.__array_interface__["data"][0]
    changed = [head.copy(), tail.copy()]
    head[0] = 1
    one = [written("head", changed[0], head), written("tail", changed[1], tail)]
    changed = [head.copy(), tail.copy()]
    tail[0] = 1
    two = [written("head", changed[0], head), written("tail", changed[1], tail)]
    (row,) = shared([one, two])
    assert row == Written("head and tail", 8, 1, 1, 0, [[0, 0, 7], [1, 8, 15]]) and row.is_false
    assert begin % 64 == 0


def test_two_views_of_one_word_share_it_truly():
    line = aligned(8, np.int64)
    begin = line.__array_interface__["data"][0]
    (row,) = shared([[Words("whole", 8, np.array([begin]))], [Words("half", 4, np.array([begin + 4]))]])
    assert (row.false_lines, row.true_lines) == (0, 1)


def test_long_arrays_that_meet_at_their_border_do_not_share():
    begin = aligned(8, np.int64).__array_interface__["data"][0]
    rows = shared([[Words("a", 8, begin + np.arange(100) * 8)], [Words("b", 8, begin + np.arange(100, 200) * 8)]])
    assert [(row.array, row.false_lines, row.is_false) for row in rows] == [
        ("a", 0, False),
        ("a and b", 1, False),
        ("b", 0, False),
    ]


def test_every_second_item_of_an_output_is_seen_where_it_lies():
    out = aligned(16, np.int64)
    begin = out.__array_interface__["data"][0]
    before = out[1::2].copy()
    out[1::2] = 1
    assert ((written("out", before, out[1::2]).addresses - begin) // 8).tolist() == list(range(1, 16, 2))
    rows = np.zeros((4, 4), np.int64)
    before, rows[2, 1] = rows[:, :2].copy(), 7
    begin = rows.__array_interface__["data"][0]
    assert (written("rows", before, rows[:, :2]).addresses - begin).tolist() == [8 * (2 * 4 + 1)]


class Instance:
    parameters = ()

    def __init__(self, state):
        self.state = state

    def reset(self):
        self.state[:] = 0


def test_outputs_of_threads_are_compared_too():
    def replay_from(state, share, own, begin, probe):
        own[:] = share

    class Variant:
        pass

    class Kernel:
        def shares(self, prepared, out, parameters):
            return [(1, out[0:1]), (2, out[1:2])]

    variant = Variant()
    variant.replay_from = replay_from
    found = lines_written(Kernel(), variant, Instance(np.zeros(1)), None, aligned(8, np.int64))
    rows = [Written(*row) for row in found]
    assert [(row.array, row.false_lines, row.is_false) for row in rows] == [("out", 1, True)]


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
