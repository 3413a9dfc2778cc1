"""An ablation made by hand: a step that paid, one that made it slower, one that changed nothing, one that is open."""

import factory

from workbench.figures.waterfall import mean_of
from workbench.measure.ablation import FIRST, Ablated, choose_steps
from workbench.record import Result, Verdict

CELL = FIRST
STEPS = choose_steps(["unchecked", "fast_math", "spin_lock", "combined_book", "near_memory"])
COSTS = {"start": 100.0, "unchecked": 50.0, "fast_math": 60.0, "spin_lock": 50.5, "combined_book": 48.0}
COMPARED = (
    ("start", "unchecked", 0.5, Verdict.FASTER),
    ("unchecked", "fast_math", 1.2, Verdict.SLOWER),
    ("unchecked", "spin_lock", 1.01, Verdict.UNCHANGED),
    ("spin_lock", "combined_book", 0.95, Verdict.UNRESOLVED),
    ("start", "start (again)", 1.001, Verdict.UNCHANGED),
    ("start", "fast_math alone", 1.05, Verdict.SLOWER),
    ("start", "spin_lock alone", 0.99, Verdict.UNCHANGED),
    ("start", "combined_book alone", 0.7, Verdict.FASTER),
    ("start", "combined_book", 0.48, Verdict.FASTER),
)


def mean(run, name):
    return mean_of(run, CELL, name)


def row(name, value):
    kernel, _, variant = CELL.partition("/")
    return Result(
        kernel=kernel, variant=f"{variant}@{name}", metric="service_time", statistic="batch_mean", unit="ns",
        value=value, low=value - 1, high=value + 1, samples=1000,
    )  # fmt: skip


def found(changed=None, differing=("fast_math",)):
    """Return it; `changed` replaces verdict and ratio of comparisons, by their labels."""
    rows = []
    for a, b, ratio, verdict in COMPARED:
        ratio, verdict = (changed or {}).get((a, b), (ratio, verdict))
        rows.append(factory.comparison(f"{CELL}@{a}", f"{CELL}@{b}", ratio, verdict, metric="throughput"))
    run = factory.run("tick_to_order", with_blocks=False)
    results = [row(name, value) for name, value in COSTS.items()]
    run = run.model_copy(update={"results": results, "comparisons": rows})
    return Ablated(run, STEPS, {"near_memory": "all memory is equally near"}, differing)
