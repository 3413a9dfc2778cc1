"""How a notebook that profiles ends: its profiles become records in the job's folder, its conclusion becomes words.

The first record is ``results.json``, as that of every notebook; further ones are ``records/2.json`` and so on. The
runner stores them all.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.errors import InputError
from workbench.files import write_text
from workbench.gate.outcome import Outcome, write_outcome
from workbench.measure.machine import fingerprint
from workbench.profile.counted import Counted
from workbench.record import Record
from workbench.report.notebook import FOLDER_VARIABLE, Words, job_folder


def conclude_profiles(profiles: Sequence[Counted | Record], outcome: Outcome) -> Words:
    """Write `profiles` and `outcome` into the job's folder, where there is one, and return the words.

    A profile becomes its record; what is a record already, as a run measured beside it, is kept as it is. Raises
    InputError when there is none, and when the variable that names the folder names something else.
    """
    if not profiles:
        raise InputError("there is no profile to conclude from: give at least one")
    folder = job_folder()
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"{FOLDER_VARIABLE} names {folder}, which is no folder: the runner sets it")
        machine = fingerprint()
        for number, each in enumerate(profiles, 1):
            kept = each if isinstance(each, Record) else each.to_record(machine)
            path = folder / "results.json" if number == 1 else folder / "records" / f"{number}.json"
            write_text(path, kept.to_json() + "\n")
        write_outcome(folder, outcome)
    return Words(outcome)
