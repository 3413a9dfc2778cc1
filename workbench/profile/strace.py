"""strace around one phase of a process that is running already: attached on a signal, read call by call, taken off.

The process names the phases itself, by a system call that changes nothing and that nobody else makes: it asks whether
it may read a file called `MARK` (`mark`). What lies between two marks is counted, everything else is not. Where strace
can unwind (``-k``), each call comes with the address of the compiled code that made it.

A traced call stops its thread twice and wakes strace twice: tens of microseconds instead of a fraction of one. Counts
are exact, times are strace's; the cost of a call that does nothing, a mark's, is told beside them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from workbench import abilities
from workbench.errors import WorkbenchError

MARK = "/workbench-mark"
ATTACH_S = 20.0  # how long strace may take until it has stopped and traces every thread

_LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
_CALL = re.compile(r"^(\w+)\((.*)$")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
_TOOK = re.compile(r"<(\d+\.\d+)>$")
_FAILED = re.compile(r"= -1 (E[A-Z0-9]+)")
_FRAME = re.compile(r"^ > (.*?)(?:\[(0x[0-9a-f]+)\])?$")
_MARKED = re.compile(re.escape(f'"{MARK}/') + r'([^"]*)"')


@dataclass
class Call:
    """One system call: its name, the seconds that strace saw it take, how it failed, and who made it."""

    name: str
    thread: int
    took_s: float
    error: str = ""
    arguments: str = ""
    frames: list[tuple[str, int]] = field(default_factory=list)  # (library and function, address), the innermost first


@dataclass
class Phase:
    """The calls between two marks of one name."""

    name: str
    calls: list[Call] = field(default_factory=list)
    began_s: float = 0.0
    ended_s: float | None = None  # None: it did not end while strace was there


@dataclass
class Log:
    """What strace wrote: the phases in their order, and what the marks themselves took."""

    phases: list[Phase] = field(default_factory=list)
    mark_s: list[float] = field(default_factory=list)

    @property
    def call_cost_s(self) -> float:
        """Return what strace shows for a call that does nothing: the median of the marks; 0 without any."""
        return sorted(self.mark_s)[len(self.mark_s) // 2] if self.mark_s else 0.0


def mark(text: str) -> None:
    """Make the system call that strace's reader knows; `text` has no quotes and no slash at its ends."""
    os.access(f"{MARK}/{text}", os.R_OK)


def missing() -> str | None:
    """Return why strace cannot be used here, as one clause; None where it is there."""
    ability = abilities.strace()
    return None if ability.works else ability.reason


@functools.cache
def can_unwind() -> bool:
    """Return whether this strace knows ``-k``: who made a call."""
    program = shutil.which("strace")
    if program is None:
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=20, check=False)
        return "stack-trace=" in told.stdout
    return False


def read(lines: Iterable[str]) -> Log:
    """Return what `lines` (of ``strace -f -ttt -T``, with ``-k`` or without) say between ``begin X`` and ``end X``.

    A call counts where it ends; one that never ends, as ``exit``, where it begins. Lines that are no calls (signals,
    ends of threads) are skipped.
    """
    log = Log()
    open_phase: Phase | None = None
    unfinished: dict[int, tuple[str, str]] = {}
    last: Call | None = None
    for line in lines:
        if line.startswith(" > "):
            if last is not None:
                _add_frame(last, line)
            continue
        last = None
        matched = _LINE.match(line)
        if matched is None:
            continue
        thread, when_s, text = int(matched[1]), float(matched[2]), matched[3].rstrip()
        call = _call(thread, text, unfinished)
        if call is None:
            continue
        marked = _MARKED.search(call.arguments)
        if marked is not None:
            log.mark_s.append(call.took_s)
            open_phase = _at_mark(log, open_phase, marked[1], when_s)
        elif open_phase is not None:
            open_phase.calls.append(call)
            last = call
    return log


def _call(thread: int, text: str, unfinished: dict[int, tuple[str, str]]) -> Call | None:
    """Return the call that ends in this line, if one does; remember one that only begins."""
    resumed = _RESUMED.match(text)
    if resumed is not None:
        _, before = unfinished.pop(thread, (resumed[1], ""))
        return _ended(thread, resumed[1], before + resumed[2])
    begun = _CALL.match(text)
    if begun is None:
        return None
    if text.endswith("<unfinished ...>"):
        unfinished[thread] = (begun[1], begun[2].removesuffix("<unfinished ...>"))
        return _ended(thread, begun[1], begun[2]) if begun[1] in ("exit", "exit_group") else None
    return _ended(thread, begun[1], begun[2])


def _ended(thread: int, name: str, rest: str) -> Call:
    took, failed = _TOOK.search(rest), _FAILED.search(rest)
    return Call(name, thread, float(took[1]) if took else 0.0, failed[1] if failed else "", rest[:200])


def _at_mark(log: Log, open_phase: Phase | None, text: str, when_s: float) -> Phase | None:
    what, _, name = text.partition(" ")
    if what == "begin":
        log.phases.append(Phase(name, began_s=when_s))
        return log.phases[-1]
    if what == "end" and open_phase is not None and open_phase.name == name:
        open_phase.ended_s = when_s
        return None
    return open_phase


def _add_frame(call: Call, line: str) -> None:
    matched = _FRAME.match(line.rstrip())
    if matched is not None:
        call.frames.append((matched[1].strip(), int(matched[2], 16) if matched[2] else 0))


class Tracer:
    """strace attached to one process. `detach` takes it off again, whatever the process does meanwhile."""

    def __init__(self, process: int, log: Path, *, unwind: bool):
        """Attach to all threads of `process`, and return when it traces. Raises WorkbenchError with the reason."""
        reason = missing()
        if reason:
            raise WorkbenchError(reason)
        self._log, self._errors = log, log.with_suffix(".errors")
        command = ["strace", "-f", "-ttt", "-T", "-s", "96", *(["-k"] if unwind else []), "-o", str(log)]
        with self._errors.open("wb") as stream:
            self._strace = subprocess.Popen(
                [*command, "-p", str(process)], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
        deadline = time.monotonic() + ATTACH_S
        while not _is_traced(process, self._strace.pid):
            if self._strace.poll() is not None:
                raise WorkbenchError(f"strace could not attach: {self._told()}")
            if time.monotonic() > deadline:
                self.detach()
                raise WorkbenchError(f"strace did not attach within {ATTACH_S:g} s")
            time.sleep(0.01)

    def detach(self) -> None:
        """Take strace off the process; it goes on untraced."""
        if self._strace.poll() is None:
            self._strace.send_signal(signal.SIGINT)
            try:
                self._strace.wait(10)
            except subprocess.TimeoutExpired:
                self._strace.kill()
                self._strace.wait()

    def result(self) -> Log:
        """Return what it saw. Call `detach` first."""
        with contextlib.suppress(OSError), self._log.open(errors="replace") as stream:
            return read(stream)
        return Log()

    def _told(self) -> str:
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("strace: ") if lines else f"it ended with {self._strace.returncode}"


def _is_traced(process: int, tracer: int) -> bool:
    """Return whether every thread of `process` is traced by `tracer`, as /proc tells it."""
    try:
        states = [(task / "status").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
    except OSError:
        return False
    return all(re.search(rf"^TracerPid:\t{tracer}$", state, re.MULTILINE) for state in states)
