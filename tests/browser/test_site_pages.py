"""Every page over batches in a real browser: no request, no complaint, readable in light and dark, none too wide."""

import re
import time

import factory
import plotly.graph_objects as go
import pytest
from batch_folders import KEY, SERIES, a_batch, a_figure_cell, a_job, a_profile, a_run, measured
from batch_folders import a_site as nights_site
from jupyter_lab import chromium
from test_report_pages import CONTRAST, visit

from workbench.gate.budgets import read_budgets
from workbench.gate.outcome import Outcome
from workbench.record import Verdict
from workbench.report.assets import share_assets
from workbench.report.criteria import Criterion, Evidence, judge
from workbench.report.criteria_page import criteria_html
from workbench.report.diff import diff_nights, write_diff
from workbench.report.site import finish_batch
from workbench.report.view import read_batch_view

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TEXT = "\"'><img src=http://192.0.2.1/x onerror=alert(1)><script>alert(2)</script>\u202e" + "x" * 9_000
PAGES = (
    "index.html", "nights/2026-01.html", "nightly-2026-01-05/index.html", "nightly-2026-01-05/diff.html",
    "nightly-2026-01-05/summary.html", f"nightly-2026-01-05/{KEY}/lines-1/report.html",
    f"nightly-2026-01-05/{KEY}/broken-1/report.html", "criteria.html",
)  # fmt: skip
STRUCTURE = """() => {
  const levels = [...document.querySelectorAll("h1,h2,h3,h4")].map((e) => Number(e.tagName[1]));
  const unnamed = [...document.querySelectorAll("svg.wb-spark, .wb-plot, table")].filter(
    (e) => !e.getAttribute("aria-label") && !e.caption).length;
  return {
    first: levels[0],
    jumps: levels.filter((level, at) => at && level > levels[at - 1] + 1).length,
    ones: levels.filter((level) => level === 1).length,
    unnamed,
    wide: document.documentElement.scrollWidth - innerWidth,
    links: [...document.querySelectorAll("a[href]")].filter((e) => !e.textContent.trim()).length,
    language: document.documentElement.lang,
  };
}"""


def a_site(out, text):
    """Write two nights with a regression, a profile and a failure, all of them called `text` where it is given."""
    name = text or "order_book/aligned"
    slower = {**factory.SPEEDS_NS, "aligned": 31.0 * 1.08}
    machine = factory.machine(host=text, cpu_model=text) if text else factory.machine()
    for day, speeds, code in (("04", factory.SPEEDS_NS, "aligned"), ("05", slower, "changed")):
        folder = out / f"nightly-2026-01-{day}"
        share_assets(folder, out)
        row = factory.comparison(f"{name}@main", name, 1.08, Verdict.SLOWER, reason=text)
        run = a_run(speeds, code=code, number=4).model_copy(update={"comparisons": [row], "machine": machine})
        named = [each.model_copy(update={"kernel": name.split("/")[0], "variant": name}) for each in run.results]
        run = run.model_copy(update={"results": [*run.results, *named]})
        slower_than_before = Outcome(headline=text or "x", verdict=Verdict.SLOWER)
        failed = {"status": "failed", "failure": {"kind": "exception", "sentence": text or "it broke", "source": text}}
        jobs = [
            a_job(folder, "regression-1", [run], slower_than_before, title=text or "r"),
            a_job(folder, "lines-1", [a_profile(name, source=text or "a = b")], measured(), title=text or "lines"),
            a_job(folder, "broken-1", state=failed, kernel=text),
        ]
        safe = re.sub("/", "_", text)[:200] or "made"
        (folder / KEY / "lines-1" / f"{safe}.html").write_text("made")
        a_batch(folder, jobs, title=text or "Nightly", created=f"2026-01-{day}T01:00:00Z", machine=machine)
        finish_batch(folder, read_budgets())
    criterion = Criterion(
        name="c", words=text or "Fast", command=text, kernel="k", metric="m", statistic="s", below=1.0
    )
    evidence = Evidence(2.0, 1.5, 3.0, "ns", name, "record", machine=text)
    judged = [*judge([criterion], lambda *_: evidence, []), *judge([criterion], lambda *_: text or "none", [])]
    (out / "criteria.html").write_text(criteria_html(judged))
    return out


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module", params=["plain", "hostile"])
def site(request, tmp_path_factory):
    return a_site(tmp_path_factory.mktemp(request.param), TEXT if request.param == "hostile" else "")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1180), ("dark", 420)])
