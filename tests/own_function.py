"""A fresh notebook with a function of one's own in a cell: what both the browser and papermill run."""

import nbformat

DEFINE = """%load_ext workbench
import numba
import numpy as np

@numba.njit
def spread(bids, asks, weights):
    total = 0.0
    for i in range(bids.shape[0]):
        total += (asks[i] - bids[i]) / weights[i]  # the line
    return total

rng = np.random.default_rng(1)
bids, weights = rng.random(40_000), rng.random(40_000) + 0.5
asks = bids + 0.01"""
LINES = "%%lines\nfor _ in range(5_000):\n    spread(bids, asks, weights)"
CACHE = "%%cache\nspread(bids, asks, weights)"
DIAGNOSE = "%%diagnose --seconds 0.1\nspread(bids, asks, weights)"
CELLS = (DEFINE, LINES, CACHE, DIAGNOSE)


def write_own_function(path):
    """Write the notebook, with a kernelspec: JupyterLab asks for one in a dialog otherwise."""
    cells = [nbformat.v4.new_markdown_cell("# A function of my own")]
    cells += [nbformat.v4.new_code_cell(source) for source in CELLS]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path
