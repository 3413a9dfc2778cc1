"""How long variants take to compile from nothing, and how much machine code they are; asked of fresh processes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import record
from workbench.measure.driver import Measurement, Report, Request, Task


@dataclass(frozen=True)
class Sizes:
    """What is known of each variant's code, by kernel/variant: ``seconds``, ``code_bytes``, ``functions``."""

    found: Mapping[str, Mapping[str, float]]

    def rows(self) -> list[record.Result]:
        """Return them as results."""
        units = (("compile_time", "cold", "s", "seconds"), ("code_size", "sum", "bytes", "code_bytes"))
        return [
            record.Result(
                kernel=name.partition("/")[0], variant=name.partition("/")[2], metric=metric, statistic=statistic,
                unit=unit, value=told[key], low=None, high=None, samples=1, bound="value",
            )
            for name, told in self.found.items()
            for metric, statistic, unit, key in units
        ]  # fmt: skip


def measure_sizes(names: Sequence[str], parameters: Mapping[str, int | str], progress: Any) -> Sizes:
    """Compile each of `names` (kernel/variant, of our own code) from nothing, as many at once as there are cores.

    Raises InputError for a variant that is not compiled, WorkbenchError where a process fails.
    """
    return _Sizing(Request(list(names), replicates=1, seconds=1.0, parameters=dict(parameters)), progress).sizes()


class _Sizing(Measurement):
    """The errands, each with a cache of compiled code of its own that is empty."""

    def sizes(self) -> Sizes:
        return Sizes(self._guarded(self._errands_done))

    def _errands_done(self, folder: Path) -> dict[str, Mapping[str, float]]:
        with tempfile.TemporaryDirectory(prefix="workbench-cache-") as cache:
            tasks = [
                Task(name, {}, (), environment=(("WORKBENCH_CACHE", str(Path(cache) / str(number))),))
                for number, name in enumerate(self._request.selectors)
            ]
            return {task.name: told for task, told in self._errands("sizing", tasks, folder, done=0.0)}

    def _measure(self, folder: Path) -> Report:
        raise NotImplementedError("a sizing has no replicates")
