"""What each idea is worth: a kernel measured step by step, each beside the step before it, and each alone.

A step changes parameters of the kernel (another variant of a part), the build (target, checks, inlining) or the process
(pinning, huge pages), so every step is an arm with processes of its own, and all arms take turns on one core: see
`workbench.measure.turns`. Two measurements: the path, where each step is switched on besides those before it, and
alone, where each is the only one. In the latter the start stands twice: the difference of a thing from itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.measure import switches
from workbench.measure.ablation_steps import STEPS, Step
from workbench.measure.arms import Arm
from workbench.measure.driver import Report, Request
from workbench.measure.plan import Plan
from workbench.measure.turns import Turns

if TYPE_CHECKING:
    from workbench.record import Run

FIRST = "tick_to_order/baseline"
START, AGAIN, ALONE = "start", "start (again)", " alone"
FIRST_FEATURES = {
    "bounds_checks": True,
    "host_target": False,
    "inlining": False,
    "fast_math": False,
    "pinned": False,
    "huge_pages": False,
    "hints": False,
}
"""What the start is built and run with: checked and portable, and nothing asked of the system."""

OWNED = (
    switches.COMPILER_VARIABLE,
    switches.PROCESS_VARIABLE,
    "NUMBA_BOUNDSCHECK",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "GLIBC_TUNABLES",
)
"""The variables that features set: what the shell says of them must reach no arm, or both sides of a step have it."""

_ABSENT = " could not be had: "  # in a note of the record, between the name of a step and the reason

REPLAYS_PER_RUN = 4
"""Between two turns of an arm all others have used the caches of the core: a run is so many replays of the input, so
that filling them again weighs little."""


@dataclass(frozen=True)
class Stage:
    """One arm: the start, or what it became by some steps."""

    label: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=lambda: dict(FIRST_FEATURES))

    def with_step(self, step: Step, label: str) -> Stage:
        """Return the stage with `step` switched on besides."""
        unknown = [name for name in step.features if name not in FIRST_FEATURES]
        if unknown:
            known = ", ".join(FIRST_FEATURES)
            raise InputError(f"the step {step.name} has no feature {unknown[0]!r}: there are {known}")
        return Stage(label, {**self.parameters, **step.parameters}, {**self.features, **step.features})

    def arm(self) -> Arm:
        """Return the arm that measures this stage."""
        parameters = tuple(sorted(self.parameters.items()))
        environment = tuple(sorted(environment_of(self.features).items(), key=lambda pair: pair[0]))
        return Arm(self.label, environment=environment, parameters=parameters)

    def same_as(self, other: Stage) -> bool:
        """Return whether both are built and run alike."""
        return replace(self, label="") == replace(other, label="")


def environment_of(features: Mapping[str, bool]) -> dict[str, str | None]:
    """Return the variables of a process with these features; None for one that it must not inherit from the shell."""
    off = {"inlining": "no_inlining", "pinned": "unpinned", "huge_pages": "no_huge_pages", "hints": "no_hints"}
    chosen = [switch for name, switch in off.items() if not features[name]]
    made: dict[str, str | None] = dict.fromkeys(OWNED)
    made |= switches.variables([*chosen, *(["fast_math"] if features["fast_math"] else [])])
    made["NUMBA_BOUNDSCHECK"] = "1" if features["bounds_checks"] else "0"
    if not features["host_target"]:
        made |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
    if features["huge_pages"]:
        made["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # glibc from 2.35 on asks for them itself; others ignore it
    return made


@dataclass(frozen=True)
class Ablated:
    """What was measured of which steps. `absent` says by name why a step could not be had here."""

    run: Run
    steps: tuple[Step, ...]
    absent: Mapping[str, str]
    differing: tuple[str, ...] = ()  # labels of arms whose results are not those of the start


def choose_steps(names: Sequence[str] = (), steps: Sequence[Step] = STEPS) -> tuple[Step, ...]:
    """Return the steps called `names`, in the order of the roadmap; all where none is named. Raises InputError."""
    known = {step.name: step for step in steps}
    for name in names:
        if name not in known:
            raise InputError(f"the roadmap has no step {name!r}: it has {', '.join(known)}")
    return tuple(step for step in steps if not names or step.name in names)


def path_of(steps: Sequence[Step]) -> list[Stage]:
    """Return the start, and the stage after each step that can be had here: on the last that is carried."""
    return [Stage(START), *(after for _, after in _taken(steps))]


def _taken(steps: Sequence[Step]) -> Iterator[tuple[Stage, Stage]]:
    """Yield the stage before and the stage after each step."""
    ground = Stage(START)
    for step in steps:
        if not step.absent():
            after = ground.with_step(step, step.name)
            yield ground, after
            ground = after if step.carried else ground


def alone_of(steps: Sequence[Step], path: Sequence[Stage]) -> list[Stage]:
    """Return the start twice, and every step alone. The first of the path is alone there: it is left out here."""
    stages = [Stage(START).with_step(step, step.name + ALONE) for step in steps if not step.absent()]
    others = [stage for stage in stages if not any(map(stage.same_as, path[1:2]))]
    return [Stage(START), Stage(AGAIN), *others] if steps else []


def chosen_alone(alone: str, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return those of `steps` that are measured alone. Raises InputError for a name that is none of theirs."""
    if alone in ("all", "none"):
        return tuple(steps) if alone == "all" else ()
    return choose_steps([name.strip() for name in alone.split(",")], steps)


