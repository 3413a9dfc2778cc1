"""The first screen of a batch: verdict, what changed, by how much, on which machine, and the line to look at."""

import json
import re

import factory
from batch_folders import KEY, a_batch, a_job, a_profile, measured

from workbench.gate.outcome import Outcome
from workbench.record import Verdict
from workbench.report.index import FIRST_CHANGES, MOST_CHANGES, MOST_LINKS, write_index
from workbench.report.job import MOST_ARTEFACTS, read_job_view
from workbench.report.lines import look_at, pointers, profile_view
from workbench.report.view import read_batch_view


def slower_run(variant="order_book/aligned"):
    row = factory.comparison(f"{variant}@main", variant, 1.08, Verdict.SLOWER)
    return factory.run(comparisons=[row], with_blocks=False)


def header_of(page):
    return page[page.index("<header") : page.index("</header>")]


def test_a_change_names_the_costliest_line_of_a_profile_in_the_same_batch(tmp_path):
    outcome = Outcome(headline="slower", verdict=Verdict.SLOWER)
    jobs = [
        a_job(tmp_path / "b", "regression-1", [slower_run()], outcome),
        a_job(tmp_path / "b", "lines-1", [a_profile(kind="cache", source="a miss"), a_profile()], measured()),
    ]
    page = write_index(a_batch(tmp_path / "b", jobs)).read_text()
    header = header_of(page)
    for words in ("SLOWER", "order_book/aligned", "+8.0 %", "+6.9 % to +9.1 %", "bench-1", "AMD EPYC 9R45"):
        assert words in header, words
    assert "aligned.py:93" in header and "level = levels[side, place]" in header and "42 % of its cpu profile" in header
    assert "a miss" not in header, "measured time says more than simulated misses"
    assert f'<a href="{KEY}/lines-1/report.html">the profile</a>' in header


def test_without_a_profile_the_timed_function_is_named(tmp_path):
    jobs = [a_job(tmp_path / "b", "regression-1", [slower_run()], Outcome(headline="x", verdict=Verdict.SLOWER))]
    header = header_of(write_index(a_batch(tmp_path / "b", jobs)).read_text())
    assert re.search(r"aligned\.py:\d+", header) and "replay()" in header and "not profiled here" in header
    assert look_at("nobody/knows", {}) is None


def test_only_what_changed_stands_on_the_first_screen(tmp_path):
    rows = [
        factory.comparison("order_book/ladder@main", "order_book/ladder", 1.0, Verdict.UNCHANGED),
        *(
            factory.comparison(f"order_book/v{place}@main", f"order_book/v{place}", 1 + place / 100, Verdict.SLOWER)
            for place in range(8)
        ),
    ]
    run = factory.run(comparisons=rows, with_blocks=False)
    jobs = [a_job(tmp_path / "b", "regression-1", [run], Outcome(headline="x", verdict=Verdict.SLOWER))]
    page = write_index(a_batch(tmp_path / "b", jobs)).read_text()
    header = header_of(page)
    assert header.count("order_book/v") == 6 and "and 2 more" in header and "1 unchanged" in header
    assert header.index("order_book/v7") < header.index("order_book/v6"), "the largest change stands first"
    assert "order_book/ladder" not in header and "order_book/v0" in page


def test_a_failed_job_is_told_on_the_first_screen_with_its_reason(tmp_path):
    failed = {"status": "failed", "failure": {"kind": "timeout", "sentence": "cell 3 took longer than 60 s"}}
    jobs = [a_job(tmp_path / "b", f"latency-{place}", state=failed, title="latency", n=place) for place in range(5)]
    header = header_of(write_index(a_batch(tmp_path / "b", jobs)).read_text())
    assert header.count("cell 3 took longer than 60 s") == 3 and "and 2 more failed" in header
    assert f'href="{KEY}/latency-0/report.html"' in header and "n = 0" in header


def test_what_a_job_made_is_linked_with_its_size_also_in_folders(tmp_path):
    jobs = [a_job(tmp_path / "b", "lines-1", [a_profile()], measured())]
    folder = tmp_path / "b" / KEY / "lines-1"
    (folder / "book.speedscope.json").write_text("{}" * 9000)
    (folder / "memray").mkdir()
    (folder / "memray" / "flame graph.html").write_text("x")
    (folder / ".attempt-1").mkdir()
    page = write_index(a_batch(tmp_path / "b", jobs)).read_text()
    assert f'<a href="{KEY}/lines-1/book.speedscope.json">book.speedscope.json</a> 18 KB' in page
    assert f'href="{KEY}/lines-1/memray/flame%20graph.html"' in page and ".attempt" not in page
    assert read_job_view(folder).artefacts()[-1] == "memray/flame graph.html"


