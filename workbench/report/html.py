"""An executed notebook as one self-contained page: the verdict first, then the evidence, with the code folded away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from workbench.files import write_text
from workbench.report import page
from workbench.report.assets import shared_script
from workbench.report.changes import changes
from workbench.report.job import JobView, read_job_view
from workbench.report.lines import profile_view
from workbench.report.plots import page_scripts, replace_figures

FIRST_ROWS = 6  # comparisons on the first screen; the rest is in the figure below
REPORT = "report.html"


def write_report(folder: Path, state: Mapping[str, Any] | None = None, index: str | None = "../../index.html") -> Path:
    """Write ``report.html`` for the job in `folder` and return its path.

    `state` replaces what ``state.json`` says; `index` is the address of the batch's index, None outside a batch. A job
    that failed before it had a notebook gets a page too.
    """
    job = read_job_view(folder, state)
    executed = folder / "executed.ipynb"
    notebook = nbformat.read(executed, as_version=4) if executed.is_file() else nbformat.v4.new_notebook()
    path = folder / REPORT
    write_text(path, report_html(notebook, job, index, shared_script(folder)))
    return path


def report_html(notebook: Any, job: JobView, index: str | None = None, shared: str | None = None) -> str:
    """Return the page of `notebook`, which is changed on the way, with the header of `job`.

    `shared` is the address of a copy of plotly.js beside the page; None: a page with figures holds one.
    """
    from nbconvert import HTMLExporter

    title = _take_title(notebook) or job.name
    figures = replace_figures(notebook)
    _show_marks(notebook)
    exporter = HTMLExporter(
        template_name="workbench", extra_template_basedirs=[str(page.TEMPLATES)], anchor_link_text="", embed_images=True
    )
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    resources = {
        "workbench": {
            "title": title,
            "policy": page.SHARED_POLICY if shared and figures else page.POLICY,
            "style": page.text("style.css"),
            "header": _header(job, title, index, figures),
            "scripts": page_scripts(page.text("figures.js"), shared) if figures else "",
        }
    }
    body, _ = exporter.from_notebook_node(notebook, resources)
    return str(body)


def _header(job: JobView, title: str, index: str | None, figures: int) -> str:
    """Return the first screen: verdict, what changed, by how much with the interval, on which machine."""
    rows = changes([job])
    facts = list(page.machine_facts(job.machine)) if job.machine else []
    if job.run:
        workload = job.run.workload
        facts.insert(1, ("input", f"{workload.name}, {workload.events:,} events, {_symbols(workload.symbols)}"))
    if job.state.get("started"):
        took = page.duration(job.duration_s)
        facts.append(("measured", f"{str(job.state['started'])[:16].replace('T', ' ')} UTC, took {took}"))
    return page.render(
        "header.html.j2",
        job=job,
        title=title,
        kernel=_parameters(job).get("kernel", ""),
        index=index,
        batch=job.params.get("batch") or "this batch",
        failure=job.state.get("failure") if job.status == "failed" else None,
        rows=rows[:FIRST_ROWS],
        more=len(rows) - FIRST_ROWS if len(rows) > FIRST_ROWS else 0,
        facts=facts,
        profiles=[profile_view(profile) for profile in job.profiles],
        artefacts=job.artefacts(),
        figures=figures,
    )


def _parameters(job: JobView) -> Mapping[str, Any]:
    given = job.params.get("parameters")
    return given if isinstance(given, dict) else {}


def _symbols(number: int) -> str:
    return "1 symbol" if number == 1 else f"{number:,} symbols"


def _show_marks(notebook: Any) -> None:
    """Make visible, in place, what would turn the direction of a line around: an output may show any file's content."""
    for cell in notebook.cells:
        cell.source = page.show_marks(cell.source)
        for output in cell.get("outputs", []):
            if isinstance(output.get("text"), str):
                output["text"] = page.show_marks(output["text"])
            if "traceback" in output:
                output["traceback"] = [page.show_marks(str(line)) for line in output["traceback"]]
            for kind, data in output.get("data", {}).items():
                if kind.startswith("text/") and isinstance(data, str):
                    output["data"][kind] = page.show_marks(data)


def _take_title(notebook: Any) -> str | None:
    """Take the title out of the first Markdown cell: it becomes the page's."""
    for cell in notebook.cells[:2]:
        if cell.cell_type == "markdown" and (match := re.match(r"\s*#\s+(.+?)\s*(?:\n|$)", cell.source)):
            cell.source = cell.source[match.end() :]
            return match.group(1)
    return None
