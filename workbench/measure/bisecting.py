"""Which commit made a variant slow: a search that looks at machine code first, and times only what differs. Pure.

What a commit's code is and how it is judged are functions that are handed in. As every bisection it takes for granted
that what became slow stays slow until the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError, WorkbenchError
from workbench.measure.codes import VariantCode
from workbench.measure.git import Revision
from workbench.record import Comparison, Verdict

if TYPE_CHECKING:
    from workbench.measure.turns_job import Code

Look = Callable[[Revision], Any]  # the Code of the variant there; raises WorkbenchError where there is none
Judge = Callable[[Revision], Comparison]  # timed against the good revision


@dataclass(frozen=True)
class Finding:
    """What a bisection found. `suspects` were skipped and lie right before `first`: it may be any of them instead."""

    first: Revision
    row: Comparison  # its cost against the good revision
    functions: tuple[str, ...]  # whose machine code is other than in the last good commit
    suspects: tuple[Revision, ...]
    timed: int  # commits
    looked: int


@dataclass
class Bisection:
    """One search. `commits` come after `good`, the oldest first; the last is the bad one."""

    good: Revision
    commits: Sequence[Revision]
    look: Look
    judge: Judge
    tell: Callable[[str], None]
    _slow: list[tuple[Code, Comparison]] = field(default_factory=list)
    _fine: list[Code] = field(default_factory=list)
    _codes: dict[int, Code] = field(default_factory=dict)
    _skipped: set[int] = field(default_factory=set)
    _timed: int = 0

    def run(self) -> Finding:
        """Search. Raises InputError where the bad revision is not slower, `UnresolvedError` where that is not sure."""
        good_code = self._look_at(self.good)
        self._fine.append(good_code)
        low, high = -1, len(self.commits) - 1
        self._codes[low] = good_code
        self._check_bad(high)
        while (middle := self._next(low, high)) is not None:
            slow = self._test(middle, high - low - 1)
            if slow is None:
                self._skipped.add(middle)
            elif slow:
                high = middle
            else:
                low = middle
        row = next(row for code, row in self._slow if is_same(code, self._codes[high]))
        changed = VariantCode("", (self._codes[low], self._codes[high])).changed_functions()
        suspects = tuple(self.commits[i] for i in range(low + 1, high))
        return Finding(self.commits[high], row, tuple(changed), suspects, self._timed, len(self._codes))

    def _check_bad(self, last: int) -> None:
        """Judge the bad revision first: without a slowdown there is nothing to search."""
        bad = self.commits[last]
        code = self._look_at(bad)
        self._codes[last] = code
        if is_same(code, self._fine[0]):
            raise InputError(f"{self.good} and {bad} have the same machine code and state: no commit made it slower")
        row = self._timed_row(bad)
        if row.verdict is Verdict.UNRESOLVED:
            raise UnresolvedError(
                f"whether {bad} is slower than {self.good} is not sure: {in_words(row)}; {row.reason}"
            )
        if row.verdict is not Verdict.SLOWER:
            raise InputError(f"{bad} is not slower than {self.good}: {in_words(row)}; there is nothing to find")
        self.tell(f"{bad}: slow, {in_words(row)}")
        self._slow.append((code, row))

    def _next(self, low: int, high: int) -> int | None:
        """Return the commit nearest to the middle that was not skipped; None where none is left between."""
        left = [i for i in range(low + 1, high) if i not in self._skipped]
        return min(left, key=lambda i: abs(2 * i - low - high), default=None)

    def _test(self, i: int, left: int) -> bool | None:
        """Return whether a commit is slow; None where that cannot be told."""
        commit = self.commits[i]
        try:
            code = self._look_at(commit)
            self._codes[i] = code
            if any(is_same(code, each) for each in self._fine):
                self.tell(f"{commit}: good, by its machine code ({left} left)")
                return False
            if any(is_same(code, each) for each, _ in self._slow):
                self.tell(f"{commit}: slow, by its machine code ({left} left)")
                return True
            row = self._timed_row(commit)
        except WorkbenchError as error:
            self.tell(f"{commit}: skipped, {error}")
            return None
        if row.verdict is Verdict.UNRESOLVED:
            self.tell(f"{commit}: skipped, {in_words(row)} is not sure")
            return None
        slow = row.verdict is Verdict.SLOWER
        self.tell(f"{commit}: {'slow' if slow else 'good'}, {in_words(row)} ({left} left)")
        if slow:
            self._slow.append((code, row))
        else:
            self._fine.append(code)
        return slow

    def _look_at(self, revision: Revision) -> Code:
        code: Code = self.look(revision)
        if code.failure:
            raise WorkbenchError(f"{revision.label}: {code.failure}")
        return code

    def _timed_row(self, revision: Revision) -> Comparison:
        self._timed += 1
        return self.judge(revision)


class UnresolvedError(WorkbenchError):
    """The two ends could not be told apart with the time that was given: exit code 4."""


def is_same(a: Code, b: Code) -> bool:
    """Return whether two codes of one variant are the same: by source, or by the bytes and the state."""
    return VariantCode("", (a, b)).same


def in_words(row: Comparison) -> str:
    """Return a ratio with its interval, for a sentence."""
    return f"{row.ratio:.3f} ({row.low:.3f} to {row.high:.3f}) times the cost"