def test_a_job_that_profiled_shows_lines_overhead_and_notes(tmp_path):
    a_job(tmp_path / "b", "lines-1", [a_profile(), a_profile("signals/simd", "cache")], measured("42 % in one line"))
    page = (tmp_path / "b" / KEY / "lines-1" / "report.html").read_text()
    header = header_of(page)
    assert header.index("aligned.py:93") < header.index("aligned.py:94"), "the costliest line stands first"
    assert "slowdown +3.1 %, duration 5 s" in header and "_apply: same code" in header
    assert "signals/simd" in header and "cache profile" in header and "interpreter" not in header
    view = read_job_view(tmp_path / "b" / KEY / "lines-1")
    assert len(view.profiles) == 2 and view.run is None and view.machine.host == "bench-1"


def test_rows_that_are_no_lines_take_nothing_along():
    rows = [{"line": 3}, {"file": "a.py", "line": 3, "share": "much"}]
    view = profile_view(a_profile(results=rows))
    assert [line.place for line in view.lines] == ["a.py:3"] and view.lines[0].share is None
    assert pointers([]) == {}


def test_a_job_is_read_again_only_when_its_files_changed(tmp_path, monkeypatch):
    jobs = [a_job(tmp_path / "b", f"latency-{place}", [factory.run(with_blocks=False)], measured()) for place in (1, 2)]
    folder = a_batch(tmp_path / "b", jobs)
    read_batch_view(folder)
    reads = []
    monkeypatch.setattr("workbench.report.view.read_job_view", lambda path: reads.append(path) or read_job_view(path))
    read_batch_view(folder)
    assert reads == []
    state = folder / jobs[0] / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "duration_s": 99.5}))
    view = read_batch_view(folder)
    assert reads == [folder / jobs[0]] and view.jobs[0].duration_s == 99.5


def test_a_view_holds_no_timed_runs(tmp_path):
    a_job(tmp_path / "b", "latency-1", [factory.run()], measured())
    view = read_job_view(tmp_path / "b" / KEY / "latency-1")
    assert view.run is not None and view.run.results and view.run.replicates == []


def test_a_batch_took_what_the_clock_says_however_many_jobs_ran_at_once(tmp_path):
    def job(name, started, duration_s, **more):
        state = {"started": f"2026-01-05T{started}", "duration_s": duration_s, **more}
        return a_job(tmp_path, name, outcome=measured(), state=state, report=False)

    earlier = {"attempts": [{"started": "2026-01-05T00:59:00", "duration_s": 5.0}, {"started": None}]}
    jobs = [job("a", "01:00:00Z", 600.0, **earlier), job("b", "02:01:00+01:00", 600.0)]
    jobs.append(a_job(tmp_path, "c", state={"status": "waiting", "started": "soon"}, report=False))
    view = read_batch_view(a_batch(tmp_path, jobs))
    assert view.duration_s == 720.0 and [moment.isoformat() for moment in view.span] == [
        "2026-01-05T00:59:00+00:00",
        "2026-01-05T01:11:00+00:00",
    ]
    assert read_batch_view(a_batch(tmp_path, jobs[2:])).duration_s == 0.0


def test_arms_of_one_experiment_are_no_regressions(tmp_path):
    book = "order_book/aligned"
    sides = [(f"{book}@start", f"{book}@step 1"), (f"{book}@1,000 events", f"{book}@10,000 events")]
    sides += [(f"{book}@start", "order_book/ladder"), ("order_book/ladder", book), (f"{book}@main", book)]
    rows = [factory.comparison(*each, 1.5, Verdict.SLOWER) for each in sides]
    run = factory.run(comparisons=rows, with_blocks=False)
    view = read_batch_view(a_batch(tmp_path, [a_job(tmp_path, "roadmap-1", [run], measured(), report=False)]))
    assert [row.a for row in view.jobs[0].regressions] == [f"{book}@main"], "the saved baseline alone was before"
    assert [change.variant for change in view.changes] == [book]


def test_a_batch_of_very_many_changes_and_files_stops_and_says_how_many_more_there_are(tmp_path):
    book, count = "order_book/aligned", FIRST_CHANGES + MOST_CHANGES + 3
    rows = [
        factory.comparison(f"{book}@main", book, 1.0 + place / 100, Verdict.SLOWER) for place in range(1, count + 1)
    ]
    run = factory.run(comparisons=rows, with_blocks=False)
    name = a_job(tmp_path, "regression-1", [run], measured(), report=False)
    for number in range(MOST_ARTEFACTS + 10):
        (tmp_path / name / f"made-{number:03d}.txt").write_text("")
    page = write_index(a_batch(tmp_path, [name])).read_text()
    assert page.count("SLOWER</span></td>") == FIRST_CHANGES + MOST_CHANGES
    assert f"and {MOST_CHANGES + 3} more</a>" in page and "and 3 more, in the reports" in page
    assert page.count(">made-") == MOST_LINKS
    assert f'href="{name}/">and {MOST_ARTEFACTS + 10 - MOST_LINKS} more</a>' in page
