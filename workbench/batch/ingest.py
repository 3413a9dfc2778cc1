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

    A profile names its files from the job's folder, so that this may be moved; the store, which lies elsewhere, is told
    where they are. Returns the first record as the folder has it, or None when the notebook wrote none. Raises
    WorkbenchError when the store cannot take it.
    """
    try:
        records = [record.read(path) for path in record_files(folder)]
    except record.RecordError as error:
        raise WorkbenchError(str(error)) from None
    for each in records:
        store.add(_with_whole_paths(each, folder))
    results = next((each for each in records if isinstance(each, record.Run)), None)
    outcome = read_outcome(folder)
    if outcome is not None and outcome.save_baseline and results is not None:
        store.save_baseline(outcome.save_baseline, results, if_absent=True)  # another night may be ingested just now
    return records[0] if records else None


def _with_whole_paths(kept: record.Record, folder: Path) -> record.Record:
    """Return a profile's record with the whole path of each artefact; every other record as it is."""
    if not isinstance(kept, record.ProfileRecord):
        return kept
    return kept.model_copy(update={"artefacts": [str(folder.absolute() / path) for path in kept.artefacts]})
