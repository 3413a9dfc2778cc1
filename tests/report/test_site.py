"""The site over nights: the newest first, lines of every figure, and one more night costs the same after a thousand."""

import re
import sys

import factory
import pytest
from batch_folders import KEY, SERIES, a_batch, a_job, a_night, a_profile, a_site, measured

import kernels
from workbench.errors import InputError, WorkbenchError
from workbench.gate.outcome import Outcome
from workbench.record import Verdict
from workbench.report.night import Value, night_of
from workbench.report.nights import PART_NIGHTS, Part, newest_nights, place, read_contents, read_part, with_night
from workbench.report.site import WINDOW, add_night, finish_batch, rebuild, rows_of
from workbench.report.view import read_batch_view


def a_measured_batch(folder, created="2026-01-05T01:00:00Z", verdict=Verdict.SLOWER, **machine):
    row = factory.comparison("order_book/aligned@main", "order_book/aligned", 1.08, verdict)
    rows = [row, row.model_copy(update={"metric": "throughput", "statistic": "mean"})]
    run = factory.run(comparisons=rows, with_blocks=False, **machine)
    jobs = [
        a_job(folder, "regression-1", [run], Outcome(headline="x", verdict=verdict), report=False),
        a_job(folder, "lines-1", [a_profile()], measured(), report=False),
    ]
    return a_batch(folder, jobs, created=created)


class _Opened:
    """Counts what is opened below a folder: an audit hook cannot be taken away, so that there is one."""

    def __init__(self):
        self.below, self.files = None, []
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if self.below is not None and event == "open" and str(arguments[0]).startswith(self.below):
            self.files.append((str(arguments[0]), arguments[1]))


OPENED = _Opened()


def cost_of_one_more(site, number, monkeypatch):
    """Return how many files one more night opens, and how many bytes it writes."""
    written = []
    import workbench.report.nights as nights
    import workbench.report.site as pages

    for module in (nights, pages):
        write = module.write_text
        monkeypatch.setattr(
            module, "write_text", lambda path, text, write=write: (written.append(len(text)), write(path, text))
        )
    night = a_night(number)
    monkeypatch.setattr("workbench.report.site.night_of", lambda view: (night, SERIES))
    OPENED.below, OPENED.files = str(site), []
    try:
        add_night(site, None)
    finally:
        OPENED.below = None
    monkeypatch.undo()
    return len(OPENED.files), sum(written)


def test_one_more_night_costs_the_same_after_a_thousand(tmp_path, monkeypatch):
    few, many = a_site(tmp_path / "few", 89), a_site(tmp_path / "many", 999)  # both end in the middle of a month
    few_files, few_bytes = cost_of_one_more(few, 89, monkeypatch)
    many_files, many_bytes = cost_of_one_more(many, 999, monkeypatch)
    assert sum(entry.nights for entry in read_contents(many).parts) == 1000
    assert many_files <= few_files + 1 <= 15
    assert many_bytes < 1.25 * few_bytes, "but for the list of months nothing grows"
    assert (many / "index.html").stat().st_size < 200_000
    assert max(path.stat().st_size for path in (many / "nights").iterdir()) < 200_000


def test_every_night_of_a_thousand_can_be_reached_from_the_first_page(tmp_path):
    site = a_site(tmp_path, 1000)
    first = (site / "index.html").read_text()
    contents = read_contents(site)
    assert all(f'href="nights/{entry.page}.html"' in first for entry in contents.parts)
    assert "1000 nights" in first and "nightly-2026-09-26" in first and "nightly-2024-01-01" not in first
    assert "nightly-2024-01-01" in (site / "nights" / "2024-01.html").read_text()
    middle = (site / "nights" / "2025-03.html").read_text()
    assert 'href="2025-02.html"' in middle and 'href="2025-04.html"' in middle and 'href="../index.html"' in middle


