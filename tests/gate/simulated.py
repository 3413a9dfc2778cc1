"""Gate runs on paper: cells whose processes and blocks scatter as told, put through the whole rule of the gate."""

import numpy as np

from workbench import policy
from workbench.gate.evidence import CONTROL, Cell, Evidence
from workbench.gate.judge import confirm, escalate, invalidate, judge_controls, screen

BLOCKS = 8


def cell(number=0, statistic="mean", kernel="k"):
    metric = "throughput" if statistic == "mean" else "service_time"
    name = f"{kernel}/v{number}"
    return Cell(kernel, f"v{number}", metric, statistic, f"{name}@main", f"{name}@HEAD", f"{name}@main (again)")


def groups(rng, processes, centre=0.0, process_sd=0.008, block_sd=0.01, stray=0.0):
    """Log differences of blocks: a process has its own memory layout; a share `stray` of the blocks is disturbed."""
    made = []
    for _ in range(processes):
        own = centre + rng.normal(0, process_sd)
        blocks = own + rng.normal(0, block_sd, BLOCKS)
        blocks += (rng.random(BLOCKS) < stray) * rng.exponential(0.5, BLOCKS)
        made.append(list(blocks))
    return made


def evidence(rng, which, processes, effect=0.0, same_code=False, drift=0.0, **scatter):
    """`effect` is what the candidate's code costs more, `drift` what the second arm suffers without any reason."""
    margin = policy.margin_for(which.statistic)
    return Evidence(
        which,
        margin,
        groups(rng, processes, np.log1p(effect), **scatter),
        groups(rng, processes, np.log1p(drift), **scatter),
        same_code,
    )


class Simulated:
    """One gate run over cells with these effects (statistic: effect for each variant)."""

    def __init__(self, rng, effects, *, control_effect=0.0, same_code=False, **scatter):
        self.rng, self.scatter, self.same_code = rng, scatter, same_code
        self.cells = [(cell(i, statistic), effect) for i, (statistic, effect) in enumerate(effects)]
        self.control = (cell(0, "mean", CONTROL), control_effect)
        self.controls = []
        self.phases = 0

    def measure(self, names, processes):
        """Return the evidence of one measurement of `names`, after judging its controls."""
        self.phases += 1
        wanted = [(which, effect) for which, effect in self.cells if which.name in names]
        made = [
            evidence(self.rng, which, processes, effect, self.same_code, **self.scatter)
            for which, effect in [*wanted, self.control]
        ]
        self.controls += judge_controls(made)
        return made

    @property
    def moved(self):
        return any(control.flagged for control in self.controls)

    def run(self):
        """Return the final cells, as `workbench.gate.running` comes to them."""
        first = self.measure([which.name for which, _ in self.cells], policy.REPLICATES)
        screening = screen(first)
        if screening.open and not self.moved:
            more = {each.cell.key: each for each in self.measure(screening.open, policy.REPLICATES)}
            pooled = [pool(each, more[each.cell.key]) for each in first if each.cell.key in more]
            screening = escalate(screening, pooled)
        fresh = []
        if screening.flagged and not self.moved:
            fresh = self.measure(screening.flagged, policy.CONFIRMING_REPLICATES)
        return invalidate(confirm(screening, fresh), self.controls)


def pool(first, second):
    return Evidence(
        first.cell,
        first.margin,
        first.differences + second.differences,
        first.again + second.again,
        first.same_code,
    )
