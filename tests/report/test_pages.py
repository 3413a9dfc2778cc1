"""Pages show the verdict first, need nothing from outside, and show hostile text as text."""

import json
import re

import factory
import nbformat
import plotly.graph_objects as go
import pytest
from batch_folders import a_figure_cell

from workbench import figures
from workbench.gate.budgets import read_budgets
from workbench.gate.outcome import Outcome, write_outcome
from workbench.record import Verdict
from workbench.report.html import write_report
from workbench.report.index import write_index
from workbench.report.job import read_job_view
from workbench.report.plots import figure_html, script_json

HOSTILE = '<script>alert("1")</script>\u202e' + "x" * 10_000
STATE = {"status": "finished", "started": "2026-01-05T01:00:00Z", "duration_s": 12.0}


def a_job(folder, run=None, outcome=None, state=None, cells=(), **parameters):
    """Fill a job's folder as the runner does."""
    folder.mkdir(parents=True)
    run = run or factory.run()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# How fast?\n\nA question."), *cells])
    nbformat.write(notebook, folder / "executed.ipynb")
    (folder / "results.json").write_text(run.to_json())
    (folder / "params.json").write_text(
        json.dumps({"notebook": "/n/latency.ipynb", "title": "latency", "parameters": parameters, "batch": "b"})
    )
    (folder / "state.json").write_text(json.dumps(state or STATE))
    write_outcome(folder, outcome or Outcome(headline="aligned is the fastest"))
    return folder


def page_of(folder):
    return write_report(folder).read_text()


def outside(page):
    """Return addresses that a browser would fetch; scripts and links between our own files aside."""
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    found = re.findall(r"(?:src|href)=[\"']([^\"']+)[\"']", without_scripts)
    return [address for address in found if re.match(r"(https?:)?//", address)]


def test_the_first_screen_says_verdict_change_interval_and_machine(tmp_path):
    compared = [
        factory.comparison("order_book/ladder@main", "order_book/ladder", 1.01, Verdict.UNCHANGED, metric="throughput"),
        factory.comparison("order_book/aligned@main", "order_book/aligned", 1.08, Verdict.SLOWER),
        factory.comparison("order_book/baseline", "order_book/ladder", 0.25, Verdict.FASTER),
    ]
    outcome = Outcome(headline="order_book/aligned got slower", verdict=Verdict.SLOWER)
    page = page_of(a_job(tmp_path / "b/k/j", factory.run(comparisons=compared), outcome, kernel="order_book"))
    header = page[page.index("<header") : page.index("</header>")]
    for words in ("SLOWER", "order_book/aligned got slower", "+8.0 %", "+6.9 % to +9.1 %", "AMD EPYC 9R45", "bench-1"):
        assert words in header, words
    assert header.index("aligned, p50") < header.index("ladder, mean time"), "what matters most stands first"
    assert "−75 %" not in header, "variants against each other are no regression"
    assert "<h1>How fast?</h1>" in page and page.count("How fast?") == 2


def test_a_page_without_figures_is_small_and_with_figures_holds_plotly_once(tmp_path):
    small = page_of(a_job(tmp_path / "small"))
    assert len(small) < 60_000 and "Plotly" not in small
    cells = [a_figure_cell(figures.latency_percentiles(factory.run(), "order_book")) for _ in range(2)]
    large = page_of(a_job(tmp_path / "large", cells=cells))
    assert len(large) < 7_000_000
    assert large.count("* plotly.js v") == 1 and large.count('class="wb-plot"') == 2
    assert large.count('"showSendToCloud":false') == 1
    for page in (small, large):
        assert outside(page) == []
        assert "Content-Security-Policy" in page and "require" not in page[:2000]


def test_code_is_folded_and_figures_have_names_and_tables(tmp_path):
    page = page_of(a_job(tmp_path / "j", cells=[a_figure_cell(figures.throughput_bars(factory.run(), "order_book"))]))
    assert re.search(r'<details class="wb-code"><summary>\s*Code', page)
    assert 'role="img"' in page and 'aria-label="Throughput of order_book. Longer is faster' in page
    assert "<summary>Data of this figure</summary>" in page and '<th scope="col">variant</th>' in page


def test_a_failure_is_shown_with_its_cell_and_traceback(tmp_path):
    failure = {
        "kind": "exception",
        "sentence": "cell 4 raised it",
        "cell": 4,
        "source": "<b>1/0",
        "traceback": "<i>Trace",
    }
    page = page_of(a_job(tmp_path / "j", state={**STATE, "status": "failed", "failure": failure}))
    assert "FAILED" in page and "in cell 4" in page and "&lt;b&gt;1/0" in page and "&lt;i&gt;Trace" in page


