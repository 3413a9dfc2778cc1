"""Callgrind's file format: read what valgrind dumped by address, write it again by line of Python.

Valgrind knows no symbols for code that was compiled in the process: each block of it appears as a function called by
its address. With ``--dump-instr=yes`` every cost carries its address, and the code map turns that into a line. The
written file opens in KCachegrind and speedscope, and with ``callgrind_annotate``. Format: Valgrind's manual, chapter
"Callgrind Format Specification".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.files import write_text


@dataclass(frozen=True)
class Cost:
    """Costs of one address: its own, or those of a call made there, whole."""

    address: int
    function: str  # as valgrind names it
    library: str  # the object file; "???" or empty for code compiled in the process
    amounts: tuple[int, ...]  # in the order of the dump's events
    called: str = ""  # the called function; empty for own costs
    called_library: str = ""
    called_address: int = 0
    calls: int = 0


@dataclass
class Dump:
    """One part that valgrind wrote."""

    file: Path
    trigger: str = ""
    command: str = ""
    events: tuple[str, ...] = ()
    costs: list[Cost] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)


def read(file: Path) -> Dump:
    """Read one dump, written with ``--dump-instr=yes --compress-strings=no --compress-pos=no``.

    Raises WorkbenchError, one sentence, when it has another form.
    """
    dump = Dump(file)
    library = function = called = called_library = ""
    call: tuple[int, int] | None = None
    for number, text in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        key, mark, value = text.partition("=")
        if text.startswith("0x") or text[:1].isdigit():
            address, amounts = _costs(text, len(dump.events), file, number)
            if call is None:
                dump.costs.append(Cost(address, function, library, amounts))
            else:
                dump.costs.append(
                    Cost(address, function, library, amounts, called, called_library or library, call[1], call[0])
                )
                call, called_library = None, ""
        elif mark and key in ("ob", "fn", "cfn", "cob", "calls", "fl", "fi", "fe", "cfi", "cfl", "jump", "jcnd"):
            if key == "ob":
                library = value
            elif key == "fn":
                function = value
            elif key == "cfn":
                called = value
            elif key == "cob":
                called_library = value
            elif key == "calls":
                count, target = value.split()[:2]
                call = int(count), int(target, 0)
        elif ": " in text:
            _header(dump, text)
    if not dump.events:
        raise WorkbenchError(f"{file} is not a callgrind dump: it names no events")
    return dump


def _header(dump: Dump, text: str) -> None:
    key, _, value = text.partition(": ")
    if key == "events":
        dump.events = tuple(value.split())
    elif key == "cmd":
        dump.command = value.strip()
    elif key == "desc":
        dump.descriptions.append(value.strip())
        if value.strip().startswith("Trigger:"):
            dump.trigger = value.split("Trigger:")[1].strip()
    elif key == "positions" and value.split() != ["instr", "line"]:
        raise WorkbenchError(f"{dump.file} has positions {value!r}: it must be dumped with --dump-instr=yes")


def _costs(text: str, events: int, file: Path, number: int) -> tuple[int, tuple[int, ...]]:
    """Return address and amounts of a cost line; amounts that are zero at its end are left out in the file."""
    parts = text.split()
    try:
        amounts = tuple(int(part) for part in parts[2:])
        return int(parts[0], 0), (*amounts, *([0] * (events - len(amounts))))
    except ValueError:
        raise WorkbenchError(f"{file}, line {number}: {text[:60]!r} is not a cost by address and line") from None


@dataclass(frozen=True)
class LineCost:
    """Own costs of one source line, as they are written."""

    function: str
    file: str
    line: int
    amounts: tuple[int, ...]


def write(path: Path, command: str, events: Iterable[str], costs: Iterable[LineCost], notes: Iterable[str]) -> None:
    """Write costs by source line as a callgrind file at `path`, whole or not at all."""
    write_text(path, "\n".join(_text(command, tuple(events), list(costs), list(notes))) + "\n")


def _text(command: str, events: tuple[str, ...], costs: list[LineCost], notes: list[str]) -> Iterator[str]:
    yield "# callgrind format"
    yield "version: 1"
    yield "creator: kernel-workbench"
    yield f"cmd: {' '.join(command.split())}"
    yield from (f"desc: Note: {' '.join(note.split())}" for note in notes)
    yield "positions: line"
    yield f"events: {' '.join(events)}"
    totals = [sum(column) for column in zip(*(cost.amounts for cost in costs), strict=True)] or [0] * len(events)
    yield f"summary: {' '.join(map(str, totals))}"
    owner = None
    for cost in sorted(costs, key=lambda each: (each.file, each.function, each.line)):
        if owner != (cost.file, cost.function):
            owner = (cost.file, cost.function)
            yield ""
            yield f"fl={cost.file or '???'}"
            yield f"fn={cost.function}"
        yield f"{cost.line} {' '.join(map(str, cost.amounts))}"
    yield ""
    yield f"totals: {' '.join(map(str, totals))}"
