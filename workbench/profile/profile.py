"""A profile: counters by source line that display themselves, read from a record, and several made one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.errors import InputError
from workbench.profile import annotated
from workbench.profile.counted import Counted, Line, LineNote
from workbench.record import ProfileRecord


class Profile(Counted):
    """Counters by line that display themselves in Jupyter as annotated source."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": annotated.html(self), "text/plain": annotated.text(self)}

    def __str__(self) -> str:
        return annotated.text(self)


def from_record(record: ProfileRecord) -> Profile:
    """Return the profile that `record` holds; its sources are the single lines that it kept."""
    profile = Profile(record.variant, record.profile_kind, notes=list(record.notes), artefacts=list(record.artefacts))
    for name, amount in record.overhead.items():
        where, mark, what = name.partition("outside: ")
        if mark and not where:
            profile.outside[what] = amount
        else:
            profile.overhead[name] = amount
    for row in record.results:
        try:
            line = Line(row["function"], row["file"], int(row["line"]))
            profile.counters[line] = {str(name): float(amount) for name, amount in row["counters"].items()}
            note = LineNote(row.get("width", ""), row.get("detail", ""), list(row.get("assembly", ())))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a row of profile {record.record_id} is not a source line: {error!r}") from None
        profile.notes_by_line[line] = note
        text = profile.sources.setdefault(line.file, [])
        text.extend([""] * (line.line - len(text)))
        if line.line:
            text[line.line - 1] = str(row.get("source", ""))
    names = {name for counters in profile.counters.values() for name in counters}
    if profile.main not in names and names:
        profile.main = "instructions" if "instructions" in names else min(names)
    return profile


def merge(profiles: Iterable[Profile]) -> Profile:
    """Return one profile with the counters of several, such as time and misses; title and rank of the first."""
    given = list(profiles)
    if not given:
        raise InputError("there is no profile to merge: give at least one")
    merged = Profile(given[0].title, given[0].kind, given[0].main)
    for each in given:
        for line, counters in each.counters.items():
            for name, amount in counters.items():
                merged.add(line, name, amount)
        _update_all(merged, each)
    merged.stacks = dict(given[0].stacks)
    return merged


def _update_all(merged: Profile, each: Profile) -> None:
    for name in ("notes_by_line", "sources", "badges", "overhead"):
        ours: dict[Any, Any] = getattr(merged, name)
        theirs: Mapping[Any, Any] = getattr(each, name)
        for key, value in theirs.items():
            ours.setdefault(key, value)
    for key, amount in each.outside.items():
        merged.outside[key] = merged.outside.get(key, 0.0) + amount
    merged.notes += [note for note in each.notes if note not in merged.notes]
    merged.artefacts += each.artefacts
