"""What the tour calls: what there is, two variants compared, their lines, a diagnosis, a gate; and the finding."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.figures.text import number, plain
from workbench.gate.outcome import Outcome
from workbench.measure.arms import Arm
from workbench.measure.codes import VariantCode
from workbench.measure.driver import Request
from workbench.record import Comparison, Gate, Run, Verdict
from workbench.report.cell_progress import cell_progress
from workbench.report.findings import comparison_sentence, find
from workbench.report.notebook import Words, conclude, job_folder
from workbench.report.tables import Listing

if TYPE_CHECKING:
    from workbench.profile.diagnosis.examine import Diagnosis
    from workbench.profile.profile import Profile

LINES = 8  # lines shown of a profile


def catalog(kernel: str = "") -> Listing:
    """Return every kernel with its variants; of `kernel` alone each variant with its idea."""
    import kernels

    if kernel:
        found = kernels.get(kernel).variants.values()
        rows = [(each.name, each.parent or ("a peer's code" if each.peer else ""), each.idea) for each in found]
        return Listing(("variant", "from", "idea"), tuple(rows), kernels.get(kernel).title)
    every = [
        (name, each.title, ", ".join(variant.name for variant in each.variants.values() if not variant.peer))
        for name, each in kernels.catalog().items()
    ]
    return Listing(("kernel", "what it does", "variants"), tuple(every), "The kernels that ship")


def compare(kernel: str, first: str, second: str, *, seconds: float = 3.0, replicates: int = 6) -> Run:
    """Measure two variants interleaved; the second is compared with the first."""
    from workbench.measure.api import measure

    return measure(
        kernel, [first, second], seconds=seconds, replicates=replicates, pairs=[(first, second)], memory=False,
        progress=cell_progress(job_folder()),
    )  # fmt: skip


def lines(kernel: str, variant: str, *, seconds: float = 1.0) -> Lines:
    """Sample one variant; where this system cannot sample, the reason is shown in place of the lines."""
    from workbench.profile.cpu import profile_cpu

    try:
        return Lines(profile_cpu(kernel, variant, seconds=seconds), f"{kernel}/{variant}")
    except WorkbenchError as error:
        return Lines(None, f"{kernel}/{variant}", str(error))


@dataclass(frozen=True)
class Lines:
    """The costliest lines of a variant, or why there are none."""

    profile: Profile | None
    variant: str
    reason: str = ""

    def rows(self) -> list[tuple[str, str, str, float]]:
        """Return file and line, source, function and share of the samples, most first."""
        if self.profile is None:
            return []
        shares = self.profile.shares_by_source()
        examples = {(line.file, line.line): line for line in self.profile.counters}
        ranked = sorted(shares, key=lambda key: (-shares[key], key))[:LINES]
        return [
            (f"{key[0].rpartition('/')[2]}:{key[1]}", self.profile.source(examples[key]).strip(),
             examples[key].function, shares[key])
            for key in ranked
        ]  # fmt: skip

    def _listing(self) -> Listing:
        told = tuple((place, source, f"{100 * share:.0f} %") for place, source, _, share in self.rows())
        return Listing(("line", "source", "of the time"), told, f"Where {self.variant} spends its time", (2,))

    def __str__(self) -> str:
        return f"Lines of {self.variant} are not shown: {self.reason}" if self.reason else str(self._listing())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self))}</p>" if self.reason else self._listing()._repr_html_()


def quotes(count: int = 4096) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sizes at the best bid and ask (float64), and room for a result, for the function of the tour."""
    random = np.random.default_rng(1)
    return random.uniform(100, 900, count), random.uniform(100, 900, count), np.empty(count)


def gate(kernel: str, base: str, candidate: str, *, seconds: float = 3.0, replicates: int = 6) -> Gated:
    """Let the gate judge a change that puts the variant `candidate` in the place of `base`."""
    from workbench.gate.running import Gate as Running
    from workbench.gate.running import Options

    request = Request([f"{kernel}/{base}"], replicates=replicates, seconds=seconds)
    sides = Arm("before"), Arm("after", selectors=(f"{kernel}/{candidate}",))
    running = Running(request, *sides, Options(), lambda: cell_progress(job_folder()), look=_planted)
    return Gated(running.run().gate)


def _planted(request: Request, arms: Sequence[Arm], progress: Any) -> tuple[list[VariantCode], list[str]]:
    """Return the machine code of what each arm runs under the one name of `request`, as one variant that changed."""
    from workbench.measure.codes import codes_in_arms

    found, notes = codes_in_arms(request, arms, progress)
    own = [next((code.codes[i] for code in found if code.codes[i] is not None), None) for i in range(len(arms))]
    return [VariantCode(request.selectors[0], tuple(own))], notes


@dataclass(frozen=True)
class Gated:
    """What a gate said. Displays itself as the command's table."""

    gate: Gate

    def __str__(self) -> str:
        from workbench.gate.words import text

        return text(self.gate)

    def __repr__(self) -> str:
        return str(self)


def conclude_tour(run: Run, kernel: str, sampled: Lines, diagnosis: Diagnosis, judged: Gated) -> Words:
    """Write the results, and return what the five minutes have shown, in words."""
    return conclude(run, tour_outcome(run, kernel, sampled, diagnosis, judged.gate))


def tour_outcome(run: Run, kernel: str, sampled: Lines, diagnosis: Any, judged: Gate) -> Outcome:
    """Return the comparison, the costliest line, the diagnosis's first finding and the gate's verdict."""
    means = [row for row in run.comparisons if row.metric == "throughput"]
    if not means:
        return Outcome(headline=f"No two variants of {plain(kernel)} were compared.")
    findings = [comparison_sentence(row) for row in run.comparisons]
    findings += [_lines_said(run, kernel, sampled), _diagnosed(diagnosis), _gated(judged)]
    return Outcome(headline=_headline(means[0]), findings=[each for each in findings if each])


def _headline(row: Comparison) -> str:
    a, b = (plain(name.rpartition("/")[2]) for name in (row.a, row.b))
    if row.verdict is Verdict.FASTER:
        return (
            f"{b} is {1 / row.ratio:.3g} times as fast as {a}, and it is sure: {row.low:.3f} to {row.high:.3f} in cost."
        )
    return f"{b} is {row.verdict.value.lower()} against {a}: cost {row.ratio:.3f}, {row.low:.3f} to {row.high:.3f}."


def _lines_said(run: Run, kernel: str, sampled: Lines) -> str:
    found = sampled.rows()
    if not found:
        return f"Lines are not shown: {sampled.reason or 'nothing was sampled'}."
    place, source, _, share = found[0]
    mean = find(run, kernel, sampled.variant.rpartition("/")[2], "service_time", "batch_mean")
    spent = f", {number(share * mean.value, 'ns')} of {number(mean.value, 'ns')} an operation" if mean else ""
    told = f"{100 * share:.0f} % of the samples{spent} ({plain(source, 80)})"
    return f"The costliest line of {plain(sampled.variant)} is {plain(place)}: {told}."


def _diagnosed(diagnosis: Any) -> str:
    if not diagnosis.findings:
        return f"The diagnosis of {plain(diagnosis.name)} found nothing that it could prove."
    first = diagnosis.findings[0]
    return (
        f"The diagnosis of {plain(diagnosis.name)} proved {len(diagnosis.findings)} of what it suspected; mending the "
        f"first makes it {first.speedup:.3g} times as fast."
    )


def _gated(judged: Gate) -> str:
    from workbench.gate.conclude import exit_code
    from workbench.gate.words import headline

    return f"The gate says {headline(judged)}; its exit code would be {int(exit_code(judged))}."
