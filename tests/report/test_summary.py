"""The summary for mail and chat: small, no script, no style sheet, the verdict and the line to look at."""

import re

import factory
from batch_folders import a_batch, a_job, a_profile, measured

from workbench.gate.budgets import read_budgets
from workbench.gate.outcome import Outcome
from workbench.record import Verdict
from workbench.report.index import write_index


def a_night(folder, jobs=1, name="order_book/aligned"):
    names = []
    for place in range(jobs):
        row = factory.comparison(f"{name}@main", name, 1.08, Verdict.SLOWER)
        run = factory.run(comparisons=[row], with_blocks=False)
        outcome = Outcome(headline=f"{name} got slower", verdict=Verdict.SLOWER)
        names.append(a_job(folder, f"regression-{place}", [run], outcome, report=False))
    names.append(a_job(folder, "lines-1", [a_profile()], measured(), report=False))
    write_index(a_batch(folder, names), read_budgets())
    return (folder / "summary.md").read_text(), (folder / "summary.html").read_text()


def test_the_summary_says_what_the_first_screen_says(tmp_path):
    markdown, page = a_night(tmp_path / "b")
    for words in (
        "SLOWER",
        "+8.0 % (+6.9 % to +9.1 %)",
        "aligned.py:93",
        "bench-1",
        "2 reports: 1 slower, 1 measured.",
    ):
        assert words in markdown and words in page, words
    assert markdown.startswith("### SLOWER: Nightly") and "order\\_book/aligned" in markdown
    assert str(tmp_path / "b" / "index.html") in markdown


def test_the_html_has_inline_styles_only_and_stays_below_100_kb(tmp_path):
    markdown, page = a_night(tmp_path / "b", jobs=60, name="order_book/" + "<&>" * 3000)
    assert not re.search(r"<(script|style|link|img)\b", page) and "class=" not in page and "href=" not in page
    assert len(page.encode()) < 100_000 and len(markdown.encode()) < 100_000
    assert "and 35 more" in page and "and 35 more" in markdown


def test_a_missed_budget_is_told(tmp_path):
    slow = factory.run(speeds={"baseline": 9_000.0}, with_blocks=False)
    folder = a_batch(tmp_path / "b", [a_job(tmp_path / "b", "latency-1", [slow], measured())])
    write_index(folder, read_budgets())
    assert "budget missed: market\\_data.order\\_book\\_update" in (folder / "summary.md").read_text()
    assert "market_data.order_book_update" in (folder / "summary.html").read_text()
