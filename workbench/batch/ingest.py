"""From a finished job's folder into the store. Doing it again changes nothing, so a killed batch repeats it safely."""

from __future__ import annotations

from pathlib import Path

from workbench import record
from workbench.batch.job import record_files
from workbench.errors import WorkbenchError
from workbench.gate.outcome import read_outcome
from workbench.store import Store


def ingest(folder: Path, store: Store) -> record.Record | None:
    """Keep the records in a finished job's `folder`; save them as a baseline where the job says so and there is none.

    Returns the first record, or None when the notebook wrote none. Raises WorkbenchError when the store cannot take it.
    """
    try:
        records = [record.read(path) for path in record_files(folder)]
    except record.RecordError as error:
        raise WorkbenchError(str(error)) from None
    for each in records:
        store.add(each)
    results = next((each for each in records if isinstance(each, record.Run)), None)
    outcome = read_outcome(folder)
    if outcome is not None and outcome.save_baseline and results is not None:
        kernels = {result.kernel for result in results.results}
        present = [store.baseline(outcome.save_baseline, kernel, results.machine.hardware_key) for kernel in kernels]
        if not any(present):
            store.save_baseline(outcome.save_baseline, results)
    return records[0] if records else None
