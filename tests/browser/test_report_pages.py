"""A report in a real browser without a network: one request (the file itself), no console error, figures drawn."""

import json
import shutil

import factory
import nbformat
import pytest
from jupyter_lab import LONG_MS

from workbench import figures
from workbench.gate.budgets import judge_budgets, read_budgets
from workbench.gate.outcome import Outcome, write_outcome
from workbench.record import Verdict
from workbench.report.html import write_report
from workbench.report.index import write_index
from workbench.report.plots import MIME

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")
HOSTILE = "<img src=http://192.0.2.1/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=LONG_MS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A batch with one report that holds every figure, of a kernel with a hostile name too."""
    top = tmp_path_factory.mktemp("batch")
    folder = top / "k" / "job"
    folder.mkdir(parents=True)
    compared = [
        factory.comparison(f"order_book/{name}@main", f"order_book/{name}", ratio, verdict)
        for name, ratio, verdict in (("ladder", 1.08, Verdict.SLOWER), ("aligned", 1.0, Verdict.UNCHANGED))
    ]
    run = factory.run(comparisons=compared, host=HOSTILE)
    hostile = factory.run(HOSTILE)
    made = [
        figures.latency_percentiles(run, "order_book"),
        figures.throughput_bars(run, "order_book"),
        figures.comparison_ratios(compared),
        figures.budget_bullets(judge_budgets(read_budgets(), run.results)),
        figures.latency_percentiles(hostile, HOSTILE),
    ]
    cells = [nbformat.v4.new_markdown_cell("# Did it get slower?\n\nA question.")]
    for figure in made:
        output = nbformat.v4.new_output("display_data", data={MIME: json.loads(figure.to_json())})
        cells.append(nbformat.v4.new_code_cell("figure  # a comment", outputs=[output]))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "executed.ipynb")
    (folder / "results.json").write_text(run.to_json())
    params = {"notebook": "/n/regression.ipynb", "title": "regression", "parameters": {"kernel": HOSTILE}, "batch": "b"}
    (folder / "params.json").write_text(json.dumps(params))
    (folder / "state.json").write_text('{"status": "finished", "started": "2026-01-05T01:00:00Z", "duration_s": 9}')
    write_outcome(folder, Outcome(headline=f"{HOSTILE} got slower", verdict=Verdict.SLOWER))
    write_report(folder)
    (top / "batch.json").write_text(
        json.dumps(
            {
                "name": "b",
                "title": "Nightly",
                "plan": "",
                "created": "2026-01-05T01:00:00Z",
                "machine": run.machine.model_dump(mode="json"),
                "jobs": ["k/job"],
            }
        )
    )
    write_index(top, read_budgets())
    return top


def visit(browser, path, scheme, script=True):
    """Open a page; return it with what it asked for and what it complained about."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": 1180, "height": 900}, java_script_enabled=script
    )
    context.set_default_timeout(LONG_MS)
    page = context.new_page()
    requests, troubles = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: troubles.append("a dialog"))
    page.goto(f"file://{path}")
    return page, requests, troubles


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_asks_for_nothing_and_draws_everything(browser, batch, scheme):
    path = batch / "k" / "job" / "report.html"
    page, requests, troubles = visit(browser, path, scheme)
    page.wait_for_selector("html[data-figures=drawn]", state="attached")
    page.wait_for_timeout(300)
    assert requests == [f"file://{path}"]
    assert troubles == []
    plots = page.locator(".wb-plot")
    assert plots.count() == 5 and page.locator(".wb-plot .main-svg").count() >= 5
    assert all(plots.nth(place).get_attribute("aria-label") for place in range(5))
    assert page.locator("img").count() == 0, "hostile text became an element"
    assert HOSTILE in page.locator("header").inner_text()
    assert page.locator("header .wb-badge").first.inner_text() == "SLOWER"
    assert "+8.0 %" in page.locator("header").inner_text()
    assert page.locator("details.wb-code[open]").count() == 0
    page.context.close()


CONTRAST = """() => {
  const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest("script,style,svg")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push([e.className, e.textContent.slice(0, 30), ratio]);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "k/job/report.html"])
def test_every_text_has_the_contrast_of_wcag_aa(browser, batch, scheme, name):
    page, _, troubles = visit(browser, batch / name, scheme)
    assert page.evaluate(CONTRAST) == []
    assert troubles == []
    page.context.close()


def test_the_index_asks_for_nothing_and_leads_to_the_report(browser, batch):
    page, requests, troubles = visit(browser, batch / "index.html", "light")
    assert requests == [f"file://{batch}/index.html"] and troubles == []
    page.click("a:has-text('regression')")
    page.wait_for_selector("html[data-figures=drawn]", state="attached")
    page.click("a:has-text('All reports')")
    assert page.url == f"file://{batch}/index.html"
    page.context.close()


def test_without_javascript_the_tables_still_read(browser, batch):
    page, _, _ = visit(browser, batch / "k" / "job" / "report.html", "light", script=False)
    assert page.locator("details.wb-data").count() == 5
    assert "Figures need JavaScript" in page.content()
    page.locator("details.wb-data summary").first.click()
    assert page.locator("details.wb-data table").first.is_visible()
    page.context.close()
