"""What the driver does with arms: one process for each, asked questions and giving answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.measure.arms import Arm
from workbench.measure.driver import Measurement, Request
from workbench.measure.processes import Child


class InArms(Measurement):
    """A measurement whose processes import their kernels from different folders."""

    def __init__(self, request: Request, arms: Sequence[Arm], progress: Any):
        super().__init__(request, progress)
        labels = [arm.label for arm in arms]
        if not labels or len(set(labels)) < len(labels):
            raise InputError(f"arms {', '.join(labels) or '(none)'} cannot be told apart: give each a name of its own")
        self._arms = tuple(arms)

    def _start(self, module: str, title: str, folder: Path) -> list[Child]:
        """Start one process for each arm, all at once, and tell each what to prepare."""
        from workbench.measure.turns_job import TurnsJob

        children = []
        for arm in self._arms:
            name = f"{title}, {arm.label}"
            children.append(self._crew.start(module, name, folder, arm.paths, arm.label, dict(arm.environment)))
        for arm, child in zip(self._arms, children, strict=True):
            setting = self._request.setting(
                selectors=list(arm.selectors or self._request.selectors),
                parameters={**self._request.parameters, **dict(arm.parameters)},
            )
            child.send(TurnsJob(**setting, front=list(arm.paths)).model_dump_json())
        return children

    def _ask(self, children: Sequence[Child], do: str, fields: Sequence[Mapping[str, Any]] | None = None) -> list[Any]:
        """Ask each of `children` to `do` something, all at once, and return the answers in their order."""
        for i, child in enumerate(children):
            child.send(json.dumps({"do": do, **(fields[i] if fields else {})}))
        return self._answers(children)

    def _answers(self, children: Sequence[Child]) -> list[Any]:
        found = self._crew.answers(children)
        return [found[child] for child in children]

    def _dismissed(self, children: Sequence[Child]) -> None:
        """Wait until `children`, which have answered all, have ended."""
        for _ in self._crew.conversation(list(children)):
            pass
