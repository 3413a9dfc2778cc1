"""Batches on disk as the runner leaves them, made by hand: for tests of every page that is made from them."""

import json

import factory
import nbformat

from workbench.gate.outcome import Outcome, write_outcome
from workbench.record import ProfileRecord
from workbench.report.html import write_report
from workbench.report.plots import MIME

KEY = "5f0c2d7e91ab"  # the hardware key of the factory's machine


def a_job(
    batch,
    name="regression-1",
    records=(),
    outcome=None,
    *,
    state=None,
    cells=(),
    title="regression",
    report=True,
    **given,
):
    """Fill a job's folder below `batch` with `records`, and return its name there; `given` are its parameters."""
    folder = batch / KEY / name
    folder.mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# How fast?\n\nA question."), *cells])
    nbformat.write(notebook, folder / "executed.ipynb")
    for number, record in enumerate(records, 1):
        path = folder / "results.json" if number == 1 else folder / "records" / f"{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(record.to_json())
    params = {"notebook": f"/n/{title}.ipynb", "title": title, "parameters": given, "batch": batch.name}
    (folder / "params.json").write_text(json.dumps(params))
    finished = {"status": "finished", "started": "2026-01-05T01:00:00Z", "duration_s": 12.0, "host": "bench-1"}
    (folder / "state.json").write_text(json.dumps({**finished, **(state or {})}))
    if outcome is not None:
        write_outcome(folder, outcome)
    if report:
        write_report(folder)
    return f"{KEY}/{name}"


def a_figure_cell(figure):
    """Return a code cell whose output is `figure`, as a Jupyter kernel leaves it."""
    output = nbformat.v4.new_output("display_data", data={MIME: json.loads(figure.to_json()), "text/plain": "Figure"})
    return nbformat.v4.new_code_cell("figure", outputs=[output])


def a_batch(folder, jobs, *, created="2026-01-05T01:00:00Z", plan="nightly", title="Nightly", machine=None, name=None):
    """Write the list of `jobs` of the batch in `folder`, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {
        "schema": "workbench/batch/1",
        "name": folder.name if name is None else name,
        "title": title,
        "plan": f"/plans/{plan}.toml",
        "created": created,
        "machine": (machine or factory.machine()).model_dump(mode="json"),
        "jobs": list(jobs),
    }
    (folder / "batch.json").write_text(json.dumps(made))
    return folder


def a_profile(variant="order_book/aligned", kind="cpu", source="level = levels[side, place]", **changes):
    """Return the record of a profile whose costliest line is `source`, line 93 of aligned.py."""

    def row(line, text, share):
        return {
            "function": "_apply", "file": "/work/kernels/order_book/aligned.py", "line": line, "source": text,
            "share": share, "counters": {"samples": 1000 * share}, "width": "scalar", "detail": "2 loads",
            "assembly": [],
        }  # fmt: skip

    values = {
        "machine": factory.machine(),
        "variant": variant,
        "profile_kind": kind,
        "results": [row(94, "sizes[slot] -= size", 0.21), row(93, source, 0.42)],
        "overhead": {"slowdown": 1.031, "duration_s": 5.0, "outside: interpreter": 7.0},
        "notes": ["_apply: same code"],
        "artefacts": ["book.speedscope.json"],
    }
    return ProfileRecord(**{**values, **changes})


def measured(text="all is well", **changes):
    """Return the outcome of a job that only measured, or what `changes` say."""
    return Outcome(headline=text, **changes)


def a_run(speeds=None, *, seed=1, code="aligned", number=7, **machine):
    """Return a run of seven processes a variant, enough for an interval; `code` names aligned's machine code."""
    chosen = speeds or factory.SPEEDS_NS
    run = factory.run("order_book", chosen, seed=seed, with_blocks=False, **machine)
    made = factory.replicates("order_book", chosen, number=number, seed=seed)
    hashed = [
        each.model_copy(update={"code_hash": {**each.code_hash, "order_book/aligned": f"{code:0<16}"}}) for each in made
    ]
    return run.model_copy(update={"replicates": hashed})
