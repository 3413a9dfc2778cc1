"""Instruction counts of both sides, by callgrind: the same to the last digit for the same code and input.

Each side is counted in a process of its own, with its code first on the path, and builds for what valgrind can run: not
the build that is timed. So a change here is a change of the code's work, on any machine, however noisy it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import policy
from workbench.errors import WorkbenchError
from workbench.gate.evidence import Arms
from workbench.gate.margins import Margins
from workbench.record import GateCell, Verdict

if TYPE_CHECKING:
    from workbench.measure.driver import Request
    from workbench.measure.turns import Arm


@dataclass
class Counts:
    """Instructions of one replay, by label and then by kernel/variant; what could not be counted is told in `notes`."""

    by_label: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def missing() -> str | None:
    """Return why instructions cannot be counted here, in one sentence; None when they can."""
    from workbench.profile import callgrind

    return callgrind.missing()


def count_instructions(request: Request, arms: Sequence[Arm], names: Sequence[str]) -> Counts:
    """Count the instructions of one replay of each of `names` (kernel/variant) on each side.

    Where valgrind is absent nothing is counted, and the notes say so. Raises WorkbenchError when a child fails.
    """
    reason = missing()
    if reason:
        return Counts(notes=[f"instructions were not counted: {reason}"])
    counts = Counts()
    with tempfile.TemporaryDirectory(prefix="workbench-gate-") as scratch, contextlib.ExitStack() as running:
        children = []
        for index, arm in enumerate(arms):
            answer = Path(scratch) / f"counts-{index}.json"
            selectors = list(arm.selectors) or list(names)
            job = {
                "setting": request.setting(selectors=selectors),
                "paths": list(arm.paths),
                "events": policy.INSTRUCTION_EVENTS,
                "answer": str(answer),
                "parent": os.getpid(),
            }
            children.append((arm.label, answer, running.enter_context(_child(job))))
        for label, answer, child in children:
            _, told = child.communicate()
            if child.returncode or not answer.is_file():
                lines = told.decode(errors="replace").strip().splitlines()
                raise WorkbenchError(f"{label}: counting instructions failed ({lines[-1] if lines else 'no word'})")
            found = json.loads(answer.read_text(encoding="utf-8"))
            counts.by_label[label] = found["counts"]
            counts.notes += [note for note in found["notes"] if note not in counts.notes]
    return counts


@contextlib.contextmanager
def _child(job: dict[str, Any]) -> Any:
    """Start a process that counts one side; whatever happens, it has ended when the block has."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.gate.instructions_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        process.stdin = None  # `communicate` must not write to it again
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


def instruction_cells(counts: Counts, labels: Arms, margins: Margins) -> list[GateCell]:
    """Return one cell for each variant that was counted on both sides. A count has no interval: it does not scatter."""
    before, after = counts.by_label.get(labels.base, {}), counts.by_label.get(labels.candidate, {})
    return [
        _cell(name, before[name], after[name], labels, margins.of(name.split("/")[0], "instructions", "mean"))
        for name in before
        if name in after and before[name] > 0
    ]


def _cell(name: str, before: float, after: float, labels: Arms, margin: float) -> GateCell:
    ratio = after / before
    verdict = Verdict.UNCHANGED
    if ratio > 1 + margin:
        verdict = Verdict.SLOWER
    elif ratio < 1 / (1 + margin):
        verdict = Verdict.FASTER
    return GateCell(
        a=f"{name}@{labels.base}",
        b=f"{name}@{labels.candidate}",
        metric="instructions",
        statistic="total",
        ratio=ratio,
        low=ratio,
        high=ratio,
        margin=margin,
        verdict=verdict,
        same_code=None,
        blocks=1,
        replicates=1,
        reason=f"{before:,.0f} and {after:,.0f} instructions, counted by callgrind",
    )
