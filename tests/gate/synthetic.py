"""A machine on paper: it answers what a gate asks of the driver, with times that are told beforehand."""

import datetime
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory

from workbench import record
from workbench.measure.codes import VariantCode
from workbench.measure.driver import Report
from workbench.measure.job import Chosen, Outcome, Share
from workbench.measure.turns_job import Code

NOW = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
OPERATIONS = 100_000


class Silent:
    def note(self, text):
        pass

    def advance(self, done, doing):
        pass

    def close(self):
        pass


class Machine:
    """`speeds` has ns per operation by kernel/variant, as (base, candidate); `drift` is what the second base suffers.

    `later` replaces `speeds` from the given measurement on (0 is the first): {1: {...}}.
    """

    def __init__(
        self, speeds, *, same=(), drift=1.0, later=None, scatter=0.003, failures=None, gone=(), load=None, seed=1
    ):
        self.speeds, self.same, self.drift, self.later = speeds, set(same), drift, later or {}
        self.scatter, self.failures, self.gone = scatter, failures or {}, gone
        self.load = load or {}  # cores that other programs keep busy, by measurement
        self.random = random.Random(seed)
        self.asked = []  # (selectors, replicates, labels) of each measurement

    def look(self, request, arms, progress):
        codes = []
        for name in self.speeds:
            both = ("same", "same") if name in self.same else ("old", "new")
            found = [Code(source="", hash=each, functions={"inner": each, "outer": "same"}) for each in both]
            if name in self.failures:
                found[1] = Code(failure=self.failures[name])
            if name in self.gone:
                found[1] = None
            codes.append(VariantCode(name, tuple(found)))
        return codes, ["looked"]

    def measure(self, request, arms, progress, shares, first_replicate):
        phase = len(self.asked)
        self.asked.append((list(request.selectors), request.replicates, [arm.label for arm in arms], dict(shares)))
        speeds = {**self.speeds, **self.later.get(phase, {})}
        costs = {}
        for name in request.selectors:
            base, candidate = speeds.get(name, (300.0, 300.0))
            costs[name] = (base, base * (1.0 if name.startswith("gate_control/") else self.drift), candidate)
        outcomes = [self._outcome(costs, arms, first_replicate + i) for i in range(request.replicates)]
        return Report(outcomes, factory.machine(), {}, 0.0, 1.0, ["measured"], {}, self.load.get(phase, 0.02))

    def _outcome(self, costs, arms, index):
        blocks = []
        for name, by_arm in costs.items():
            own = [cost * (1 + self.random.gauss(0, self.scatter)) for cost in by_arm]
            for _ in range(4):
                places = [0, 1, 2, 2, 1, 0]
                sides = [
                    record.Side(
                        variant=f"{name}@{arms[i].label}",
                        place=place,
                        operations=OPERATIONS,
                        elapsed_ns=int(own[i] * OPERATIONS * (1 + self.random.gauss(0, self.scatter))),
                    )
                    for place, i in enumerate(places)
                ]
                blocks.append(record.Block(replicate=index, index=len(blocks), sides=sides))
        hashes = {
            f"{name}@{arm.label}": "new" if arm is arms[-1] and name not in self.same and name in self.speeds else "old"
            for name in costs
            for arm in arms
        }
        replicate = record.Replicate(
            index=index, core=1, clock=factory.CLOCK, started=NOW, code_hash=hashes, peak_rss_bytes=1, blocks=blocks
        )
        chosen = [
            Chosen(kernel=name.split("/")[0], variant=f"{name.split('/')[1]}@{arm.label}", parent=None, peer=False)
            for name in costs
            for arm in arms
        ]
        return Outcome(
            replicate=replicate,
            workload=factory.run(with_blocks=False).workload,
            parameters={},
            chosen=chosen,
            operations_per_sample={name.split("/")[0]: 1 for name in costs},
            shares={name: Share(blocks=4, repeats=1) for name in costs},
        )