def test_a_batch_becomes_a_night_with_its_figures_and_verdicts(tmp_path):
    first = add_night(tmp_path, read_batch_view(a_measured_batch(tmp_path / "nightly-2026-01-05")))
    page = first.read_text()
    for words in ("SLOWER", "order_book/aligned, p50: +8.0 % (+6.9 % to +9.1 %)", "aligned.py:93", "bench-1"):
        assert words in page, words
    assert 'href="nightly-2026-01-05/index.html"' in page
    night, series = night_of(read_batch_view(tmp_path / "nightly-2026-01-05"))
    named = {(each.variant, each.statistic): night.values[name] for name, each in series.items()}
    mean, tail = named[("aligned", "mean time")], named[("aligned", "p99")]
    assert mean.value == pytest.approx(31.0) and mean.low < 31.0 < mean.high and mean.verdict is Verdict.SLOWER
    assert tail.value == pytest.approx(68.2) and tail.verdict is None, "no p99 was judged"
    assert page.count('class="wb-spark"') == 6 and page.count('class="slower"') == 1


def test_of_two_jobs_that_measured_the_same_the_one_that_judged_counts(tmp_path):
    row = factory.comparison("order_book/aligned@main", "order_book/aligned", 1.08, Verdict.SLOWER)
    judged = row.model_copy(update={"metric": "throughput", "statistic": "mean"})
    runs = {
        "latency-1": factory.run(with_blocks=False, scale=2.0),
        "regression-1": factory.run(comparisons=[judged], with_blocks=False),
    }
    jobs = [a_job(tmp_path / "b", name, [run], measured(), report=False) for name, run in runs.items()]
    night, series = night_of(read_batch_view(a_batch(tmp_path / "b", jobs)))
    name = next(name for name, each in series.items() if (each.variant, each.statistic) == ("aligned", "mean time"))
    assert night.values[name].value == pytest.approx(31.0) and night.values[name].verdict is Verdict.SLOWER


def test_a_night_that_is_resumed_is_brought_up_to_date_in_its_place(tmp_path):
    for day in ("05", "06"):
        folder = a_measured_batch(tmp_path / f"nightly-2026-01-{day}", f"2026-01-{day}T01:00:00Z")
        add_night(tmp_path, read_batch_view(folder))
    jobs = [a_job(tmp_path / "nightly-2026-01-05", "late-1", outcome=measured("late"), report=False)]
    add_night(tmp_path, read_batch_view(a_batch(tmp_path / "nightly-2026-01-05", jobs)))
    part = read_part(tmp_path, "2026-01")
    assert [night.name[-2:] for night in part.nights] == ["05", "06"]
    assert part.nights[0].summary == "1 report: 1 measured." and not part.nights[0].values


def test_a_busy_month_has_several_parts_and_a_night_is_found_in_the_older_one(tmp_path):
    nights = [a_night(0, name=f"plan-{number:03d}", values={}) for number in range(PART_NIGHTS + 2)]
    from workbench.report import nights as stored

    contents = read_contents(tmp_path)
    for night in nights:
        page, part = place(tmp_path, contents, night)
        part = with_night(part, night, {})
        stored.write_part(tmp_path, page, part)
        contents = stored.with_entry(contents, stored.entry_of(page, part))
    assert [(entry.page, entry.nights) for entry in contents.parts] == [("2024-01", PART_NIGHTS), ("2024-01-2", 2)]
    assert place(tmp_path, contents, nights[0])[0] == "2024-01"
    newest = newest_nights(tmp_path, contents, 5)
    assert [night.name for night in newest.nights] == [night.name for night in nights[-5:]]
    stored.write_part(tmp_path, "2024-01", Part(nights=nights[1:PART_NIGHTS]))
    stored.write_part(tmp_path, "2024-01-2", Part(nights=[a_night(0, name=f"x-{n}") for n in range(PART_NIGHTS)]))
    assert place(tmp_path, contents, a_night(9))[0] == "2024-01", "the newest page is full, this one has room again"


def test_a_lost_table_of_contents_is_made_from_the_parts(tmp_path):
    site = a_site(tmp_path, 70)
    before = read_contents(site)
    (site / "nights" / "contents.json").write_text("{")
    assert read_contents(site) == before and len(before.parts) == 3


