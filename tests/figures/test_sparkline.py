"""Lines over nights: named, marked by verdict, gaps where nothing was measured, and no text obeyed."""

import re

import pytest

from workbench.figures.sparkline import HEIGHT, WIDTH, sparkline
from workbench.record import Verdict

UNCHANGED = Verdict.UNCHANGED


def points(svg):
    path = re.search(r'class="line" d="([^"]*)"', svg).group(1)
    return [(part[0], *map(float, part[1:].split())) for part in re.findall(r"[ML][-\d. ]+", path)]


def test_the_name_tells_ends_range_and_verdicts():
    svg = sparkline("book, mean time", [10.0, 12.0, 11.0], [None, Verdict.SLOWER, UNCHANGED])
    assert 'aria-label="book, mean time, 3 nights: 10.0 ns to 11.0 ns, between 10.0 ns and 12.0 ns; slower in 1"' in svg
    assert svg.count('class="slower"') == 1 and 'role="img"' in svg


def test_a_higher_cost_stands_higher_and_all_lies_inside():
    svg = sparkline("x", [10.0, 1000.0, 100.0], [UNCHANGED] * 3)
    found = points(svg)
    assert found[1][2] < found[2][2] < found[0][2], "y grows downwards"
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for _, x, y in found)
    assert [kind for kind, _, _ in found] == ["M", "L", "L"]


def test_the_noise_of_a_percent_looks_flat_and_ten_percent_do_not():
    def height(values):
        found = [y for _, _, y in points(sparkline("x", values, [UNCHANGED] * len(values)))]
        return max(found) - min(found)

    assert height([100.0, 101.0]) < HEIGHT / 6
    assert height([100.0, 110.0]) > HEIGHT / 2
    assert height([100.0, 100.0]) == 0


def test_a_night_without_a_value_is_a_gap():
    assert [kind for kind, _, _ in points(sparkline("x", [1.0, None, 2.0, 2.0], [None] * 4))] == ["M", "M", "L"]


@pytest.mark.parametrize("values", [[], [None], [0.0]])
def test_nothing_to_draw_is_an_empty_figure_with_a_name(values):
    svg = sparkline("x", values, [None] * len(values))
    assert "<path" not in svg and "aria-label" in svg


def test_one_night_is_a_dot():
    svg = sparkline("x", [5.0], [Verdict.FASTER])
    assert "1 night: 5.00 ns to 5.00 ns; faster in 1" in svg and "<circle" in svg


def test_a_hostile_name_is_text():
    svg = sparkline('"><script>alert(1)</script>\u202e', [1.0, 2.0], [None, None])
    assert "<script" not in svg and "\u202e" not in svg and "&quot;&gt;&lt;script" in svg


def test_each_value_needs_its_verdict():
    with pytest.raises(ValueError, match="one verdict"):
        sparkline("x", [1.0], [])
