"""One arm of a comparison in turns: a process that prepares, warms up, and then runs what the driver asks it to run.

Run by `workbench.measure.fronted`. Between two turns it sleeps on its pipe, and the other arms do while it runs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workbench import record
from workbench.measure import closed_loop
from workbench.measure.child import Driver
from workbench.measure.clock import measure_clock
from workbench.measure.closed_loop import Subject
from workbench.measure.compiling import uncompiled
from workbench.measure.fronted import check_origin
from workbench.measure.memory import highest_bytes
from workbench.measure.preparing import Prepared
from workbench.measure.replicate import describe, hash_of, pin, warm_up_all
from workbench.measure.turns_job import Built, Calibrated, Closing, Ready, Tried, TurnsJob


def work(text: str, driver: Driver, kind: type[Party] | None = None) -> None:
    """Prepare, then answer each question (``{"do": NAME, ...}``: a method of `Party`, or of a `kind` of it)."""
    job = TurnsJob.model_validate_json(text)
    driver.tell(doing="prepare")
    party = (kind or Party)(job, driver)
    driver.tell(answer=party.ready())
    name = ""
    while name != "close":
        question = json.loads(driver.line())
        name = question.pop("do")
        driver.tell(answer=getattr(party, name)(**question))


class Party:
    """What one arm holds. Each public method answers one question with what becomes JSON."""

    def __init__(self, job: TurnsJob, driver: Driver):
        self._driver = driver
        self._prepared = Prepared(job)
        check_origin([kernel.package for kernel in self._prepared.chosen], job.front)
        self._clock: record.Clock | None = None
        self._subjects: dict[str, Subject] = {}  # by kernel/variant
        self._missing: list[tuple[str, bool]] = []
        self._quiet = contextlib.ExitStack()  # no collection of garbage, from the first trial run on

    def ready(self) -> dict[str, Any]:
        """Tell what was prepared."""
        measure_clock()  # for its code: here the arms load it side by side, later they have one core
        variants = [variant for group in self._prepared.chosen.values() for variant in group]
        inputs = {kernel: self._prepared.input_of(kernel)[1] for kernel in self._prepared.chosen}
        return Ready(
            chosen=[describe(variant) for variant in variants],
            operations={each.full_name: each.kernel.count_operations(inputs[each.kernel]) for each in variants},
            workload=self._prepared.workload,
            notes=self._prepared.notes,
        ).model_dump()

    def calibrate(self) -> dict[str, Any]:
        """Pin this process and measure its clock: asked of one arm after the other, since they share the core."""
        self._driver.tell(doing="measure the clock")
        core = pin()
        self._clock = measure_clock()
        return Calibrated(core=core, clock=self._clock).model_dump()

    def build(self, names: Sequence[str]) -> dict[str, Any]:
        """Build the states of the variants called `names`."""
        self._driver.tell(doing="build states")
        self._prepared.keep(names)
        built = self._prepared.build(self._clock)
        self._missing = uncompiled(built)
        self._subjects = {subject.name: subject for group in built.values() for subject in group}
        parameters = {name: group[0].plain.parameters for name, group in built.items()}
        samples = {each.name: each.operations_per_sample(parameters[each.name]) for each in self._prepared.chosen}
        return Built(missing=self._missing, parameters=parameters, operations_per_sample=samples).model_dump()

    def warm_up(self, compiled: Sequence[tuple[str, float]]) -> dict[str, float]:
        """Load or compile every build and replay; return the seconds of compiling, `compiled` by helpers included."""
        seconds = warm_up_all(list(self._subjects.values()), self._missing, compiled, self._driver)
        self._quiet.enter_context(closed_loop.no_collection())
        self._driver.tell(doing="measure")
        return seconds

    def try_out(self, name: str) -> dict[str, Any]:
        """Run one variant once, for the plan."""
        subject = self._subjects[name]
        call = 0 if subject.variant.peer else closed_loop.shortest_call_ns(subject)
        return Tried(**asdict(closed_loop.try_out(subject)), call=call).model_dump()

    def run(self, name: str, repeats: int, probed: bool) -> dict[str, Any]:
        """Take a turn: run one variant, and return fields of a `record.Side`."""
        subject = self._subjects[name]
        with closed_loop.nothing_compiles([subject]):
            if probed:
                return asdict(closed_loop.time_probed(subject, repeats))
            elapsed, noise = closed_loop.time_plain(subject, repeats)
        return {"elapsed_ns": elapsed, "noise": noise.model_dump()}

    def close(self) -> dict[str, Any]:
        """Tell what is known at the end."""
        everyone = self._subjects.values()
        return Closing(
            peak_rss_bytes=highest_bytes(),
            allocations={s.name: closed_loop.count_allocations(s) for s in everyone if not s.variant.peer},
            code_hash={s.name: hashed for s in everyone if (hashed := hash_of(s.variant))},
        ).model_dump()
