"""From a finished job's folder into the store. Doing it again changes nothing, so a killed batch repeats it safely."""

from __future__ import annotations

from pathlib import Path

from workbench import record
from workbench.batch.job import RESULTS
from workbench.errors import WorkbenchError
from workbench.gate.outcome import read_outcome
from workbench.store import Store


def ingest(folder: Path, store: Store) -> record.Record | None:
    """Keep the results in a finished job's `folder`; save them as a baseline where the job says so and there is none.

    Returns the record, or None when the notebook wrote none. Raises WorkbenchError when the store cannot take it.
    """
    path = folder / RESULTS
    if not path.is_file():
        return None
    try:
        results = record.read(path)
    except record.RecordError as error:
        raise WorkbenchError(str(error)) from None
    store.add(results)
    outcome = read_outcome(folder)
    if outcome is not None and outcome.save_baseline and isinstance(results, record.Run):
        kernels = {result.kernel for result in results.results}
        present = [store.baseline(outcome.save_baseline, kernel, results.machine.hardware_key) for kernel in kernels]
        if not any(present):
            store.save_baseline(outcome.save_baseline, results)
    return results
