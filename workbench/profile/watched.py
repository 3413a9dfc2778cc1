"""A child process that runs a target, for another program to watch: py-spy, scalene, perf.

The child runs the same calls before, while and after it is watched, so that a profile states what watching cost. No
other program ever stops or traces a notebook's own process.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.codemap.lines import Frame
from workbench.errors import WorkbenchError
from workbench.files import cache_folder, write_bytes
from workbench.profile.callgrind import _save
from workbench.profile.callgrind_job import Job
from workbench.profile.profile import Profile
from workbench.profile.watched_child import ANSWERS, COMMANDS
from workbench.profile.written_map import WrittenMap, read_map
from workbench.stats.median import median

PATIENCE_S = 300.0  # for one answer, besides the seconds that were asked for: starting may mean to compile
_WHY_SERIAL = "since valgrind runs one thread at a time"  # as `workbench.profile.portable` says it, for callgrind
ALONE_PART = 0.25  # of the seconds: how long the child runs before it is watched, and again after


@dataclass(frozen=True)
class Spent:
    """What a call took in the child, by segments of about 0.05 s."""

    wall_ns: list[float]
    cpu_ns: list[float]
    began_ns: int  # CLOCK_MONOTONIC
    ended_ns: int


class Child:
    """The child process of a job. Use it as a context; `folder` holds all that it reads and writes."""

    def __init__(self, job: Job, command: Callable[[Path], Sequence[str]] | None = None, **asked: bool):
        """Prepare the folder. `command` gives the command for it, the bare child by default.

        `asked` is what the child is to write at its end: ``lines``, the code map; ``perf_map``, that for perf.
        """
        self.job = job
        self._scratch = tempfile.TemporaryDirectory(prefix="workbench-watched-")
        self.folder = Path(self._scratch.name)
        text = job.module.text.encode()
        self.module = cache_folder() / "callgrind" / f"target_{hashlib.sha256(text).hexdigest()[:24]}.py"
        if not self.module.is_file():
            write_bytes(self.module, text)
        told = {
            "module": str(self.module),
            "paths": [path for path in sys.path if path],
            "lines": True,
            "perf_map": False,
        }
        _save(self.folder, {**job.files, "job.json": {**job.fields, **told, **asked}})
        self._command = list(command(self.folder)) if command else bare_command(self.folder)
        self._log = self.folder / "log.txt"
        self._pipes: dict[str, int] = {}
        self._rest = b""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        for name in (COMMANDS, ANSWERS):
            os.mkfifo(self.folder / name)
            self._pipes[name] = os.open(self.folder / name, os.O_RDWR)
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )
        try:
            self.pid = int(self._answer(0)["ready"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in self._pipes.values():
            os.close(pipe)
        self._scratch.cleanup()

    def run(self, seconds: float, **options: bool) -> Spent:
        """Let the child call the target for `seconds`; `options` go to it. Raises WorkbenchError when it fails."""
        self._send({"run": seconds, **options})
        return Spent(**self._answer(seconds))

    def finish(self) -> None:
        """Let the child write what it was asked for, and end."""
        self._send({"finish": True})
        self._answer(0)
        assert self._process is not None
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise WorkbenchError(f"{self.job.title}: the child process did not end") from None

    def code_map(self) -> WrittenMap:
        """Return the code map that the child wrote at its end, with what the person should know of the build."""
        found = read_map(self.folder, self.original)
        found.failures += [note.replace(_WHY_SERIAL, "the child builds it without") for note in self.job.module.notes]
        return found

    def original(self, frame: Frame) -> Frame:
        """Return a line of the written module as the line of the cell or file that it was taken from."""
        if Path(frame.file) == self.module:
            for origin in self.job.module.origins:
                line = origin.line(frame.line)
                if line is not None:
                    return Frame(frame.function, origin.file, line)
        return frame

    def _send(self, command: dict[str, Any]) -> None:
        os.write(self._pipes[COMMANDS], json.dumps(command).encode() + b"\n")

    def _answer(self, seconds: float) -> dict[str, Any]:
        end_s = time.monotonic() + PATIENCE_S + 20 * seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._pipes[ANSWERS]], [], [], 0.1)
            if ready:
                self._rest += os.read(self._pipes[ANSWERS], 65536)
            elif self._process is None or self._process.poll() is not None:
                raise WorkbenchError(f"{self.job.title}: the child process ended early ({last_words(self._log)})")
            elif time.monotonic() > end_s:
                raise WorkbenchError(f"{self.job.title}: the child process did not answer in time")
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkbenchError(f"{self.job.title}: {answer['error']}")
        return answer


def bare_command(folder: Path) -> list[str]:
    """Return the command of a child that nothing runs but Python."""
    return [sys.executable, "-P", "-m", "workbench.profile.watched_child", str(folder)]


class Watcher:
    """A program that watches the child by its process id; use it as a context around `Child.run`."""

    def __init__(self, command: Sequence[str], log: Path, begun: Callable[[Watcher], bool]):
        """`begun` tells that the program has begun to watch; ended by SIGINT it writes its file."""
        self.command, self._log, self._begun = list(command), log, begun
        self.name = Path(command[0]).name
        self.cpu_s = 0.0  # what it used in all, once it has ended

    def __enter__(self) -> Watcher:
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )
        end_s = time.monotonic() + PATIENCE_S
        while not self._begun(self):
            if self._process.poll() is not None:
                raise WorkbenchError(f"{self.name} cannot watch a process here ({last_words(self._log)})")
            if time.monotonic() > end_s:
                self._kill()
                raise WorkbenchError(f"{self.name} did not begin to watch within {PATIENCE_S:g} s")
            time.sleep(0.01)
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is not None:
            self._kill()
            return
        os.kill(self._process.pid, signal.SIGINT)
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_s = usage.ru_utime + usage.ru_stime
                return
            time.sleep(0.01)
        self._kill()
        raise WorkbenchError(f"{self.name} did not end within {PATIENCE_S:g} s")

    def told(self) -> str:
        """Return what the program has written so far, besides its file."""
        return self._log.read_text(errors="replace") if self._log.is_file() else ""

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def last_words(log: Path) -> str:
    """Return what a program said when it failed, to be told inside a sentence: after ``Error:``, else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for place, line in enumerate(lines):
        if line.startswith("Error:"):
            told = line.removeprefix("Error:").strip() or (lines[place + 1] if place + 1 < len(lines) else line)
            return told.rstrip(".")
    return lines[-1].rstrip(".") if lines else "it wrote nothing"


