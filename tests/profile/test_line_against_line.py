"""Lines of two variants belong together where a person would say so, and what has no counterpart stands alone."""

import pytest
from test_profile import ALLOWED, Reader

from workbench.errors import InputError
from workbench.profile.counted import Line, LineNote
from workbench.profile.differences import SHARE, TIME, differences
from workbench.profile.differences_html import amount, differences_html, differences_page
from workbench.profile.profile import Profile

BEFORE = """
def insert(book, price):  # the plain way
    level = book.find(price)
    for i in range(level.count):
        total = total + level.sizes[i]
    book.log(price)
    return total

def cancel(book, order):
    book.sizes[order] = 0
""".splitlines()
AFTER = """
def insert(book, price):
    level = book.find( price )   # found by its index
    if level.empty:
        return 0
    for j in levels(level):
        total = total + lane(level, j)
    return total

def cancel(book, order):
    book.sizes[order] = 0
""".splitlines()


def made(title, file, text, amounts, counter="instructions", **overhead):
    found = Profile(title, "cache" if counter != "samples" else "cpu", counter, sources={file: text})
    function = ""
    for number, source in enumerate(text, 1):
        if source.startswith("def "):
            function = source[4 : source.index("(")]
        for part, value in amounts.items():
            if part in source:
                found.add(Line(function, file, number), counter, value)
    found.overhead = overhead
    return found


@pytest.fixture
def both():
    a = made("book/a", "/src/a.py", BEFORE, {"find": 100, "for ": 50, "total =": 400, "log": 70, "sizes[o": 5})
    b = made("book/b", "/src/b.py", AFTER, {"find": 90, "if level": 10, "for ": 20, "total =": 80, "sizes[o": 5})
    return a, b


def by_text(found):
    return {(pair.a and pair.a.source.strip(), pair.b and pair.b.source.strip()): pair for pair in found.pairs}


def test_lines_pair_by_text_then_by_the_kind_of_statement(both):
    found = by_text(differences(*both))
    assert set(found) == {
        ("level = book.find(price)", "level = book.find( price )   # found by its index"),
        ("for i in range(level.count):", "for j in levels(level):"),
        ("total = total + level.sizes[i]", "total = total + lane(level, j)"),
        ("book.log(price)", None),
        (None, "if level.empty:"),
        ("book.sizes[order] = 0", "book.sizes[order] = 0"),
    }
    assert found["book.log(price)", None].change("instructions") == -70
    assert found[None, "if level.empty:"].change("instructions") == 10


def test_the_lines_add_up_to_the_totals_and_the_largest_change_comes_first(both):
    found = differences(*both)
    assert found.totals == {"instructions": (625, 205)}
    assert sum(pair.change("instructions") for pair in found.pairs) == 205 - 625
    assert [row[1:] for row in found.rows(3)] == [(400, 80), (70, 0), (50, 20)]
    assert found.rows()[0][0] == "insert: total = total + lane(level, j)"
    assert all(label != "cancel: book.sizes[order] = 0" for label, *_ in found.rows()), "it did not change"


def test_a_function_of_another_name_is_another_function(both):
    a, b = both
    b.counters = {
        Line("push" if line.function == "insert" else line.function, *line[1:]): c for line, c in b.counters.items()
    }
    found = differences(a, b)
    assert all(pair.a is None or pair.b is None for pair in found.pairs if pair.function in ("insert", "push"))


def test_time_is_that_of_a_run_where_both_know_it(both):
    a = made("book/a", "/src/a.py", BEFORE, {"find": 30, "total =": 70}, "samples", run_s=2e-3)
    b = made("book/b", "/src/b.py", AFTER, {"find": 150, "total =": 50}, "samples", run_s=1e-3)
    found = differences(a, b)
    assert found.main == TIME
    assert found.totals[TIME] == pytest.approx((2e6, 1e6))
    pair = next(pair for pair in found.pairs if "find" in pair.label)
    assert pair.amounts(TIME) == pytest.approx((6e5, 7.5e5))


@pytest.mark.parametrize("counter", ["samples", "time_ms"])
def test_without_the_time_of_a_run_shares_are_compared_however_long_each_was_sampled(counter):
    a = made("book/a", "/src/a.py", BEFORE, {"find": 30, "total =": 70}, counter)
    b = made("book/b", "/src/b.py", AFTER, {"find": 300, "total =": 700}, counter, run_s=1e-3)
    found = differences(a, b)
    assert found.main == SHARE and found.top() == [] and "shares" in found.notes[0]
    assert found.totals[SHARE] == pytest.approx((100, 100))
    assert "share 100 % → 100 % (× 1)" in str(found)


def test_time_by_another_tool_is_that_of_a_run_too():
    a = made("book/a", "/src/a.py", BEFORE, {"find": 30.0}, "time_ms", run_s=2e-3)
    b = made("book/b", "/src/b.py", AFTER, {"find": 900.0}, "time_ms", run_s=1e-3)
    assert differences(a, b).totals[TIME] == pytest.approx((2e6, 1e6))


def test_two_kinds_do_not_compare_and_say_so(both):
    with pytest.raises(InputError, match=r"book/a counts instructions and x samples: they do not compare"):
        differences(both[0], made("x", "/src/b.py", AFTER, {"find": 1}, "samples"))


def test_the_same_variant_has_no_difference(both):
    found = differences(both[0], both[0])
    assert found.top() == [] and all(pair.a == pair.b for pair in found.pairs)


def test_code_without_lines_is_matched_by_its_function():
    a, b = Profile("a", "cache", "calls"), Profile("b", "cache", "calls")
    a.add(Line("NRT_decref", "", 0), "calls", 4)
    b.add(Line("NRT_decref", "", 0), "calls", 1)
    (pair,) = differences(a, b).pairs
    assert pair.change("calls") == -3


def test_html_keeps_to_what_an_untrusted_notebook_leaves(both):
    a, b = both
    b.notes_by_line[Line("insert", "/src/b.py", 7)] = LineNote("zmm ×8")
    a.sources["/src/a.py"][3] = "    for i in range(1 < 2):  # <script>alert(1)</script>"
    found = differences(a, b)
    reader = Reader()
    reader.feed(differences_html(found))
    assert not reader.open and reader.tags <= ALLOWED
    assert reader.attributes <= {"style", "scope", "colspan"}
    assert "<script>alert(1)</script>" in reader.text and "<script>" not in differences_html(found)
    for said in ("book/b against book/a", "instructions 625 → 205 (× 0.328)", "zmm ×8", "not there", "−320", "+10"):
        assert said in reader.text, said
    assert "var(" not in differences_html(found)
    assert "http" not in differences_page(found)


def test_text_has_the_largest_changes(both):
    told = str(differences(*both)).splitlines()
    assert told[0].startswith("A = book/a, B = book/b: instructions 625 → 205")
    assert told[2].split()[:3] == ["400", "80", "−320"]
    assert len(told) == 2 + 5, "a line that did not change is left out"


@pytest.mark.parametrize(
    ("value", "name", "told"),
    [
        (0, "time_ns", ""),
        (3.14159, "time_ns", "3.14 ns"),
        (2.5e6, "time_ns", "2.5 ms"),
        (12.345, "share_percent", "12.3 %"),
        (1234567, "instructions", "1,234,567"),
    ],
)
def test_amounts(value, name, told):
    assert amount(value, name) == told
