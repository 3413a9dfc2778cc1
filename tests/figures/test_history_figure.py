"""A history's figure says what its nights say, and obeys no text."""

import json

import pytest

from workbench import figures
from workbench.figures.history import ROWS, WHISKERS, Level, Nights, value_over_nights

HOSTILE = '</script><a href="https://evil.example">x</a>'


def nights(count=12, **changes):
    values = {
        "title": "order_book/ladder service_time p50",
        "unit": "ns",
        "dates": [f"2026-01-{1 + place:02d}" for place in range(count)],
        "values": [40.0 + place // 6 for place in range(count)],
        "low": [39.0] * count,
        "high": [None] * count,
        "levels": (Level(0, 5, 40.0), Level(6, count - 1, 41.0, "+2.5 %", True)) if count else (),
        "base": 2 if count else None,
        "base_is": "pinned",
    }
    return Nights(**{**values, **changes})


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_nights_levels_and_base_are_drawn_where_they_are():
    figure = value_over_nights(nights())
    (dots,) = named(figure, "nights")
    assert list(dots.y) == [40.0] * 6 + [41.0] * 6
    assert list(dots.error_y.arrayminus)[:1] == [1.0] and list(dots.error_y.array)[:1] == [0.0]
    first, second = named(figure, "level")
    assert (list(first.y), first.line.dash) == ([40.0, 40.0], "solid")
    assert (second.x[0], second.line.dash) == ("2026-01-07", "dash")
    line, mark = named(figure, "base")
    assert list(line.y) == [40.0, 40.0] and list(mark.x) == ["2026-01-03"]
    assert [shape.x0 for shape in figure.layout.shapes] == ["2026-01-07"]


def test_it_has_a_name_a_description_and_its_newest_nights_as_a_table():
    figure = value_over_nights(nights())
    name, description = figures.figure_name(figure)
    assert name == "order_book/ladder service_time p50 over the nights" and description.endswith(".")
    assert figures.figure_table(figure).rows[0] == ("2026-01-12", "41.0 ns", "39.0 ns", "", "41.0 ns")
    many = nights(1000, dates=["2026-01-01"] * 1000, levels=(), base=None)
    assert len(figures.figure_table(value_over_nights(many)).rows) == ROWS
    assert len(many.values) > WHISKERS and value_over_nights(many).data[0].error_y.array is None


@pytest.mark.parametrize(
    "made", [nights(0), nights(title=HOSTILE, base_is=HOSTILE, levels=[Level(0, 11, 1.0, HOSTILE)])]
)
def test_nothing_to_draw_and_hostile_text(made):
    figure = value_over_nights(made)
    text = json.dumps(
        [trace.hovertemplate for trace in figure.data] + [each.text for each in figure.layout.annotations]
    )
    assert "<a href" not in text and "<a href" not in figure.layout.title.text
