from workbench.figures import figure_table, line_differences
from workbench.figures.theme import VERDICT_COLOURS
from workbench.record import Verdict

ROWS = [("insert: total = total + 1", 400.0, 80.0), ("insert: if empty:", 0.0, 10.0), ("same", 5.0, 5.0)]


def test_less_lies_on_the_left_and_more_on_the_right_each_in_its_colour():
    figure = line_differences(ROWS, "book/a", "book/b")
    less, more = figure.data
    assert (less.x, less.y) == ((-320.0,), (0,)) and (more.x, more.y) == ((10.0,), (1,))
    assert less.marker.color == VERDICT_COLOURS[Verdict.FASTER]
    assert more.marker.color == VERDICT_COLOURS[Verdict.SLOWER]
    low, high = figure.layout.xaxis.range
    assert low < -320 and high > 10
    assert figure_table(figure).rows[0] == ("insert: total = total + 1", "400 ns", "80.0 ns", "−320 ns")
    assert figure_table(figure).rows[2][-1] == "0 ns"


def test_source_is_text_and_never_markup():
    figure = line_differences([("<a href='x'>f</a>", 1.0, 2.0)], "<b>a</b>", "b")
    assert "<a" not in str(figure.layout.yaxis.ticktext) and "<b>" not in figure.layout.title.text


def test_nothing_changed_is_said():
    figure = line_differences([("same", 5.0, 5.0)], "a", "b", "")
    assert "no line changed" in figure.layout.annotations[0].text
    assert line_differences([], "a", "b").layout.annotations
