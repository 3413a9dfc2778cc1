"""The words of a cache study are computed from its counters."""

import pytest

from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.report.cache import change, change_figure, counts_figure, misses_figure, unused_figure
from workbench.report.cache_words import CacheStudy, cache_outcome, ranked

HOT, COLD = Line("find", "/src/book.py", 2), Line("find", "/src/book.py", 3)


def profiled(title, hot, cold, atomics=0.0):
    found = Profile(title, "cache", "instructions", sources={"/src/book.py": ["x", "level = keys[at]", "return level"]})
    for line, misses in ((HOT, hot), (COLD, cold)):
        found.add(line, "instructions", 1000)
        found.add(line, "d1_misses", misses)
        found.add(line, "d1_bytes_unused", 40 * misses)
    if atomics:
        found.add(COLD, "atomics", atomics)
    found.notes = ["simulated caches (size, ways, line): D1 32 KB"]
    return found


@pytest.fixture
def study():
    both = {"baseline": profiled("book/baseline", 300, 100, 50), "ladder": profiled("book/ladder", 30, 10)}
    return CacheStudy("book", 100, both)


def test_the_headline_names_the_line_that_misses_most(study):
    told = cache_outcome(study)
    assert told.headline == (
        "book/ladder misses the first-level cache 0.400 times an operation, simulated, 75 % of it on "
        "book.py:2: level = keys[at]"
    )
    assert (
        "baseline has its L1 misses on 75 % book.py:2: level = keys[at]; 25 % book.py:3: return level." in told.findings
    )
    assert any("throws out 40.0 bytes unread for each line" in each for each in told.findings)
    assert "baseline locks the bus most on book.py:3: return level: 0.500 times an operation." in told.findings
    (change,) = [each for each in told.findings if each.startswith("From")]
    assert "fewer L1 misses (4.00 → 0.400)" in change and "atomics (0.500 → 0)" in change and "more" not in change
    assert any("32 KB" in each for each in told.findings)


def test_a_variant_without_misses_says_so(study):
    study.found["ladder"] = profiled("book/ladder", 0, 0)
    told = cache_outcome(study)
    assert told.headline.startswith("book/ladder finds its data in the first-level cache")
    assert not any(each.startswith("ladder has its") for each in told.findings)


def test_equal_variants_have_no_change(study):
    study.found["ladder"] = study.found["baseline"]
    assert "From baseline to ladder no count changes by 2 % or more." in cache_outcome(study).findings


def test_a_variant_that_was_left_out_is_named(study):
    study.absent["peer"] = "it is a peer's code"
    assert cache_outcome(study).findings[-1] == "peer is left out: it is a peer's code."
    nothing = cache_outcome(CacheStudy("book", 1, absent={"peer": "it is absent"}))
    assert "No variant" in nothing.headline and nothing.findings == ["peer is left out: it is absent."]


def test_one_place_in_the_source_counts_once(study):
    profile = study.found["baseline"]
    profile.add(Line("inlined_copy", "/src/book.py", 2), "d1_misses", 5)
    assert [amount for _, amount in ranked(profile, "d1_misses")] == [305, 100]


def test_figures_show_an_operation_and_the_lines(study):
    counts = counts_figure(study)
    assert counts.data[0].name == "baseline" and list(counts.data[0].y) == [1.0] * 4
    assert counts.data[1].y[counts.data[1].x.index("L1 misses")] == pytest.approx(0.1)
    assert list(misses_figure(study).data[0].x) == [0.3, 0.1]
    assert list(unused_figure(study).data[0].x) == [12.0, 4.0]
    assert list(change_figure(study).data[0].x) == pytest.approx([-2.7, -0.9])
    assert change(study).a == "book/baseline"


def test_one_variant_alone_has_no_change(study):
    del study.found["baseline"]
    assert "name two" in str(change(study))
    assert change_figure(study).layout.annotations


def test_without_a_simulation_the_code_is_told(study):
    mix = Profile("book/ladder", "cache", "instructions_in_code")
    mix.add(HOT, "instructions_in_code", 12)
    mix.add(HOT, "loads", 4)
    told = cache_outcome(CacheStudy("book", 100, {"ladder": mix}, reason="valgrind is not installed"))
    assert told.headline.startswith(
        "The machine code of book/ladder is read, no cache is simulated, most loads on book.py:2"
    )
    assert told.findings[0] == "No cache was simulated: valgrind is not installed."
    assert "ladder has 12 instructions in its code: 4 loads." in told.findings
    study = CacheStudy("book", 100, {"ladder": mix}, reason="valgrind is not installed")
    assert list(misses_figure(study).data[0].x) == [4.0]
    assert counts_figure(study).data[0].customdata == ("12.0", "4.00")