def state_overhead(
    profile: Profile, tool: str, alone: Sequence[Spent], watched: Spent, tool_cpu_s: float = 0.0
) -> None:
    """Put what watching cost into `profile`: a call's time while watched over its time before and after.

    Ratios of medians over segments. `tool_cpu_s` is the CPU time of the tool's own process, start included.
    """
    walls = median(watched.wall_ns), median([each for spent in alone for each in spent.wall_ns])
    cpus = median(watched.cpu_ns), median([each for spent in alone for each in spent.cpu_ns])
    wall, cpu = walls[0] / walls[1], cpus[0] / cpus[1]
    profile.overhead |= {
        "wall_slowdown": wall,
        "cpu_slowdown": cpu,
        "run_s": walls[1] / 1e9,
        "tool_cpu_s": tool_cpu_s,
        "duration_s": (watched.ended_ns - watched.began_ns) / 1e9,
    }
    own = f"; {tool} itself used {tool_cpu_s:.2g} s of CPU, its start included" if tool_cpu_s else ""
    profile.notes.append(
        f"while {tool} watched, a call took {100 * (wall - 1):+.1f} % of wall time and {100 * (cpu - 1):+.1f} % of CPU "
        f"time against before and after, by medians of {len(watched.wall_ns)} segments in one process{own}"
    )


def keep_files(profile: Profile, files: dict[Path, str], keep: Path | None) -> None:
    """Copy a tool's own files into the folder `keep`, under the names given; the profile names them as artefacts."""
    if keep is None:
        return
    keep.mkdir(parents=True, exist_ok=True)
    for file, name in files.items():
        if file.is_file():
            shutil.copyfile(file, keep / name)
            profile.artefacts.append(str(keep / name))