def test_a_job_that_has_nothing_yet_still_has_a_page(tmp_path):
    (tmp_path / "j").mkdir()
    state = {"status": "failed", "failure": {"kind": "killed", "sentence": "it was killed"}}
    assert "it was killed" in write_report(tmp_path / "j", state).read_text()


@pytest.mark.parametrize("where", ["kernel", "host", "headline", "parameter", "failure", "batch"])
def test_hostile_text_is_shown_as_text(tmp_path, where):
    run = factory.run(HOSTILE if where == "kernel" else "order_book", with_blocks=False)
    if where == "host":
        run = factory.run(with_blocks=False, host=HOSTILE, cpu_model=HOSTILE, git_revision=HOSTILE)
    figure = figures.throughput_bars(run, run.results[0].kernel)
    outcome = Outcome(headline=HOSTILE if where == "headline" else "x", findings=[HOSTILE])
    state = STATE
    if where == "failure":
        state = {**STATE, "status": "failed", "failure": {"kind": HOSTILE, "sentence": HOSTILE, "source": HOSTILE}}
    folder = a_job(
        tmp_path / "b" / "k" / "j", run, outcome, state, [a_figure_cell(figure)],
        kernel=HOSTILE if where == "parameter" else "k",
    )  # fmt: skip
    batch = {
        "name": HOSTILE if where == "batch" else "b", "title": HOSTILE if where == "batch" else "", "plan": "p.toml",
        "created": "2026-01-05T01:00:00Z", "machine": run.machine.model_dump(mode="json"), "jobs": ["k/j"],
    }  # fmt: skip
    (tmp_path / "b" / "batch.json").write_text(json.dumps(batch))
    for page in (write_report(folder), write_index(tmp_path / "b", read_budgets())):
        text = page.read_text()
        assert "<script>alert" not in text
        shown = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        shown = re.sub(r'<details class="wb-fold">.*?</details>', "", shown, flags=re.DOTALL)
        if where != "failure":  # source and traceback are shown whole, in a block of their own
            assert "x" * 700 not in shown and "\u202e" not in shown


def test_the_index_puts_what_needs_an_eye_first(tmp_path):
    verdicts = [None, Verdict.UNCHANGED, Verdict.SLOWER, Verdict.FASTER, Verdict.ENVIRONMENT_INVALID]
    names = []
    for place, verdict in enumerate(verdicts):
        names.append(f"k/job-{place}")
        folder = a_job(
            tmp_path / "k" / f"job-{place}", outcome=Outcome(headline=f"finding {place}", verdict=verdict), n=place
        )
        write_report(folder)
    failed = {**STATE, "status": "failed", "failure": {"kind": "timeout", "sentence": "too long"}}
    a_job(tmp_path / "k" / "job-5", state=failed)
    names += ["k/job-5", "k/not-begun"]
    batch = {
        "name": "b", "title": "Nightly", "plan": "", "created": "2026-01-05T01:00:00Z",
        "machine": factory.machine().model_dump(mode="json"), "jobs": names,
    }  # fmt: skip
    (tmp_path / "batch.json").write_text(json.dumps(batch))
    page = write_index(tmp_path, read_budgets()).read_text()
    order = [page.index(word) for word in ("too long", "finding 4", "finding 2", "finding 3")]
    assert order == sorted(order)
    assert "7 reports: 1 failed, 1 environment invalid, 1 slower, 1 faster, 1 measured, 1 unchanged, 1 waiting." in page
    assert 'href="k/job-2/report.html"' in page and "n = 2" in page
    assert "market_data.order_book_update" in page and "stretch met" in page
    assert outside(page) == []


def test_a_damaged_file_does_not_take_the_page_along(tmp_path):
    folder = a_job(tmp_path / "j")
    (folder / "results.json").write_text("{")
    (folder / "params.json").write_text("[]")
    assert read_job_view(folder).run is None
    assert "How fast?" in page_of(folder)


def test_json_in_a_script_cannot_end_it():
    text = script_json({"a": "</script><!-- & \u2028"})
    assert "<" not in text and ">" not in text and json.loads(text)["a"] == "</script><!-- & \u2028"


def test_a_figure_that_is_not_ours_is_drawn_too():
    page = figure_html(json.loads(go.Figure(go.Scatter(x=[1], y=[2])).to_json()), "plot-1")
    assert 'id="plot-1"' in page and "wb-data" not in page
