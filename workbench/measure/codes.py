"""Whose machine code, or state, differs between arms: compiled and hashed in each, before anything is timed."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.measure.arms import Arm
from workbench.measure.driver import Request
from workbench.measure.in_arms import InArms

if TYPE_CHECKING:
    from workbench.measure.turns_job import Code

Memo = MutableMapping[tuple[str, str], "Code"]  # by kernel/variant and hash of its source


@dataclass(frozen=True)
class VariantCode:
    """The machine code of one variant in each arm; None where an arm has no such variant."""

    name: str
    codes: tuple[Code | None, ...]

    @property
    def everywhere(self) -> bool:
        """Return whether every arm has the variant."""
        return all(code is not None for code in self.codes)

    @property
    def failures(self) -> list[str]:
        """Return why it has no machine code, by arm; empty where it has."""
        return [code.failure if code is not None else "" for code in self.codes]

    @property
    def same(self) -> bool:
        """Return whether it is the same in all arms: the same source; or the same bytes, parameters and state.

        Not seen are then a `reset` that does more, another input, and what the system gives, as huge pages.
        """
        first, *others = self.codes
        if first is None or any(code is None for code in others):
            return False
        by_source = bool(first.source) and all(code.source == first.source for code in others if code)
        return by_source or (self._same_bytes and all(code.state == first.state for code in others if code))

    @property
    def state_alone(self) -> bool:
        """Return whether the bytes are the same in all arms, and the parameters or the arrays of the state are not."""
        return self._same_bytes and not self.same

    @property
    def _same_bytes(self) -> bool:
        hashes = {code.hash if code is not None else "" for code in self.codes}
        return len(hashes) == 1 and "" not in hashes

    def changed_functions(self) -> list[str]:
        """Return the functions whose bytes are not the same in the first arm and the last, or are in one alone."""
        first, last = self.codes[0], self.codes[-1]
        if first is None or last is None or not (first.functions and last.functions):
            return []
        names = dict.fromkeys([*last.functions, *first.functions])
        return [name for name in names if first.functions.get(name) != last.functions.get(name)]


def codes_in_arms(
    request: Request, arms: Sequence[Arm], progress: Any, memo: Memo | None = None
) -> tuple[list[VariantCode], list[str]]:
    """Return the code of the request's variants (peers left out) in every arm, and notes.

    A variant whose source is the same in all of two or more arms is not compiled; nor is what `memo` holds, which is
    added to. Raises as `Measurement.run`. To cancel, make a `Codes`.
    """
    return Codes(request, arms, progress, memo).find()


class Codes(InArms):
    """One look at the code of several arms. `find` blocks; `cancel` may be called from another thread."""

    def __init__(self, request: Request, arms: Sequence[Arm], progress: Any, memo: Memo | None = None):
        super().__init__(request, arms, progress)
        self._memo: Memo = {} if memo is None else memo

    def find(self) -> tuple[list[VariantCode], list[str]]:
        """Look at every arm; see `codes_in_arms`."""
        return self._guarded(self._find)

    def _find(self, folder: Path) -> tuple[list[VariantCode], list[str]]:
        from workbench.measure.turns_job import Code

        children = self._start("code_child", "machine code", folder)
        told = self._answers(children)
        sources: list[Mapping[str, str]] = [answer["sources"] for answer in told]
        notes = list(dict.fromkeys(note for answer in told for note in answer["notes"]))
        names = list(dict.fromkeys(name for each in sources for name in each))
        wanted = [[name for name in names if self._needs(name, own, sources)] for own in sources]
        self._progress.advance(0.0, f"machine code: {len({name for each in wanted for name in each})} to compile")
        compiled = [
            {name: Code.model_validate(code) for name, code in answer.items()}
            for answer in self._ask(children, "hash", [{"names": each} for each in wanted])
        ]
        self._dismissed(children)
        found = []
        for name in names:
            codes: list[Code | None] = []
            for own, made in zip(sources, compiled, strict=True):
                if name not in own:
                    codes.append(None)
                    continue
                code = made.get(name) or self._memo.get((name, own[name])) or Code()
                code = code.model_copy(update={"source": own[name]})
                if own[name] and code.hash:
                    self._memo[name, own[name]] = code
                codes.append(code)
            found.append(VariantCode(name, tuple(codes)))
        return found, notes

    def _needs(self, name: str, own: Mapping[str, str], sources: Sequence[Mapping[str, str]]) -> bool:
        """Return whether an arm with the sources `own` has to compile the variant called `name`."""
        if name not in own or any(name not in each for each in sources):
            return False
        known = len(sources) > 1 and own[name] and all(each[name] == own[name] for each in sources)
        return not known and (name, own[name]) not in self._memo