def test_a_damaged_part_is_told_with_what_to_do(tmp_path):
    site = a_site(tmp_path, 40)
    (site / "nights" / "2024-02.json").write_text('{"schema": "workbench/nights/1", "nights": 3}')
    with pytest.raises(WorkbenchError, match=r"2024-02.json is lost or damaged .* delete it"):
        add_night(site, read_batch_view(a_measured_batch(site / "nightly-2024-02-10", "2024-02-10T01:00:00Z")))


def test_a_rebuild_goes_on_without_a_damaged_part_and_makes_a_deleted_one_anew(tmp_path):
    site = a_site(tmp_path, 40)
    a_measured_batch(site / "nightly-2024-02-10", "2024-02-10T01:00:00Z")
    damaged = site / "nights" / "2024-02.json"
    damaged.write_text("{")
    told = []
    rebuild(site, told.append)
    assert len(told) == 1 and "2024-02.json is lost or damaged" in told[0] and damaged.read_text() == "{"
    assert [(entry.page, entry.nights) for entry in read_contents(site).parts] == [("2024-01", 31), ("2024-02-2", 1)]
    (site / "nights" / "2024-02-2.json").unlink()
    damaged.unlink()
    rebuild(site, told.append)
    assert len(told) == 1, "what was deleted is made anew, although the table of contents still names another"
    assert [night.name for night in read_part(site, "2024-02").nights] == ["nightly-2024-02-10"]


def test_the_newest_nights_are_found_when_an_old_batch_is_added_late(tmp_path, monkeypatch):
    site = a_site(tmp_path, 3)
    full = [a_night(5, name=f"plan-{number:03d}", values={}) for number in range(PART_NIGHTS - 3)]
    late = a_night(0, name="late", created="2024-01-01T00:00:00+00:00", values={})
    for night in (*full, late, a_night(20)):
        monkeypatch.setattr("workbench.report.site.night_of", lambda view, night=night: (night, SERIES))
        add_night(site, None)
    contents = read_contents(site)
    assert [(entry.page, entry.nights) for entry in contents.parts] == [("2024-01", PART_NIGHTS), ("2024-01-2", 2)]
    newest = [night.name for night in newest_nights(site, contents, 3).nights]
    assert newest == ["plan-030", "plan-031", "nightly-2024-01-21"], "the part of the late one begins before all"
    assert "nightly-2024-01-21" in (site / "index.html").read_text()


def test_a_new_month_gets_a_link_from_the_month_before(tmp_path, monkeypatch):
    site = a_site(tmp_path, 31)
    january = site / "nights" / "2024-01.html"
    assert "after: " not in january.read_text()
    night = a_night(31)
    monkeypatch.setattr("workbench.report.site.night_of", lambda view: (night, SERIES))
    add_night(site, None)
    assert 'href="2024-02.html">after: 2024-02' in january.read_text()
    assert 'href="2024-01.html">before: 2024-01' in (site / "nights" / "2024-02.html").read_text()


def test_two_settings_of_one_kernel_are_two_rows_however_many_parameters_it_has(tmp_path):
    names = kernels.catalog()["risk_check"].parameters
    jobs = []
    for threads in (1, 2):
        run = factory.run("risk_check", {"combined": 30.0 * threads}, with_blocks=False)
        given = {each.name: each.default for each in names} | {"threads": threads}
        run = run.model_copy(update={"parameters": {"risk_check": given}})
        jobs.append(a_job(tmp_path / "b", f"regression-{threads}", [run], measured(), report=False))
    night, series = night_of(read_batch_view(a_batch(tmp_path / "b", jobs)))
    rows = rows_of(Part(series=series, nights=[night]), {})
    assert [[cell["newest"] for cell in row.cells] for row in rows] == [["30.0 ns", "66.0 ns"], ["60.0 ns", "132 ns"]]
    assert "40,000 events, threads = 2, " in rows[1].about, "what was chosen stands before the defaults"
    alike = {name: each.model_copy(update={"about": "cut off"}) for name, each in series.items()}
    assert len(rows_of(Part(series=alike, nights=[night]), {})) == 2


