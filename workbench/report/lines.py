"""The line of source to look at: from the profiles of the same batch, else the function that is timed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.figures.text import percent_change
from workbench.record import ProfileRecord
from workbench.report.job import JobView

TOP = 5  # lines of a profile on the first screen of a job
_KINDS = ("cpu", "cache", "system", "memory")
"""Which profile answers best where the time goes: measured time, then simulated misses, then waiting, then memory."""

_UNITS = ("s", "ms", "us", "ns", "bytes", "percent")


@dataclass(frozen=True)
class LineView:
    """One line of a profile: where it stands, its text, and its part of the profile's main counter (0 .. 1)."""

    place: str  # file:line, the file without its folders
    function: str
    source: str
    share: float | None
    width: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ProfileView:
    """A profile as a page shows it: the first lines, what the profiler cost, and what else it told."""

    variant: str
    kind: str
    lines: list[LineView]
    overhead: list[str]  # what the profiler cost, in words
    notes: list[str] = field(default_factory=list)
    artefacts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pointer:
    """Where to look for the reason of a change. `job` holds the profile; None for a function that is only named."""

    line: LineView
    because: str
    job: JobView | None = None


def profile_view(record: ProfileRecord, count: int = TOP) -> ProfileView:
    """Return `record` as a page shows it; rows that are no source line are left out."""
    overhead = [_words(name, amount) for name, amount in record.overhead.items() if not name.startswith("outside: ")]
    lines = [line for row in record.results if (line := _line(row)) is not None]
    ranked = sorted(lines, key=lambda line: -(line.share or 0.0))
    return ProfileView(
        record.variant, record.profile_kind, ranked[:count], overhead, list(record.notes), list(record.artefacts)
    )


def pointers(jobs: Sequence[JobView]) -> dict[str, Pointer]:
    """Return the costliest line of each ``kernel/variant`` that a job of `jobs` profiled."""
    ranked = sorted(
        ((profile, job) for job in jobs for profile in job.profiles), key=lambda pair: _rank(pair[0].profile_kind)
    )
    found: dict[str, Pointer] = {}
    for profile, job in ranked:
        first = next(iter(profile_view(profile, 1).lines), None)
        if first is not None:
            told = f"{profile.profile_kind} profile"
            because = told if first.share is None else f"{100 * first.share:.0f} % of its {told}"
            found.setdefault(profile.variant, Pointer(first, because, job))
    return found


def look_at(variant: str, known: dict[str, Pointer]) -> Pointer | None:
    """Return where to look for a change of ``kernel/variant``: a profiled line, else the function that was timed."""
    return known.get(variant) or _function(variant)


def _function(variant: str) -> Pointer | None:
    """Return the compiled entry of a variant of this library; None for what it does not have."""
    import kernels

    kernel, _, name = variant.partition("/")
    card = kernels.catalog().get(kernel)
    found = card.variants.get(name) if card else None
    if found is None:
        return None
    timed = getattr(found.replay_from, "py_func", found.replay_from)
    try:
        file, (source, line) = inspect.getsourcefile(timed), inspect.getsourcelines(timed)
    except (TypeError, OSError):
        return None
    first = next((at for at, text in enumerate(source) if text.lstrip().startswith("def ")), 0)
    shown = LineView(f"{Path(file or '').name}:{line + first}", timed.__name__, f"{timed.__name__}()", None)
    return Pointer(shown, "as timed, not profiled here")


def _words(name: str, amount: float) -> str:
    """Return one number of a profiler's own cost as a person says it; the unit stands last in its name."""
    what, _, unit = name.rpartition("_")
    if name == "slowdown" or name.endswith("_slowdown"):
        return f"{name.replace('_', ' ')} {percent_change(amount)}"
    if unit == "share" and what:
        return f"{what.replace('_', ' ')} {100 * amount:.2g} %"
    if unit in _UNITS and what:
        return f"{what.replace('_', ' ')} {amount:.4g} {unit}"
    return f"{name.replace('_', ' ')} {amount:.4g}"


def _rank(kind: str) -> int:
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS)


def _line(row: Mapping[str, Any]) -> LineView | None:
    share, number = row.get("share"), row.get("line")
    function, file = str(row.get("function", "")), str(row.get("file", ""))
    if not file and not function:
        return None
    return LineView(
        f"{Path(file).name}:{number}" if number else function,
        function,
        str(row.get("source", "")).strip(),
        float(share) if isinstance(share, (int, float)) else None,
        str(row.get("width", "")),
        str(row.get("detail", "")),
    )
