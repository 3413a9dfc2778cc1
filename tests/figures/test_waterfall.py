"""The waterfall shows what the record says: each bar from what the step stands on, its verdict, its worth alone."""

import factory
import pytest
from ablated import CELL, STEPS, found, mean

from workbench import figures
from workbench.figures import figure_name, figure_table
from workbench.figures.theme import VERDICT_COLOURS
from workbench.figures.waterfall import alone_row, compared, measured, paired
from workbench.record import Verdict


def drawn(**changes):
    told = found(**changes)
    return figures.waterfall(told.run, CELL, told.steps, told.absent)


def test_a_bar_reaches_from_what_the_step_stands_on_to_its_own_cost():
    bars = [trace for trace in drawn().data if trace.type == "bar"]
    ends = [(bar.y[0], bar.base[0], bar.base[0] + bar.x[0]) for bar in bars]
    assert ends == [
        (0, 0, 100),
        (1, 50, 100),  # unchecked: 100 to 50
        (2, 50, 60),  # fast_math: added, from 50
        (3, 50, 50.5),  # spin_lock stands on unchecked, since fast_math was taken back
        (4, pytest.approx(48.0), pytest.approx(50.5)),
    ]
    verdicts = (Verdict.FASTER, Verdict.SLOWER, Verdict.UNCHANGED, Verdict.UNRESOLVED)
    assert [bar.marker.color for bar in bars[1:]] == [VERDICT_COLOURS[verdict] for verdict in verdicts]
    beside = {note.y: note.text for note in drawn().layout.annotations if " ns" in note.text}
    assert beside[0] == "  100 ns", "the start has no verdict"
    assert [beside[place].rpartition(", ")[2] for place in (1, 2, 3, 4)] == [verdict.value for verdict in verdicts]
    assert "SLOWER" in bars[2].hovertext and "+20.0 %" in bars[2].hovertext


def test_the_table_says_it_in_words_and_tells_what_cannot_be_had():
    table = figure_table(drawn())
    rows = {row[0]: row for row in table.rows}
    assert len(table.columns) == len(table.rows[0]) and len(table.rows) == 1 + len(STEPS)
    assert rows["fast math"][2:9] == ("60.0 ns", "59.0 ns", "61.0 ns", "+20.0 %", "+18.8 %", "+21 %", "SLOWER")
    assert rows["fast math"][9:] == ("+5.0 %", "+4.0 %", "+6.0 %", "SLOWER")
    assert rows["memory of the core's own node"][8] == "all memory is equally near"
    assert rows["no bounds checks"][12] == "FASTER", "the first step is alone on the path"
    assert figure_name(drawn())[0] == f"What each step is worth: {CELL}"


def test_labels_that_are_not_there_are_no_rows():
    told = found()
    assert measured(told.run, CELL, told.steps) == ["start", "unchecked", "fast_math", "spin_lock", "combined_book"]
    assert compared(told.run, CELL, "start", "nowhere") is None and paired(told.run, CELL, "nowhere") is None
    assert mean(told.run, "nowhere") is None
    assert alone_row(told.run, CELL, told.steps[-1], ["unchecked"]) is None


def test_an_empty_record_is_an_empty_figure_that_says_so():
    run = factory.run("tick_to_order").model_copy(update={"results": []})
    empty = figures.waterfall(run, CELL, STEPS, {})
    assert any("no step was measured" in note.text for note in empty.layout.annotations)
    assert all(row[8] == "not measured" for row in figure_table(empty).rows)
