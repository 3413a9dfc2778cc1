"""From what the driver brought back to the record that is stored: figures, comparisons, and the blocks themselves."""

from __future__ import annotations

from collections.abc import Sequence

from workbench import record
from workbench.errors import InputError
from workbench.measure.driver import Report
from workbench.measure.job import Chosen
from workbench.measure.results import compare, memory_rows, results_of


def build_run(report: Report, pairs: Sequence[tuple[str, str]] | None = None) -> record.Run:
    """Return the record of a measurement. `pairs` (A, B as kernel/variant) are compared; None: `default_pairs`."""
    first = report.outcomes[0]
    replicates = [outcome.replicate for outcome in report.outcomes]
    results = [
        result
        for chosen in first.chosen
        for result in results_of(replicates, chosen.name, first.operations_per_sample[chosen.kernel])
    ]
    results += [
        row
        for chosen in first.chosen
        if chosen.name in report.memory
        for row in memory_rows(chosen.name, report.memory[chosen.name])
    ]
    wanted = default_pairs(first.chosen) if pairs is None else pairs
    return record.Run(
        machine=report.machine,
        workload=first.workload,
        parameters=first.parameters,
        results=results,
        comparisons=[row for a, b in wanted for row in compare(replicates, a, b)],
        replicates=replicates,
        notes=report.notes,
        duration_s=report.duration_s,
    )


def peer_pairs(chosen: Sequence[Chosen]) -> list[tuple[str, str]]:
    """Return every variant with every peer of its kernel. Raises InputError where there is no peer, or no variant."""
    pairs = [
        (peer.name, own.name)
        for own in chosen
        if not own.peer
        for peer in chosen
        if peer.peer and peer.kernel == own.kernel
    ]
    if not pairs:
        names = ", ".join(dict.fromkeys(each.kernel for each in chosen))
        raise InputError(f"{names} has no peer that can run here and do this: `workbench list` says why")
    return pairs


def default_pairs(chosen: Sequence[Chosen]) -> list[tuple[str, str]]:
    """Return what each variant is compared with: its kernel's first variant, and its parent when that was measured."""
    pairs: list[tuple[str, str]] = []
    for kernel in dict.fromkeys(each.kernel for each in chosen):
        group = [each for each in chosen if each.kernel == kernel]
        names = {each.variant: each.name for each in group}
        for each in group[1:]:
            pairs.append((group[0].name, each.name))
            if each.parent in names and names[each.parent] != group[0].name:
                pairs.append((names[each.parent], each.name))
    return pairs
