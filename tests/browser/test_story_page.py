"""The story of a chain in a real browser: one request, no complaint, readable in light and dark, wide and narrow."""

import json

import nbformat
import pytest
from jupyter_lab import chromium
from story_records import CHAIN, COUNTS, HOSTILE, LINES, run_of

from workbench import figures
from workbench.report import story
from workbench.report.html import write_report
from workbench.report.plots import MIME

pytestmark = pytest.mark.browser

UNREADABLE = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const page = light(parse(getComputedStyle(document.body).backgroundColor));
  return [...document.querySelectorAll(".wb-html section *")]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .filter((e) => {
      const [a, b] = [light(parse(getComputedStyle(e).color)), page].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05) < 4.5;
    }).map((e) => e.textContent.slice(0, 40));
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    run = story.with_counts(run_of(), CHAIN, COUNTS)
    shown = [figures.step_costs(run, CHAIN.kernel, CHAIN.all), story.counts_figure(run, CHAIN, COUNTS)]
    outputs = [{MIME: json.loads(figure.to_json())} for figure in shown]
    outputs.append(story.tell_steps(CHAIN, run, LINES, COUNTS)._repr_mimebundle_())
    cells = [nbformat.v4.new_markdown_cell("# What did each optimization buy?")]
    for data in outputs:
        output = nbformat.v4.new_output("display_data", data=data)
        cells.append(nbformat.v4.new_code_cell("story", outputs=[output]))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "executed.ipynb")
    return write_report(folder, {"status": "finished"})


@pytest.mark.parametrize(("scheme", "width"), [("light", 1180), ("dark", 400)])
def test_the_story_asks_for_nothing_and_reads(report, scheme, width):
    with chromium() as browser:
        page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}).new_page()
        requests, troubles = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"file://{report}")
        page.wait_for_selector("html[data-figures=drawn]", state="attached")
        assert requests == [f"file://{report}"] and troubles == []
        assert page.locator(".wb-plot .main-svg").count() >= 2
        assert page.locator(".wb-html section").count() == len(CHAIN.steps)
        assert HOSTILE in page.locator(".wb-html section").last.inner_text() and page.locator("img").count() == 0
        assert page.evaluate(UNREADABLE) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out to the side"
        before, after = page.locator(".wb-html section").last.locator("table", has_text="lines that take most").all()
        beside = after.bounding_box()["y"] == before.bounding_box()["y"]
        assert beside is (width > 1000)