def pairs_of(steps: Sequence[Step], alone: Sequence[Stage]) -> list[tuple[str, str]]:
    """Return what is compared, by label: each step with what it stands on, first; then alone; then the whole path."""
    pairs = [(before.label, after.label) for before, after in _taken(steps)]
    end = end_of(steps)
    others = [(START, stage.label) for stage in alone[1:]] + [(START, end)] * (end != START)
    return pairs + [pair for pair in others if pair not in pairs]


def end_of(steps: Sequence[Step]) -> str:
    """Return the label of where the path ends: after the last step that is carried."""
    return next((step.name for step in reversed(steps) if step.carried and not step.absent()), START)


def ablate(
    steps: Sequence[Step] = STEPS,
    *,
    workload: str = "",
    settings: Mapping[str, int | str] | None = None,
    seconds: float = 24.0,
    replicates: int = 6,
    alone: str = "all",
    progress: Any = None,
    first: str = FIRST,
    options: Mapping[str, Any] | None = None,
) -> Ablated:
    """Measure `steps` from `first` (kernel/variant) on: along the path, and each alone; `seconds` of each of the two.

    `alone` says which are measured alone too: ``all``, ``none``, or names of steps with commas between them.
    `settings` are parameters of the kernel in every arm, `options` further fields of a `Request`. Raises InputError for
    what cannot be measured, WorkbenchError where a process fails.
    """
    from workbench.measure.progress import choose_progress

    path = path_of(steps)
    if len(path) < 2:
        raise InputError("none of these steps can be had on this machine: there is nothing to measure")
    source: dict[str, Any] = {"input_file" if Path(workload).is_file() else "workload": workload} if workload else {}
    request = Request(
        [first],
        replicates=replicates,
        seconds=seconds,
        parameters=dict(settings or {}),
        **{**source, **(options or {})},
    )
    groups = [path, alone_of(chosen_alone(alone, steps), path)]
    reports, differing = [], []
    for number, stages in enumerate(group for group in groups if len(group) > 1):
        turns = AblationTurns(
            request,
            [stage.arm() for stage in stages],
            progress or choose_progress(),
            first_replicate=number * replicates,
        )
        reports.append(turns.run())
        differing += turns.differing
    pairs = pairs_of(steps, groups[-1])
    run = merged(reports, [(f"{first}@{a}", f"{first}@{b}") for a, b in pairs])
    absent = {step.name: reason for step in steps if (reason := step.absent())}
    told = [f"{name}{_ABSENT}{reason}" for name, reason in absent.items()]
    run = run.model_copy(update={"notes": [*run.notes, *told]})
    return Ablated(run, tuple(steps), absent, tuple(dict.fromkeys(differing)))


def read_back(run: Run, first: str = FIRST, steps: Sequence[Step] = STEPS) -> Ablated:
    """Return an ablation from its record: the steps that it measured, and those that it says could not be had there."""
    labels = {row.variant.rpartition("@")[2] for row in run.results}
    pairs = [note.partition(_ABSENT) for note in run.notes]
    absent = {name: reason for name, found, reason in pairs if found and name in {step.name for step in steps}}
    chosen = tuple(step for step in steps if step.name in labels or step.name in absent)
    told = [note for note in run.notes if " computes something else than " in note]
    differing = tuple(note.removeprefix(f"{first}@").partition(" computes ")[0] for note in told)
    return Ablated(run, chosen, absent, differing)


def merged(reports: Sequence[Report], pairs: Sequence[tuple[str, str]]) -> Run:
    """Return one record of several measurements that share their start."""
    from workbench.measure.runs import build_run

    chosen = {each.name: each for report in reports for each in report.outcomes[0].chosen}
    outcomes = [outcome for report in reports for outcome in report.outcomes]
    outcomes[0] = outcomes[0].model_copy(update={"chosen": list(chosen.values())})
    whole = replace(
        reports[0],
        outcomes=outcomes,
        notes=list(dict.fromkeys(note for report in reports for note in report.notes)),
        duration_s=sum(report.duration_s for report in reports),
    )
    return build_run(whole, pairs)


class AblationTurns(Turns):
    """Arms in turns that are asked, once warm, what they computed: a step that changes results is no optimization."""

    _child = "ablation_child"

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.differing: list[str] = []
        self._told: list[str] = []

    def _measure(self, folder: Path) -> Report:
        report = super()._measure(folder)
        return replace(report, notes=[*report.notes, *self._told])

    def _make_plans(self, children: Sequence[Any], cells: Sequence[Any], clock: Any) -> None:
        planned = set(self._plans)
        super()._make_plans(children, cells, clock)
        for cell in cells:
            if cell.name not in planned:
                plan = self._plans[cell.name]
                blocks = max(2, plan.blocks * plan.repeats // REPLAYS_PER_RUN)
                self._plans[cell.name] = Plan(min(blocks, plan.blocks), max(plan.repeats, REPLAYS_PER_RUN))
                self._note(cell, self._ask(children, "told", [{"name": name} for name in cell.runs]))

    def _note(self, cell: Any, answers: Sequence[Mapping[str, Any]]) -> None:
        """Keep which arms computed something else than the first, and which lie on huge pages."""
        for arm, answer in zip(self._arms, answers, strict=True):
            if answer["digest"] != answers[0]["digest"]:
                self.differing.append(arm.label)
                self._told.append(f"{cell.name}@{arm.label} computes something else than {self._arms[0].label}")
            if answer["huge_bytes"]:
                size = answer["huge_bytes"] // 2**20
                self._told.append(f"{cell.name}@{arm.label}: {size} MB of the process lie on huge pages")
