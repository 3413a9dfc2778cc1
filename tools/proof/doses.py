"""What each variant really does more: its instructions, counted by callgrind, against those of the base."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from proof.arms import CANDIDATES, MODULES, SAME, SUBJECT, TOOLS
from proof.trial import SCHEMA, machine_of
from workbench.errors import WorkbenchError
from workbench.gate.instructions import count_instructions as count
from workbench.gate.instructions import missing
from workbench.measure.driver import Request
from workbench.measure.machine import fingerprint
from workbench.measure.turns import Arm


def count_instructions(say: Callable[[str], None], input_file: str) -> list[dict[str, Any]]:
    """Return one record for each variant with its instructions. Raises WorkbenchError where valgrind is absent."""
    reason = missing()
    if reason:
        raise WorkbenchError(reason)
    names = [SUBJECT, *(each.selector for each in CANDIDATES.values() if each.label != SAME)]
    request = Request(names, replicates=1, seconds=1.0, modules=MODULES[:1], paths=[str(TOOLS)], input_file=input_file)
    found = count(request, [Arm("all", selectors=tuple(names))], names)
    counts = found.by_label["all"]
    if found.notes:
        raise WorkbenchError(found.notes[0])
    base = counts[SUBJECT]
    machine = machine_of(fingerprint())
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    records = []
    for name in names:
        percent = 100 * (counts[name] / base - 1)
        say(f"{name}: {counts[name]:,.0f} instructions, {percent:+.3f} %")
        record = {"schema": SCHEMA, "created": created, **machine, "variant": name}
        records.append({**record, "instructions": counts[name], "more_percent": round(percent, 4)})
    return records