def test_every_page_is_quiet_readable_and_in_order(browser, site, scheme, width):
    for name in PAGES:
        page, requests, troubles = visit(browser, site / name, scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert requests == [f"file://{site / name}"] and troubles == [], name
        assert page.locator("img, iframe").count() == 0, f"{name}: hostile text became an element"
        found = page.evaluate(STRUCTURE)
        assert found["wide"] <= 0, f"{name} is {found['wide']} pixels too wide at {width}"
        assert (found["first"], found["ones"], found["jumps"], found["unnamed"]) == (1, 1, 0, 0), name
        assert found["links"] == 0 and found["language"] == "en", name
        assert page.evaluate(CONTRAST) == [], name
        page.context.close()


def test_a_person_gets_from_the_nights_to_the_line_by_keyboard(browser, site):
    page, _, troubles = visit(browser, site / "index.html", "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "nightly-2026-01-05/index.html"
    page.keyboard.press("Enter")
    page.wait_for_url("**/nightly-2026-01-05/index.html")
    page.locator("header a", has_text="the profile").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/lines-1/report.html")
    assert page.locator("header code", has_text="aligned.py:93").first.is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('a')).outlineStyle") is not None and troubles == []
    page.context.close()


def test_a_line_over_nights_has_its_data_as_a_table(browser, site):
    page, _, _ = visit(browser, site / "index.html", "dark", script=False)
    row = page.locator(".wb-lines > tbody > tr").first
    row.locator("summary", has_text="Data").click()
    table = row.locator("details table")
    assert table.is_visible() and table.locator("tbody tr").count() == 2
    assert "2 nights" in row.locator("svg").first.get_attribute("aria-label")
    page.context.close()


def test_a_report_with_shared_assets_fetches_that_file_alone_and_draws(browser, tmp_path):
    cell = a_figure_cell(go.Figure(go.Scatter(x=[1, 2], y=[2, 3])))
    file = share_assets(tmp_path / "b")
    a_job(tmp_path / "b", "latency-1", [factory.run(with_blocks=False)], measured(), cells=[cell])
    path = tmp_path / "b" / KEY / "latency-1" / "report.html"
    page, requests, troubles = visit(browser, path, "dark")
    page.wait_for_selector("html[data-figures=drawn]", state="attached")
    assert requests == [f"file://{path}", f"file://{file}"] and troubles == []
    assert page.locator(".wb-plot .main-svg").count() >= 1 and path.stat().st_size < 500_000
    page.context.close()


def test_two_nights_can_be_compared_in_a_page_that_links_both(browser, site):
    views = [read_batch_view(site / f"nightly-2026-01-0{day}") for day in (4, 5)]
    path = write_diff(diff_nights(*views), site / "nights" / "a..b.html")
    page, requests, _ = visit(browser, path, "light")
    assert requests == [f"file://{path}"]
    page.locator(".wb-where a").last.click()
    page.wait_for_url("**/nightly-2026-01-05/index.html")
    page.context.close()


def test_how_long_pages_take_to_open_is_told(browser, tmp_path):
    """With `-s` it prints the times. No limit is asserted: it would be the machine's."""
    series = {f"{name}{place}": each.model_copy(update={"kernel": f"kernel {name}"}) for name in range(6)
              for place, each in SERIES.items()}  # fmt: skip
    many = nights_site(tmp_path / "out", 1000, series)
    cell = a_figure_cell(go.Figure(go.Scatter(x=[1, 2], y=[2, 3])))
    a_job(tmp_path / "alone", "latency-1", [factory.run(with_blocks=False)], measured(), cells=[cell])
    share_assets(tmp_path / "shared")
    a_job(tmp_path / "shared", "latency-1", [factory.run(with_blocks=False)], measured(), cells=[cell])
    report = f"{KEY}/latency-1/report.html"
    pages = {
        "first page of 1,000 nights": many / "index.html",
        "report with plotly.js inside": tmp_path / "alone" / report,
        "report with shared assets": tmp_path / "shared" / report,
    }
    for name, path in pages.items():
        begun = time.monotonic()
        page, _, troubles = visit(browser, path, "light")
        if path.name == "report.html":
            page.wait_for_selector("html[data-figures=drawn]", state="attached")
        took = time.monotonic() - begun
        print(f"{name}: {took:.2f} s, {path.stat().st_size / 1e6:.2f} MB")
        assert troubles == [] and path.stat().st_size < 7_000_000
        page.context.close()
