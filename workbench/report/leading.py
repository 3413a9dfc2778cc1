"""Which variants are the fastest of a kernel: a verdict of the blocks, not of two means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.figures.text import number
from workbench.measure.results import compare
from workbench.record import Run, Verdict


@dataclass(frozen=True)
class Leading:
    """The variant with the shortest mean time of an operation, and those from which it cannot be told apart."""

    names: tuple[str, ...]  # the shortest first
    means_ns: tuple[float, ...]

    @property
    def best(self) -> str:
        """Return the variant with the shortest mean time."""
        return self.names[0]

    def told(self) -> str:
        """Return the means, in the order of the names."""
        return joined([number(mean, "ns") for mean in self.means_ns])


def leading(run: Run, kernel: str) -> Leading:
    """Return who is the fastest: the shortest mean, and every other that it does not beat in their shared blocks.

    Two means differ always; only the interleaved blocks say whether that is more than chance and the margin.
    """
    means = {row.variant: row.value for row in run.results if (row.kernel, row.statistic) == (kernel, "batch_mean")}
    order = sorted(means, key=lambda name: means[name])
    names = [order[0], *(name for name in order[1:] if not _beats(run, kernel, order[0], name))]
    return Leading(tuple(names), tuple(means[name] for name in names))


def _beats(run: Run, kernel: str, best: str, other: str) -> bool:
    rows = compare(run.replicates, f"{kernel}/{other}", f"{kernel}/{best}")
    return any(row.metric == "throughput" and row.verdict is Verdict.FASTER for row in rows)


def joined(words: Sequence[str]) -> str:
    """Return `words` in one phrase, the last after ``and``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
