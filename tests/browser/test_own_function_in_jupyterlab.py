"""A function of one's own in a cell of a fresh notebook, in JupyterLab: the three magics show their answers."""

import shutil

import nbformat
import pytest
from jupyter_lab import chromium, lab_server, open_notebook, run_all
from own_function import write_own_function

pytestmark = [pytest.mark.browser, pytest.mark.notebook]

OVERLAPS = """() => [...document.querySelectorAll(".jp-OutputArea-output thead tr")].filter((row) => {
  const boxes = [...row.children].map((cell) => cell.getBoundingClientRect());
  return boxes.some((box, i) => i && box.left < boxes[i - 1].right - 1);
}).length"""

UNREADABLE = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll(".jp-OutputArea-output div[style] *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(e.textContent.slice(0, 40));
  }
  return bad;
}"""


def test_the_magics_in_jupyterlab(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed, so %%cache cannot run")
    notebook = write_own_function(tmp_path / "own.ipynb")
    with chromium() as browser, lab_server(tmp_path) as (address, token):
        page, outside = open_notebook(browser, address, token, notebook.name)
        assert run_all(page), page.locator(".jp-OutputArea").all_text_contents()
        assert page.evaluate(OVERLAPS) == 0
        assert page.evaluate(UNREADABLE) == []
        line = page.locator(".jp-OutputArea-output summary", has_text="# the line").first
        line.focus()
        page.keyboard.press("Enter")  # the assembly of a line opens without a mouse
        assert page.locator("details[open] pre", has_text="vdiv").first.is_visible()
        page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        page.wait_for_timeout(500)  # the style sheet of the theme arrives after the attribute
        assert page.evaluate(UNREADABLE) == []
        assert outside == []
    saved = nbformat.read(notebook, as_version=4)
    lines, cache, diagnosis = (
        next(output.data for output in cell.outputs if "text/html" in output.get("data", {}))
        for cell in saved.cells[2:]
    )
    assert "spread: same code" in lines["text/html"] and "# the line" in lines["text/plain"]
    assert "simulated" in cache["text/html"] and "L1 misses" in cache["text/plain"]
    assert "division by zero" in diagnosis["text/html"] and "measured" in diagnosis["text/plain"]