def test_a_variant_that_is_gone_keeps_no_badge_and_missing_nights_are_gaps():
    slow = {"a": Value(value=12.0, verdict=Verdict.SLOWER)}
    series = {"a": SERIES["000000000000"]}
    nights = [a_night(0, values=slow), a_night(1, values={}), a_night(2, values=slow), a_night(3, plan="quick.toml")]
    (row,) = rows_of(Part(series=series, nights=nights), {})
    assert (row.verdict, row.last_seen) == (Verdict.SLOWER, ""), "another plan does not measure it"
    line = re.search(r'class="line" d="([^"]*)"', str(row.cells[0]["line"]))[1]
    assert line.count("M") == 2 and "L" not in line, "the pen is lifted over the night that has none"
    (gone,) = rows_of(Part(series=series, nights=[*nights, a_night(4, values={})]), {})
    assert (gone.verdict, gone.last_seen) == (None, "2024-01-03")
    elsewhere = a_night(4, values={}, hardware_keys=["another"])
    assert rows_of(Part(series=series, nights=[*nights, elsewhere]), {})[0].last_seen == ""


def test_a_rebuild_takes_in_what_was_copied_here_and_keeps_the_figures_of_what_is_gone(tmp_path):
    site = a_site(tmp_path, WINDOW)
    a_measured_batch(site / "nightly-2026-01-05")
    page = rebuild(site).read_text()
    assert "31 nights" in page and 'href="nightly-2026-01-05/index.html"' in page
    assert "nightly-2024-01-30" in page and "its folder is gone" in page and 'href="nightly-2024' not in page
    (site / "nightly-2026-01-05" / "batch.json").unlink()
    assert "31 nights" in rebuild(site).read_text() and 'href="nightly-2026-01-05' not in rebuild(site).read_text()
    with pytest.raises(InputError, match="holds no batch"):
        rebuild(tmp_path / "elsewhere")


def test_someone_elses_page_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("<html>my own page")
    with pytest.raises(InputError, match="left as it is"):
        finish_batch(a_measured_batch(tmp_path / "nightly-2026-01-05"))
    assert (tmp_path / "index.html").read_text() == "<html>my own page"


def test_the_end_of_a_batch_writes_the_difference_the_site_and_links_to_both(tmp_path):
    finish_batch(a_measured_batch(tmp_path / "nightly-2026-01-04", "2026-01-04T01:00:00Z"))
    folder = a_measured_batch(tmp_path / "nightly-2026-01-05")
    first = finish_batch(folder)
    index = (folder / "index.html").read_text()
    assert 'href="../index.html"' in index and 'href="diff.html"' in index
    assert 'href="nightly-2026-01-05/diff.html"' in first.read_text()
    assert not (tmp_path / "nightly-2026-01-04" / "diff.html").exists(), "there was none before it"


def test_rows_of_other_machines_and_inputs_stand_apart_and_the_urgent_first(tmp_path):
    calm, slow = Value(value=10.0, verdict=Verdict.UNCHANGED), Value(value=12.0, verdict=Verdict.SLOWER)
    other = SERIES["000000000000"].model_copy(update={"hardware_key": "other", "machine": "ARM, 4 cores"})
    nights = [a_night(0, values={"a": calm}), a_night(1, values={"a": calm, "b": slow})]
    rows = rows_of(Part(series={"a": SERIES["000000000000"], "b": other}, nights=nights), {})
    assert [(row.machine, row.verdict) for row in rows] == [
        ("ARM, 4 cores, other", Verdict.SLOWER),
        (f"AMD EPYC 9R45, 2 cores, {KEY}", Verdict.UNCHANGED),
    ]
    assert [told[0] for told in rows[1].table] == ["2024-01-02", "2024-01-01"], "the newest night stands first"
