"""How much a cell has to change until it counts: the policy's margins, and a team's own by kernel and metric."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import policy
from workbench.errors import InputError

KNOWN = ("throughput", "p50", "p99", "p999", "instructions")


@dataclass(frozen=True)
class Margins:
    """Relative margins by metric: for all kernels under the empty name, for one under its own, which wins."""

    own: dict[str, dict[str, float]] = field(default_factory=dict)

    def of(self, kernel: str, metric: str, statistic: str) -> float:
        """Return the margin of one cell, as 0.03."""
        name = statistic if metric == "service_time" else metric
        for scope in (kernel, ""):
            if name in self.own.get(scope, {}):
                return self.own[scope][name]
        return policy.INSTRUCTION_MARGIN if name == "instructions" else policy.margin_for(statistic)


def same_for_all(percent: float) -> Margins:
    """Return margins of `percent` for every metric of every kernel. Raises InputError outside 0 .. 100."""
    if not 0 < percent < 100:
        raise InputError(f"a threshold of {percent:g} % cannot be judged: give a number above 0 and below 100")
    return Margins({"": dict.fromkeys(KNOWN, percent / 100)})


def read_margins(path: Path) -> Margins:
    """Return the margins in the ``[gate.margins]`` table of a TOML file; other tables are left alone.

    Keys are metrics (``p99 = 0.1``), or kernels with a table of them. Raises InputError that names file and key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a TOML file with [gate.margins]") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    gate = tables.get("gate")
    table = gate.get("margins") if isinstance(gate, dict) else None
    if not isinstance(table, dict):
        raise InputError(f"{path} has no table [gate.margins]: write it, with keys as p99 = 0.1 below it")
    own: dict[str, dict[str, float]] = {"": {}}
    for key, value in table.items():
        if isinstance(value, dict):
            own[key] = {name: _margin(path, f"{key}.{name}", name, each) for name, each in value.items()}
        else:
            own[""][key] = _margin(path, key, key, value)
    return Margins(own)


def _margin(path: Path, key: str, name: str, value: Any) -> float:
    if name not in KNOWN:
        raise InputError(f"{path}: [gate.margins] {key}: there is no metric {name!r}: there are {', '.join(KNOWN)}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise InputError(f"{path}: [gate.margins] {key}: a margin is a number between 0 and 1, as 0.03, not {value!r}")
    return float(value)
