"""Whatever kernels, parameters, hosts, commits and files are called, every page shows it as text, and folds it."""

import re

import factory
import nbformat
import pytest
from batch_folders import KEY, a_batch, a_figure_cell, a_job, a_profile, a_run

from workbench import figures
from workbench.gate.budgets import read_budgets
from workbench.gate.outcome import Outcome
from workbench.record import Verdict
from workbench.report.criteria import Criterion, Evidence, judge
from workbench.report.criteria_page import criteria_html, criteria_markdown
from workbench.report.diff import diff_nights, write_diff
from workbench.report.site import finish_batch
from workbench.report.view import read_batch_view

TEXTS = {
    "script": "<script>alert(1)</script>",
    "quotes": "\"'><img src=x onerror=alert(1)>`|](http://192.0.2.1)",
    "long": "x" * 10_000,
    "right to left": "abc\u202egpj.exe\u2067",
}
PAGES = (
    "night/index.html", f"night/{KEY}/regression-1/report.html", f"night/{KEY}/lines-1/report.html",
    f"night/{KEY}/broken-1/report.html", "night/summary.html", "night/summary.md", "index.html",
    "nights/2026-01.html", "diff.html", "criteria.html", "criteria.md",
)  # fmt: skip
LONGEST = 700  # characters in a row outside of what is folded


def a_world(folder, text):
    """Fill `folder` with two nights in which everything that has a name is called `text`; write every page."""
    machine = factory.machine(host=text, cpu_model=text, git_revision=text, hypervisor=text, versions={"python": text})
    compared = factory.comparison(f"{text}/{text}@main", f"{text}/{text}", 1.08, Verdict.SLOWER, reason=text)
    for name in ("before", "night"):
        run = a_run(number=4).model_copy(update={"comparisons": [compared], "notes": [text], "machine": machine})
        renamed = [row.model_copy(update={"kernel": text, "variant": text}) for row in run.results]
        run = run.model_copy(update={"results": [*run.results, *renamed], "parameters": {text: {text[:50]: 3}}})
        run = run.model_copy(update={"workload": run.workload.model_copy(update={"name": text})})
        row = {"function": text, "file": text, "line": 3, "source": text, "share": 0.5, "width": text, "detail": text}
        profile = a_profile(text, results=[row], notes=[text], overhead={text: 1.0}, machine=machine)
        failed = {
            "status": "failed",
            "failure": {"kind": text, "sentence": text, "cell": 1, "source": text, "traceback": text},
        }
        cells = [
            a_figure_cell(figures.throughput_bars(run, text)),
            nbformat.v4.new_code_cell(
                "1/0", outputs=[nbformat.v4.new_output("error", ename=text, evalue=text, traceback=[text])]
            ),
        ]
        outcome = Outcome(headline=text, verdict=Verdict.SLOWER, findings=[text])
        jobs = [
            a_job(folder / name, "regression-1", [run], outcome, title=text, cells=cells, kernel=text, other=text),
            a_job(folder / name, "lines-1", [profile], Outcome(headline=text), title=text),
            a_job(folder / name, "broken-1", state=failed, title=text),
        ]
        safe = re.sub("[/\x00]", "_", text)[:200]
        (folder / name / KEY / "lines-1" / f"{safe}.html").write_text("made")
        created = "2026-01-04T01:00:00Z" if name == "before" else "2026-01-05T01:00:00Z"
        a_batch(folder / name, jobs, title=text, plan=text, name=text, machine=machine, created=created)
        finish_batch(folder / name, read_budgets())
    sides = [read_batch_view(folder / name) for name in ("before", "night")]
    write_diff(diff_nights(*sides), folder / "diff.html")
    criterion = {"words": text, "metric": "m", "statistic": "s", "below": 1.0, "command": text, "kernel": text}
    evidence = Evidence(2.0, 1.5, 3.0, text, text, text, machine=text)
    judged = judge([Criterion(name=text, **criterion)], lambda *_: evidence, [])
    judged += judge([Criterion(name=text, **criterion)], lambda *_: text, [])
    (folder / "criteria.html").write_text(criteria_html(judged))
    (folder / "criteria.md").write_text(criteria_markdown(judged))
    return folder


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    made = {}

    def world(kind):
        if kind not in made:
            made[kind] = a_world(tmp_path_factory.mktemp("world"), TEXTS[kind])
        return made[kind]

    return world


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", TEXTS)
def test_hostile_text_is_text_on_every_page(worlds, kind, page):
    text = (worlds(kind) / page).read_text()
    if page.endswith(".md"):  # what stands between backticks is text; none of ours ends them
        text = re.sub(r"`[^`]*`", "", text)
        assert "](http:" not in text
    shown = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "<script>alert" not in text and "<img src" not in shown
    assert "\u202e" not in text and "\u2067" not in text
    if kind == "right to left":
        assert "[U+202E]" in text or "\\[U+202E\\]" in text
    elif kind == "long":
        assert "x" * 30 in shown
        outside = re.sub(r'<details class="wb-fold">.*?</details>', "", shown, flags=re.DOTALL)
        outside = re.sub(r"<pre.*?</pre>", "", outside, flags=re.DOTALL)
        assert "x" * LONGEST not in outside
    elif page.endswith(".md"):
        assert "&lt;" in text
    else:
        assert {"script": "&lt;script&gt;alert(1)", "quotes": "&gt;&lt;img src=x"}[kind] in shown
