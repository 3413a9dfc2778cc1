"""Batches on disk as the runner leaves them, made by hand: for tests of every page that is made from them."""

import datetime
import json

import factory
import nbformat

from workbench.gate.outcome import Outcome, write_outcome
from workbench.record import ProfileRecord
from workbench.report.html import write_report
from workbench.report.night import Night, Series, Value
from workbench.report.nights import Part, with_night
from workbench.report.plots import MIME
from workbench.report.site import write_all

KEY = "5f0c2d7e91ab"  # the hardware key of the factory's machine
FIRST = datetime.datetime(2024, 1, 1, 1, tzinfo=datetime.UTC)
SERIES = {
    f"{place:012x}": Series(
        hardware_key=KEY, machine="AMD EPYC 9R45, 2 cores", kernel="order_book", variant=f"v{place // 2}",
        statistic=("mean time", "p99")[place % 2], about="synthetic, 40,000 events",
    )
    for place in range(20)
}  # fmt: skip


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


def a_night(number, series=SERIES, **changes):
    """Return night number `number` of a site made by hand, with a value of each of `series`."""
    moment = FIRST + datetime.timedelta(days=number)
    values = {
        "name": f"nightly-{moment:%Y-%m-%d}", "plan": "nightly.toml", "created": moment.isoformat(), "jobs": 8,
        "badge": "UNCHANGED", "summary": "8 reports: 8 unchanged.", "finished": 8, "duration_s": 60.0, "host": "bench",
        "values": {name: Value(value=100.0 + number % 7, low=99.0, high=101.0 + number % 7) for name in series},
    }  # fmt: skip
    return Night(**{**values, **changes})


def a_site(folder, nights, series=SERIES):
    """Write a site of so many nights at once, as a rebuild does."""
    parts = {}
    for number in range(nights):
        night = a_night(number, series)
        month = night.created[:7]
        parts[month] = with_night(parts.get(month, Part()), night, series)
    write_all(folder, parts)
    return folder
