"""The newest stored run of each kernel against a saved baseline: no new measurement, so nothing can be confirmed.

A finding over all cells whose interval lies beyond the margin is SLOWER all the same, and the record says that it was
not confirmed; ``workbench gate --against REVISION`` measures both sides in turns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from workbench import policy
from workbench.errors import InputError
from workbench.gate.baseline import judged_against
from workbench.gate.conclude import conclude, is_selected
from workbench.gate.differences import no_code_change
from workbench.gate.evidence import Arms
from workbench.gate.judge import NO_CODE_CHANGE
from workbench.gate.margins import Margins
from workbench.record import Comparison, Gate, GateCell, Run, Verdict
from workbench.stats.multiplicity import findings
from workbench.store import Store

STATISTICS = ("throughput", "p50", "p99", "p999")
CANDIDATE = "newest"


def gate_newest(
    store: Store,
    hardware_key: str,
    selectors: Sequence[str],
    name: str | None,
    margins: Margins,
    budgets: Sequence[Any] = (),
    budgets_block: bool = False,
) -> Gate:
    """Judge the newest run of each kernel in `selectors` (empty: all of the baseline's) against the baseline `name`.

    A selector is ``kernel`` or ``kernel/variant``. None takes the only baseline there is. Raises InputError, with what
    to do, where either side is missing.
    """
    began = time.monotonic()
    chosen = name or _only_name(store, hardware_key)
    wanted = list(selectors) or _kernels_of(store, chosen, hardware_key)
    runs: dict[str, Run] = {}
    notes = ["the two sides were measured at different times: there is no control, and nothing is confirmed"]
    found: list[tuple[Comparison, float]] = []
    for kernel in dict.fromkeys(selector.partition("/")[0] for selector in wanted):
        baseline = store.baseline(chosen, kernel, hardware_key)
        if not isinstance(baseline, Run):
            raise InputError(
                f"there is no baseline {chosen!r} of {kernel} on this machine: save one by "
                f"`workbench run {kernel} --save-baseline {chosen}`"
            )
        newest = _newest(store, kernel, hardware_key)
        if newest is None or newest.record_id == baseline.record_id:
            raise InputError(
                f"{kernel} was not measured since baseline {chosen!r} was saved: `workbench run {kernel}` measures it"
            )
        if newest.record_id not in runs:
            runs[newest.record_id] = newest
            notes += no_code_change(baseline, newest)
        rows = judged_against(newest, baseline, chosen, STATISTICS, margins)
        own = [(row, p_value) for row, p_value in rows if row.b.split("/")[0] == kernel]
        _check_both(wanted, kernel, [row.b for row, _ in own], chosen)
        found += [(row, p_value) for row, p_value in own if is_selected(row.b, wanted)]
    flagged = findings([p_value for _, p_value in found], policy.FALSE_DISCOVERY)
    last = list(runs.values())
    return conclude(
        other_load_cores=None,
        machine=last[-1].machine,
        mode="baseline",
        labels=Arms(chosen, CANDIDATE),
        commits=(None, last[-1].machine.git_revision),
        cells=[_cell(row, p_value, finding) for (row, p_value), finding in zip(found, flagged, strict=True)],
        controls=[],
        same_code=[],
        unjudged=[],
        budgets=budgets,
        budgets_block=budgets_block,
        runs=last,
        selectors=wanted,
        notes=notes,
        duration_s=time.monotonic() - began,
    )


def _newest(store: Store, kernel: str, hardware_key: str) -> Run | None:
    """Return the newest run of `kernel` that is none of two revisions: those have an @ in the names of variants."""
    return next(iter(store.runs(kernel, 1, hardware_key, revisions=False)), None)


def _check_both(wanted: Sequence[str], kernel: str, judged: Sequence[str], baseline: str) -> None:
    """Raise InputError where nothing among those `judged` is what a selector of `kernel` names."""
    for selector in wanted:
        own = selector.partition("/")[0] == kernel
        if own and not any(is_selected(name, [selector]) for name in judged):
            there = ", ".join(dict.fromkeys(judged)) or "none"
            raise InputError(
                f"{selector} cannot be judged: it has to be both in baseline {baseline!r} and in the newest run of "
                f"{kernel} (in both are {there})"
            )


def _only_name(store: Store, hardware_key: str) -> str:
    names = _names(store, hardware_key)
    if len(names) == 1:
        return names[0]
    if not names:
        raise InputError("no baseline was saved on this machine: `workbench run KERNEL --save-baseline NAME` saves one")
    raise InputError(f"there are several baselines ({', '.join(names)}): name one by --baseline")


def _names(store: Store, hardware_key: str) -> list[str]:
    """Return the names that people gave to baselines of this kind of machine."""
    found = {each.name for each in store.baselines() if each.hardware_key == hardware_key}
    return sorted(found - set(policy.OWN_BASELINES))


def _kernels_of(store: Store, name: str, hardware_key: str) -> list[str]:
    saved = [each for each in store.baselines() if (each.name, each.hardware_key) == (name, hardware_key)]
    if not saved:
        there = ", ".join(_names(store, hardware_key)) or "none yet"
        raise InputError(
            f"there is no baseline {name!r} on this machine (there are {there}): "
            f"`workbench run KERNEL --save-baseline {name}` saves one"
        )
    return list(dict.fromkeys(kernel for each in saved for kernel in each.kernels if kernel))


def _cell(row: Comparison, p_value: float, finding: bool) -> GateCell:
    verdict, reason = row.verdict, row.reason
    same = verdict is Verdict.ENVIRONMENT_INVALID  # it says so of the same machine code only
    if same:
        reason = NO_CODE_CHANGE
    if verdict is Verdict.SLOWER and not finding:
        verdict, reason = Verdict.UNRESOLVED, "its interval says slower, but among so many cells that is no finding"
    return GateCell(
        **row.model_dump(exclude={"verdict", "reason"}),
        verdict=verdict,
        reason=reason,
        p_value=p_value,
        flagged=finding,
        same_code=True if same else None,
    )
