"""Two nights against each other: only what is the same job on the same hardware is compared, by the stored runs."""

import factory
import pytest
from batch_folders import a_batch, a_job, a_profile, a_run, measured

from workbench.errors import InputError
from workbench.record import Verdict
from workbench.report.changes import Change
from workbench.report.diff import (
    MOST_ROWS,
    Diff,
    diff_html,
    diff_json,
    diff_lines,
    diff_nights,
    find_night,
    night_before,
)
from workbench.report.view import read_batch_view

SLOWER = {**factory.SPEEDS_NS, "aligned": 31.0 * 1.08}


def a_night(folder, run, *, name="regression-1", source="level = levels[side, place]", machine=None, **batch):
    jobs = [
        a_job(folder, name, [run], measured(), report=False, kernel="order_book"),
        a_job(folder, "lines-1", [a_profile(source=source)], measured(), report=False),
    ]
    return read_batch_view(a_batch(folder, jobs, machine=machine, **batch))


def test_what_got_slower_is_found_and_points_to_its_line(tmp_path):
    before = a_night(tmp_path / "nightly-2026-01-04", a_run())
    after = a_night(tmp_path / "nightly-2026-01-05", a_run(SLOWER, seed=2, code="changed"), source="level = new")
    diff = diff_nights(before, after)
    slower = [change for change in diff.changes if change.verdict is Verdict.SLOWER]
    assert {change.variant for change in slower} == {"order_book/aligned"} and diff.badge == "SLOWER"
    assert slower[0].ratio == pytest.approx(1.08, abs=0.02) and slower[0].low > 1.03
    assert slower[0].pointer.line.source == "level = new"
    assert diff.code == ["The machine code changed in order_book/aligned."]
    assert [(variant, then.line.source) for variant, then, _ in diff.moved] == [
        ("order_book/aligned", "level = levels[side, place]")
    ]
    page = diff_html(diff, after.folder)
    assert 'href="../nightly-2026-01-04/index.html"' in page and 'href="index.html"' in page
    assert page.index("SLOWER") < page.index("order_book/aligned") < page.index("Machine code")
    assert diff_lines(diff)[0].startswith("SLOWER: nightly-2026-01-05 against nightly-2026-01-04.")
    assert diff_json(diff)["results"][0]["verdict"] == "SLOWER"


def test_a_page_of_very_many_changes_stops_and_says_how_many_more_there_are(tmp_path):
    after = a_night(tmp_path / "n-1", a_run())

    def many(verdict, count):
        return [Change(verdict, f"k/v{n}", "p50", 1.1, 1.0, 1.2, "", after.jobs[0], None) for n in range(count)]

    changes = [*many(Verdict.SLOWER, 8 + MOST_ROWS + 3), *many(Verdict.UNCHANGED, MOST_ROWS + 5)]
    notes, code = [f"note {n}" for n in range(MOST_ROWS + 7)], [f"code {n}" for n in range(MOST_ROWS + 9)]
    page = diff_html(Diff(after, after, changes, [], notes, code), tmp_path)
    assert page.count(">k/v") == 8 + 2 * MOST_ROWS and page.count("<li>") == 2 * MOST_ROWS
    assert f"and {MOST_ROWS + 3} more</a>" in page
    for left in (3, 5, 7, 9):
        assert f"and {left} more, in " in page
    few = diff_html(Diff(after, after, many(Verdict.SLOWER, 9), [], notes[:1], []), tmp_path)
    assert "and 1 more</a>" in few and " more, in " not in few and few.count(">k/v") == 9


def test_the_same_night_again_is_unchanged(tmp_path):
    before, after = (a_night(tmp_path / f"n-{place}", a_run(seed=place)) for place in (1, 2))
    diff = diff_nights(before, after)
    assert diff.changes and {change.verdict for change in diff.changes} == {Verdict.UNCHANGED}
    assert diff.badge == "UNCHANGED" and diff.code == [] and diff.moved == []


def test_other_hardware_is_told_and_never_compared(tmp_path):
    before = a_night(tmp_path / "n-1", a_run())
    other = factory.machine(hardware_key="aaaaaaaaaaaa", host="bench-2")
    name = a_job(tmp_path / "n-2", "regression-1", [a_run(SLOWER)], measured(), report=False)
    moved = tmp_path / "n-2" / "aaaaaaaaaaaa"
    (tmp_path / "n-2" / name).parent.rename(moved)
    after = read_batch_view(a_batch(tmp_path / "n-2", ["aaaaaaaaaaaa/regression-1"], machine=other))
    diff = diff_nights(before, after)
    assert diff.changes == [] and diff.badge == "NOTHING COMPARED"
    assert any("other hardware, aaaaaaaaaaaa" in note for note in diff.notes)
    assert any("host: bench-1 -> bench-2" in note for note in diff.notes)
    assert "No run of the two nights could be compared" in diff_html(diff, tmp_path)


def test_other_input_is_told_and_never_compared(tmp_path):
    run = a_run(SLOWER)
    other = run.model_copy(update={"workload": run.workload.model_copy(update={"sha256": "1" * 64})})
    diff = diff_nights(a_night(tmp_path / "n-1", a_run()), a_night(tmp_path / "n-2", other))
    assert diff.changes == [] and any("was measured on other input" in note for note in diff.notes)


def test_a_job_of_one_night_alone_is_told(tmp_path):
    before = a_night(tmp_path / "n-1", a_run(), name="old-1")
    diff = diff_nights(before, a_night(tmp_path / "n-2", a_run(), name="new-1"))
    assert [note.split(" alone has ")[0] for note in diff.notes] == ["n-1", "n-2"] and diff.changes == []


def test_a_night_is_found_by_name_by_its_beginning_and_by_path(tmp_path):
    for day in (4, 5):
        a_batch(tmp_path / f"nightly-2026-01-0{day}", [])
    assert find_night("nightly-2026-01-05", tmp_path).name == "nightly-2026-01-05"
    assert find_night(str(tmp_path / "nightly-2026-01-04"), tmp_path / "elsewhere").name == "nightly-2026-01-04"
    with pytest.raises(InputError, match="several nights"):
        find_night("nightly", tmp_path)
    with pytest.raises(InputError, match="no night 'weekly': the newest there are nightly-2026-01-04, nightly"):
        find_night("weekly", tmp_path)


def test_the_night_before_is_the_newest_earlier_one_of_the_same_plan(tmp_path):
    for name in ("nightly-2026-01-02", "nightly-2026-01-04", "nightly-2026-01-06", "quick-2026-01-04"):
        a_batch(tmp_path / name, [])
    view = read_batch_view(a_batch(tmp_path / "nightly-2026-01-05", []))
    assert night_before(view).name == "nightly-2026-01-04"
    assert night_before(read_batch_view(tmp_path / "nightly-2026-01-02")) is None
