"""The whole process under a tool that sees every native allocation: heaptrack, or valgrind's massif, where they are.

Both see the interpreter, NumPy and LLVM as well: their file is for a look with their own viewers, and what they print
of the whole process is told. memray's counts are those of the subject.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from workbench import abilities
from workbench.errors import InputError, WorkbenchError
from workbench.figures.text import number
from workbench.files import write_bytes
from workbench.profile.memory_job import RESULT, Asked
from workbench.profile.memory_watch import run_command
from workbench.profile.profile import Profile

SUMMARY_TIMEOUT_S = 300
TOOLS = ("heaptrack", "massif")


def check(native: str) -> None:
    """Raise InputError when there is no tool called `native`; empty is none."""
    if native and native not in TOOLS:
        raise InputError(f"there is no native heap profiler {native!r}: take {' or '.join(TOOLS)}, or leave it empty")


def missing(native: str) -> str | None:
    """Return why `native` cannot run here, with what is used instead; None when it can."""
    ability = abilities.heaptrack() if native == "heaptrack" else abilities.massif()
    if ability.works:
        return None
    return f"{native} was left out: {ability.reason} ({ability.remedy}); memray's own counts are used instead"


def run(native: str, asked: Asked, scratch: Path, keep: Path | None, profile: Profile) -> str:
    """Run the subject under `native`, keep its file; return what it says, or why there is nothing, as one sentence."""
    reason = missing(native)
    if reason is not None:
        profile.notes.append(reason)
        return reason
    folder = scratch / native
    folder.mkdir()
    asked.write(folder)
    try:
        told, file = (_heaptrack if native == "heaptrack" else _massif)(asked, folder)
    except WorkbenchError as error:
        reason = f"{native} was left out: {error}"
        profile.notes.append(reason)
        return reason
    if keep is not None:
        from workbench.profile.memory import stem_of

        kept = keep / f"{stem_of(profile)}.{file.name}"
        write_bytes(kept, file.read_bytes())
        profile.artefacts.append(str(kept))
    profile.notes.append(told)
    return told


def _child(folder: Path) -> list[str]:
    return [sys.executable, "-m", "workbench.profile.memory_child", str(folder), "run"]


def _finished(status: int, folder: Path, tool: str) -> None:
    if status or not (folder / RESULT).is_file():
        lines = [text for text in (folder / "log.txt").read_text(errors="replace").splitlines() if text.strip()]
        raise WorkbenchError(f"{tool} ended with status {status} ({lines[-1].strip()[:200] if lines else 'no word'})")


def _heaptrack(asked: Asked, folder: Path) -> tuple[str, Path]:
    """Record with heaptrack; return its summary of the whole process, and its file."""
    command = ["heaptrack", "-o", str(folder / "heaptrack"), *_child(folder), str(-os.getpid())]
    _finished(run_command(command, folder, asked.job.title), folder, "heaptrack")
    file = next(iter(sorted(folder.glob("heaptrack.*"))), None)
    if file is None:
        raise WorkbenchError("heaptrack wrote no file")
    summary = ["heaptrack_print", "--print-peaks", "0", "--print-allocators", "0", "--print-temporary", "0", str(file)]
    try:
        done = subprocess.run(summary, check=False, capture_output=True, text=True, timeout=SUMMARY_TIMEOUT_S)
    except (subprocess.TimeoutExpired, OSError) as error:
        raise WorkbenchError(f"heaptrack_print made no summary ({_first_line(error)})") from None
    told = [match[0] for match in re.finditer(r"^(calls to|temporary|peak heap|total memory).+$", done.stdout, re.M)]
    return f"heaptrack, the whole process with the interpreter and LLVM: {'; '.join(told) or 'no summary'}", file


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _massif(asked: Asked, folder: Path) -> tuple[str, Path]:
    """Run under massif; return the peak of the whole process, and its file."""
    from workbench.profile.callgrind import _build_target

    file = folder / "massif.out"
    target, features = _build_target()
    command = ["env", f"NUMBA_CPU_NAME={target}", f"NUMBA_CPU_FEATURES={features}", "valgrind", "--tool=massif"]
    command += ["--quiet", f"--massif-out-file={file}", *_child(folder), str(os.getpid())]
    _finished(run_command(command, folder, asked.job.title), folder, "massif")
    heaps = [int(found) for found in re.findall(r"^mem_heap_B=(\d+)$", file.read_text(errors="replace"), re.MULTILINE)]
    peak = number(float(max(heaps, default=0)), "bytes")
    return f"massif, the whole process with the interpreter and LLVM: its heap was {peak} at most", file
