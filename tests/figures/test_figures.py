"""Figures say what the record says: values, units, verdicts; and none obeys the text it is given."""

import dataclasses
import math

import factory
import pytest

from workbench import figures
from workbench.figures import theme
from workbench.figures.text import label, number, percent_change, plain
from workbench.record import Verdict

HOSTILE = '</script><script>alert(1)</script><a href="https://evil.example">x</a>'
DARK_PAGE = "#12161c"


@dataclasses.dataclass
class Judged:
    title: str = "order_book p99"
    unit: str = "ns"
    value: float = 88.0
    must: float = 5000.0
    stretch: float | None = 100.0
    old: float | None = 15000.0
    above: bool = False
    words: str = "stretch met"


def all_figures():
    run = factory.run(HOSTILE)
    compared = [factory.comparison(HOSTILE, f"{HOSTILE}/b", 1.2, verdict) for verdict in Verdict]
    return [
        figures.latency_percentiles(run, HOSTILE),
        figures.throughput_bars(run, HOSTILE),
        figures.comparison_ratios(compared),
        figures.budget_bullets([Judged(title=HOSTILE, words=HOSTILE)]),
        figures.response_by_load(factory.loaded(HOSTILE), HOSTILE),
        figures.latency_percentiles(run, "absent"),
        figures.throughput_bars(run, "absent"),
        figures.comparison_ratios([]),
        figures.budget_bullets([]),
        figures.response_by_load(run, "absent"),
    ]


def test_every_figure_has_a_name_a_description_a_table_and_labelled_axes():
    for figure in all_figures():
        name, description = figures.figure_name(figure)
        assert name and description.endswith(".")
        table = figures.figure_table(figure)
        assert table.columns and all(len(row) == len(table.columns) for row in table.rows)
        assert figure.layout.title.text
    for figure in all_figures()[:5]:
        assert "(" in figure.layout.xaxis.title.text or "percentile" in figure.layout.xaxis.title.text
        assert figures.figure_table(figure).rows


def test_hostile_text_is_escaped_wherever_plotly_reads_markup():
    for figure in all_figures():
        document = figure.to_plotly_json()
        del document["layout"]["meta"]  # data, escaped by who shows it
        for text in _strings(document):
            assert "<script" not in text and "<a href" not in text, text


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


def test_a_percentile_line_follows_the_histograms_and_ends_where_samples_end():
    run = factory.run()
    figure = figures.latency_percentiles(run, "order_book")
    assert [trace.name for trace in figure.data] == list(factory.SPEEDS_NS)
    table = figures.figure_table(figure)
    by_variant = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert by_variant["ladder"]["samples"] == f"{3 * 6 * 400:,}"
    assert float(by_variant["ladder"]["p50"].split()[0]) == pytest.approx(40, rel=0.05)
    assert by_variant["ladder"]["p99.999"] == "too few samples"
    for trace in figure.data:
        assert list(trace.y) == sorted(trace.y)
        assert max(trace.x) <= 7200 / 3.6
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 3


def test_without_histograms_the_results_are_drawn():
    figure = figures.latency_percentiles(factory.run(with_blocks=False), "order_book")
    ladder = next(trace for trace in figure.data if trace.name == "ladder")
    assert list(ladder.y) == [40.0, 88.0, 440.0]
    assert list(ladder.x) == pytest.approx([2, 100, 1000])


def test_ratios_carry_interval_and_verdict():
    comparisons = [
        factory.comparison("order_book/baseline", "order_book/ladder", 0.25, Verdict.FASTER),
        factory.comparison("order_book/ladder", "order_book/aligned", 1.2, Verdict.SLOWER),
    ]
    figure = figures.comparison_ratios(comparisons)
    faster, slower = figure.data
    assert (faster.name, slower.name) == ("FASTER", "SLOWER")
    assert faster.marker.color != slower.marker.color and faster.marker.symbol != slower.marker.symbol
    assert slower.x[0] + slower.error_x.array[0] == pytest.approx(1.2 * 1.01)
    assert figures.figure_table(figure).rows[0][1:5] == ("−75 %", "−75 %", "−75 %", "FASTER")
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert low < 0.2475 and high > 1.212 and 1.0 in figure.layout.xaxis.tickvals


def test_bullets_put_better_to_the_left_whichever_way_the_limit_points():
    rate = Judged(title="rate", unit="operations/s", value=4e3, must=2e3, stretch=1e6, old=200, above=True)
    figure = figures.budget_bullets([Judged(), rate, Judged(value=6000.0, words="missed")])
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name["must holds"].x) == pytest.approx([88 / 5000, 0.5])
    assert list(by_name["must is missed"].x) == pytest.approx([1.2])
    assert list(by_name["stretch"].x) == pytest.approx([0.02, 0.002, 0.02])
    assert figures.figure_table(figure).rows[1][2] == "≥ 2.00 k operations/s"


@pytest.mark.parametrize("page", ["#ffffff", DARK_PAGE])
def test_colours_of_data_stand_out_from_both_pages(page):
    for colour in {*theme.COLOURS, *theme.VERDICT_COLOURS.values()}:
        assert contrast(colour, page) >= 3.0, colour


@pytest.mark.parametrize(("template", "page"), [(theme.LIGHT, "#ffffff"), (theme.DARK, DARK_PAGE)])
def test_text_has_the_contrast_of_wcag_aa(template, page):
    layout = template["layout"]
    for colour in (layout["font"]["color"], layout["xaxis"]["tickfont"]["color"]):
        assert contrast(colour, page) >= 4.5


def contrast(first, second):
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "ns", "0 ns"), (0.532, "ns", "0.532 ns"), (41.27, "ns", "41.3 ns"), (999.9, "ns", "1.00 µs"),
        (1234.0, "ns", "1.23 µs"), (2.5e9, "ns", "2.50 s"), (123456.0, "operations/s", "123 k operations/s"),
        (170e6, "bytes", "170 MB"), (12.0, "", "12.0"), (math.nan, "ns", "not finite"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits_and_a_unit(value, unit, text):
    assert number(value, unit) == text


def test_changes_and_names_are_readable():
    assert [percent_change(r) for r in (1.054, 0.25, 3.14, 1.0004, 1.0)] == [
        "+5.4 %", "−75 %", "× 3.14", "+0.04 %", "+0.00 %"
    ]  # fmt: skip
    assert plain("x" * 10_000) == "x" * 47 + "…"
    assert plain("a\u202eb\n") == "a[U+202E]b[U+000A]"
    assert label("<b>&") == "&lt;b&gt;&amp;"


def test_latencies_of_groups_are_named_so():
    run = factory.run()
    grouped = [row.model_copy(update={"operations_per_sample": 64}) for row in run.results]
    figure = figures.latency_percentiles(run.model_copy(update={"results": grouped}), "order_book")
    assert "groups of 64 operations" in figure.layout.xaxis.title.text
    assert "64 operations together" in figure.layout.yaxis.title.text
    assert "groups" not in figures.latency_percentiles(run, "order_book").layout.xaxis.title.text
