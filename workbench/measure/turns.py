"""Arms that cannot share a process, as two git revisions, measured in turns.

Every arm has a fresh process in every replicate. All are alive at the same time and pinned to the same core; while one
runs, the others sleep on their pipes, and so does the driver. A block runs each arm once forward and once backward with
the same number of operations, the first arm rotating, as variants do inside one process.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.measure.arms import Arm, Cell, differing_parameters, kernel_of, match_cells
from workbench.measure.driver import Report, Request, Task, changed_code
from workbench.measure.in_arms import InArms
from workbench.measure.other_load import OtherLoad
from workbench.measure.plan import Plan, Trial, balanced_order, choose_plan
from workbench.measure.processes import Child, overlaid

if TYPE_CHECKING:
    from workbench.measure.job import Outcome
    from workbench.measure.turns_job import Built

__all__ = ["Arm", "Turns", "measure_in_turns"]


def measure_in_turns(
    request: Request,
    arms: Sequence[Arm],
    progress: Any,
    *,
    plans: Mapping[str, Plan] | None = None,
    first_replicate: int = 0,
) -> Report:
    """Measure the request's variants in every arm; names in the report are ``kernel/variant@label``.

    `plans`, by kernel/variant, are chosen by the first replicate from trial runs where they are not given; an
    escalation gives those of the measurement before, and its own `first_replicate`. Raises as `Measurement.run`, and
    InputError where arms do not do the same work. To cancel, make a `Turns`.
    """
    return Turns(request, arms, progress, plans=plans, first_replicate=first_replicate).run()


class Turns(InArms):
    """One comparison in turns under way. `run` blocks; `cancel` may be called from another thread."""

    _child = "turns_child"  # the module that an arm's process runs

    def __init__(
        self,
        request: Request,
        arms: Sequence[Arm],
        progress: Any,
        *,
        plans: Mapping[str, Plan] | None = None,
        first_replicate: int = 0,
    ):
        super().__init__(request, arms, progress)
        if len(arms) < 2:
            raise InputError("one arm alone cannot be compared: give two or more")
        if request.memory:
            raise InputError("arms that take turns are not looked at for memory: measure each alone")
        self._plans = dict(plans or {})
        self._first = first_replicate
        self._other_load: list[float | None] = []  # of each replicate

    def _measure(self, folder: Path) -> Report:
        children = self._start(self._child, self._title(0), folder)
        from workbench.measure.machine import fingerprint

        machine = fingerprint(self._source_folder())
        outcomes = []
        for index in range(self._request.replicates):
            if index:
                children = self._start(self._child, self._title(index), folder)
            outcomes.append(self._one_round(children, index, folder))
        notes = list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
        notes += [
            f"{name} had other machine code in some replicates: if its source changed meanwhile, measure again"
            for name in changed_code([outcome.replicate.code_hash for outcome in outcomes])
        ]
        return Report(
            outcomes=outcomes,
            machine=machine,
            phases_s=self._phases,
            first_block_after_s=self._first_block or 0.0,
            duration_s=time.monotonic() - self._began,
            notes=notes,
            memory={},
            other_load_cores=_mean(self._other_load),
        )

    def _one_round(self, children: list[Child], index: int, folder: Path) -> Outcome:
        """Lead the processes of one replicate from their job to their end, and return what came of it."""
        from workbench import record
        from workbench.measure.job import Outcome, Share
        from workbench.measure.turns_job import Built, Calibrated, Closing, Ready

        ready = [Ready.model_validate(answer) for answer in self._answers(children)]
        self._end_phase("start and load workload")
        cells, notes = match_cells(self._request, self._arms, ready)
        self._lock()
        started = datetime.datetime.now(datetime.UTC)
        calibrated = [Calibrated.model_validate(self._ask([child], "calibrate")[0]) for child in children]
        clock = max((each.clock for each in calibrated), key=lambda each: each.floor_ns)
        if clock.source != "tsc":
            notes.append("this machine's time-stamp counter is not invariant: single operations were not timed")
        self._end_phase("measure clock")
        names = [{"names": [cell.runs[i] for cell in cells]} for i in range(len(children))]
        built = [Built.model_validate(answer) for answer in self._ask(children, "build", names)]
        notes += differing_parameters(cells, self._arms, built)
        self._end_phase("build states")
        compiled = self._compile_arms(built, folder) if index == 0 else [[] for _ in children]
        compile_s = self._ask(children, "warm_up", [{"compiled": each} for each in compiled])
        self._end_phase("warm up")
        self._make_plans(children, cells, clock)
        self._begin_blocks()
        others = OtherLoad([child.pid for child in children])
        blocks = self._blocks(children, cells, index)
        self._other_load.append(others.cores())
        closing = [Closing.model_validate(answer) for answer in self._ask(children, "close")]
        self._dismissed(children)
        replicate = record.Replicate(
            index=self._first + index,
            core=calibrated[0].core,
            clock=clock,
            started=started,
            compile_s=self._named(cells, compile_s),
            code_hash=self._named(cells, [each.code_hash for each in closing]),
            peak_rss_bytes=max(each.peak_rss_bytes for each in closing),
            allocations=self._named(cells, [each.allocations for each in closing]),
            blocks=blocks,
        )
        return Outcome(
            replicate=replicate,
            workload=ready[0].workload,
            parameters={cell.kernel: built[0].parameters[kernel_of(cell.runs[0])] for cell in cells},
            chosen=self._chosen(cells),
            operations_per_sample={
                cell.kernel: built[0].operations_per_sample[kernel_of(cell.runs[0])] for cell in cells
            },
            shares={name: Share(blocks=plan.blocks, repeats=plan.repeats) for name, plan in self._plans.items()},
            notes=notes,
        )

    def _compile_arms(self, built: Sequence[Built], folder: Path) -> list[list[tuple[str, float]]]:
        """Compile what the cache lacks for every arm, by as many processes as there are cores; seconds by arm.

        With one core or one build, a process more would gain nothing: the arm compiles it itself.
        """
        tasks: dict[Any, Task] = {}
        for arm, each in zip(self._arms, built, strict=True):
            build = build_of(arm)
            for name, instrumented in each.missing:  # two arms of the same code share what is compiled
                parameters = each.parameters[kernel_of(name)]
                fields = {"parameters": parameters, "instrumented": instrumented}
                task = Task(name, fields, arm.paths, arm.label, arm.environment)
                tasks.setdefault((build, name, instrumented, tuple(sorted(parameters.items()))), task)
        if min(len(os.sched_getaffinity(0)), len(tasks)) < 2:
            return [[] for _ in built]
        took = self._errands("compiling", list(tasks.values()), folder, done=0.0)
        self._end_phase("compile")
        return [[(task.name, found) for task, found in took if task.speaker == arm.label] for arm in self._arms]

    def _make_plans(self, children: Sequence[Child], cells: Sequence[Cell], clock: Any) -> None:
        """Choose how much each cell's blocks do, from trial runs of all arms, where that is not settled yet."""
        from workbench import policy
        from workbench.measure.turns_job import Tried

        for cell in cells:
            if cell.name in self._plans:
                continue
            tried = [
                Tried.model_validate(self._ask([child], "try_out", [{"name": cell.runs[i]}])[0])
                for i, child in enumerate(children)
            ]
            beside = sum(other.kernel == cell.kernel for other in cells)
            seconds = self._request.seconds / self._request.replicates / beside
            least = max(policy.STEPS_PER_RUN * clock.step_ns, policy.CALLS_PER_RUN * max(each.call for each in tried))
            trials = [Trial(each.fastest, each.whole) for each in tried]
            self._plans[cell.name] = choose_plan(
                trials, seconds, least, policy.BLOCKS_PER_REPLICATE, policy.LEAST_BLOCKS
            )

    def _blocks(self, children: Sequence[Child], cells: Sequence[Cell], index: int) -> list[Any]:
        """Run the blocks of all cells in turn, so that a disturbance of seconds hits no cell alone."""
        total = sum(self._plans[cell.name].blocks for cell in cells)
        blocks: list[Any] = []
        for turn in range(max(self._plans[cell.name].blocks for cell in cells)):
            for cell in cells:
                plan = self._plans[cell.name]
                if turn < plan.blocks:
                    rotation = (self._first + index) * plan.blocks + turn
                    blocks.append(self._block(children, cell, plan.repeats, index, len(blocks), rotation))
                    done = (index + len(blocks) / total) / self._request.replicates
                    self._progress.advance(done, f"{self._title(index)}: measure")
        return blocks

    def _block(
        self, children: Sequence[Child], cell: Cell, repeats: int, replicate: int, index: int, rotation: int
    ) -> Any:
        """Run one block: every arm without a probe, forward and backward, then again with the probe."""
        from workbench import record

        order = balanced_order(len(children), rotation)

        def turns(probed: bool) -> list[Any]:
            return [
                self._ask([children[i]], "run", [{"name": cell.runs[i], "repeats": repeats, "probed": probed}])[0]
                for i in order
            ]

        sides = [
            record.Side(
                variant=f"{cell.name}@{self._arms[i].label}",
                place=place,
                operations=cell.operations * repeats,
                **plain,
                **probed,
            )
            for place, (i, plain, probed) in enumerate(zip(order, turns(False), turns(True), strict=True))
        ]
        return record.Block(replicate=self._first + replicate, index=index, sides=sides)

    def _named(self, cells: Sequence[Cell], by_arm: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what each arm told of the variants that it ran, under the names of the report."""
        return {
            f"{cell.name}@{arm.label}": told[cell.runs[i]]
            for cell in cells
            for i, (arm, told) in enumerate(zip(self._arms, by_arm, strict=True))
            if cell.runs[i] in told
        }

    def _chosen(self, cells: Sequence[Cell]) -> list[Any]:
        from workbench.measure.job import Chosen

        return [
            Chosen(kernel=cell.kernel, variant=f"{cell.variant}@{arm.label}", parent=None, peer=cell.peer)
            for cell in cells
            for arm in self._arms
        ]


def build_of(arm: Arm) -> tuple[Any, ...]:
    """Return what decides the machine code of an arm: its folders, and the variables that its cache of code goes by."""
    found = overlaid(dict(arm.environment))
    deciding = sorted((k, v) for k, v in found.items() if k.startswith("NUMBA_") or k == "WORKBENCH_CACHE")
    return (arm.paths, *deciding)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
