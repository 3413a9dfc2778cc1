"""Notebooks of a few cells for tests of what runs them."""

import nbformat

from workbench.batch.job import Job

PARAMETERS = "number: int = 5  # how many [items]\nname: str = 'x'  # what it is called\n"
WRITE_RESULTS = """
import os, pathlib, sys
sys.path.insert(0, {tests!r})
import factory
from workbench.gate.outcome import Outcome, write_outcome
folder = pathlib.Path(os.environ["WORKBENCH_JOB_FOLDER"])
(folder / "results.json").write_text(factory.run(with_blocks=False).to_json())
write_outcome(folder, Outcome(headline="all is well", save_baseline={baseline!r}))
"""


def write_notebook(path, *sources, parameters=PARAMETERS):
    """Write a notebook with a title, a parameters cell and `sources`; return its path."""
    cells = [nbformat.v4.new_markdown_cell("# A tiny one")]
    if parameters is not None:
        cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def a_job(notebook, limit_s=400, **parameters):
    return Job(notebook=str(notebook), title=notebook.stem, parameters=parameters, limit_s=limit_s, key="k")
