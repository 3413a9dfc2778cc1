"""How a notebook that profiles ends: its profiles become records in the job's folder, its conclusion becomes words.

The first record is ``results.json``, as that of every notebook; further ones are ``records/2.json`` and so on. The
runner stores them all.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import InputError
from workbench.files import write_text
from workbench.gate.outcome import Outcome, write_outcome
from workbench.measure.machine import fingerprint
from workbench.profile.counted import Counted
from workbench.record import Machine, ProfileRecord, Record
from workbench.report.notebook import FOLDER_VARIABLE, Words, job_folder


def conclude_profiles(profiles: Sequence[Counted | Record], outcome: Outcome) -> Words:
    """Write `profiles` and `outcome` into the job's folder, where there is one, and return the words.

    A profile becomes its record; what is a record already, as a run measured beside it, is kept as it is. Without any
    the words alone are written: they say why there is none. The job's folder moves when the job is done, so records
    name the artefacts inside it by their path from there. Raises InputError when the variable that names the folder
    names something else.
    """
    folder = job_folder()
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"{FOLDER_VARIABLE} names {folder}, which is no folder: the runner sets it")
        for number, each in enumerate(profiles, 1):
            kept = each if isinstance(each, Record) else _record_of(each, folder)
            path = folder / "results.json" if number == 1 else folder / "records" / f"{number}.json"
            write_text(path, kept.to_json() + "\n")
        write_outcome(folder, outcome)
    return Words(outcome)


def _record_of(profile: Counted, folder: Path) -> ProfileRecord:
    """Return the record of `profile`; artefacts that lie in `folder` are named by their path from there."""
    inside = [
        str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
        for path in map(Path, profile.artefacts)
    ]
    return profile.to_record(_machine()).model_copy(update={"artefacts": inside})


@functools.cache
def _machine() -> Machine:
    return fingerprint()
