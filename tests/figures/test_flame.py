"""Flame graphs: widths are shares, what calls stands above what is called, and a difference is coloured by its sign."""

import pytest

from workbench.codemap.lines import Frame
from workbench.figures.flame import differential_flame, flame, tree_of
from workbench.figures.table import figure_table
from workbench.figures.tool_costs import ToolCost, tool_costs
from workbench.profile.counted import Line
from workbench.profile.profile import Profile

HOSTILE = '<a href="https://evil.example">x</a>'


def profile(title="k/v", **shares):
    """Return a profile whose outermost function `f` calls, on its line 10, what is named, each on its line 1."""
    found = Profile(title, "cpu")
    found.sources["/w/f.py"] = ["line"] * 9 + ["call(them)"]
    for name, amount in shares.items():
        here = Frame(name, f"/w/{name}.py", 1) if name != "f" else None
        stack = (Frame("f", "/w/f.py", 10), *([here] if here else []))
        found.stacks[stack] = float(amount)
        found.add(Line(stack[-1].function, stack[-1].file, stack[-1].line), "samples", float(amount))
    return found


def boxes(figure):
    (trace,) = figure.data
    return {
        label: (value, trace.labels[trace.ids.index(parent)] if parent else None)
        for label, parent, value in zip(trace.labels, trace.parents, trace.values, strict=True)
    }


def test_a_box_is_as_wide_as_its_share_and_stands_below_what_calls_it():
    found = boxes(flame(profile(g=60, h=30, f=10)))
    assert found["k/v"] == (1.0, None)
    assert found["f"] == (1.0, "k/v")
    assert found["f.py:10  call(them)"] == (1.0, "f")
    assert found["g"] == (0.6, "f.py:10  call(them)") and found["g.py:1"] == (0.6, "g")
    assert found["h"] == (0.3, "f.py:10  call(them)")
    assert tree_of(profile(g=60, h=30, f=10)).below["f", ""].below["f", "f.py:10"].own == 10


def test_the_table_has_the_boxes_by_their_share():
    table = figure_table(flame(profile(g=60, h=30, f=10)))
    assert table.columns[1:5] == ("function", "line", "share", "share of its own")
    assert table.rows[0] == ("1", "f", "", "100.0 %", "", "")
    assert ("2", "f", "f.py:10", "100.0 %", "10.0 %", "call(them)") in table.rows
    assert ("4", "h", "h.py:1", "30.0 %", "30.0 %", "") in table.rows


def test_boxes_that_nobody_can_see_are_left_out():
    assert "g" not in boxes(flame(profile(g=1, f=999)))
    assert "g" in boxes(flame(profile(g=3, f=997)))


def test_a_profile_from_a_record_has_lines_and_no_calls():
    found = profile(g=60, h=40)
    found.stacks = {}
    assert boxes(flame(found))["g"] == (0.6, "k/v")


def test_a_function_with_the_name_of_the_whole_has_a_colour_and_the_root_alone_is_grey():
    (trace,) = flame(profile("f", g=60, h=40)).data
    (root, *below) = trace.marker.colors
    assert trace.labels[0] == "f" and "f" in trace.labels[1:]
    assert root not in below and len(set(below)) >= 3


def test_a_difference_is_red_where_the_share_grew_and_blue_where_it_shrank():
    figure = differential_flame(profile("k/a", g=60, h=40), profile("k/b", g=20, h=40, n=40))
    (trace,) = figure.data
    colour = dict(zip(trace.labels, trace.marker.colors, strict=True))
    red, blue = (lambda c: int(c[1:3], 16)), (lambda c: int(c[5:7], 16))
    assert blue(colour["g"]) > red(colour["g"]), "60 → 20 %"
    assert red(colour["n"]) > blue(colour["n"]), "0 → 40 %"
    assert colour["h"] == colour["f"], "no change"
    assert boxes(figure)["g"][0] == pytest.approx(0.4) and boxes(figure)["n"][0] == pytest.approx(0.2)
    rows = {row[1]: row[2:] for row in figure_table(figure).rows}
    assert rows["g"] == ("60.0 %", "20.0 %", "\N{MINUS SIGN}40.0 points")
    assert rows["n"] == ("0.0 %", "40.0 %", "+40.0 points")


def test_nothing_sampled_is_said():
    empty = Profile("k/v", "cpu")
    assert "no sample" in flame(empty).layout.annotations[0].text
    assert "no samples" in differential_flame(empty, profile(g=1)).layout.annotations[0].text


def test_names_are_shown_and_never_obeyed():
    hostile = Profile(HOSTILE, "cpu")
    hostile.stacks[(Frame(HOSTILE, f"/w/{HOSTILE}", 1),)] = 1.0
    (trace,) = flame(hostile).data
    assert not any("<a" in text for text in (*trace.labels, *trace.hovertext))


def test_costs_of_tools_are_bars_and_what_is_missing_stands_in_the_table():
    costs = [
        ToolCost("sampler", "ladder", 1.012, 4000.0),
        ToolCost("py-spy", "ladder", 1.30, 350.0, 0.91, 0.4),
        ToolCost("perf", "ladder", absent="perf is not on this machine"),
    ]
    figure = tool_costs(costs)
    assert {bar.y[0]: bar.x[0] for bar in figure.data} == pytest.approx(
        {"sampler: ladder": 1.2, "py-spy: ladder": 30.0}
    )
    rows = figure_table(figure).rows
    assert rows[1] == ("py-spy", "ladder", "+30.0 %", "350", "91 %", "0.4 s", "")
    assert rows[2][2:] == ("", "", "", "", "perf is not on this machine")
    assert "no profiler" in tool_costs(costs[2:]).layout.annotations[0].text
