"""scalene on a child process: time by line of Python, and the compiled part split by the line sampler's lines.

scalene sees when the interpreter does not answer and charges that time, as native, to the line of Python that called:
for a kernel this is one line. Which lines of the kernel it was, only a sampler of compiled code can tell: its shares
are put in place of that line, and the profile says so. Source of the format: the JSON that ``scalene run`` writes.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workbench import abilities
from workbench.codemap.build import is_compiled_function
from workbench.codemap.lines import Frame
from workbench.errors import InputError, WorkbenchError
from workbench.files import write_text
from workbench.profile.attribute import read_sources
from workbench.profile.callgrind_job import Job
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.profile.target import _variant
from workbench.profile.watched import ALONE_PART, Child, keep_files, state_overhead
from workbench.profile.watched_job import job_of

HARNESS_TIME = "the harness around the calls"
RATE_PER_S = 100.0  # scalene's own default
MIN_SECONDS = 1.0  # so that there are samples to share out
LINES_S = 1.5  # how long the line sampler looks where no profile of it was given
HOME = Path(__file__).resolve().parents[2]
CALLERS = {
    "workbench/profile/watched_child.py": {"run_watched", "_target"},
    "workbench/profile/target.py": {"run", "target_of", "_target_of_own", "_target_of_variant"},
    "kernels/catalog.py": {"run", "replay"},
    "kernels/crew.py": {"run_together", "_in_threads", "work"},
}
"""The functions whose lines only call the target, by file: `run_watched` and what lies between it and the target."""

HARNESS = ("workbench/profile/", *CALLERS)  # the other lines there prepare each call and read clocks
THREADS = os.path.realpath(threading.__file__)  # where scalene charges what other threads do: mostly they wait
_SCRIPT = """import sys
from pathlib import Path

from workbench.parent import end_with_parent
from workbench.profile.watched_child import main

end_with_parent()
main(Path(sys.argv[1]))
"""


class LineTime(NamedTuple):
    """What scalene says of one line of Python, in ms."""

    function: str
    file: str
    line: int
    python_ms: float
    native_ms: float
    system_ms: float

    @property
    def total_ms(self) -> float:
        """Return the whole time of the line."""
        return self.python_ms + self.native_ms + self.system_ms


def profile_scalene(
    subject: Any,
    *arguments: Any,
    seconds: float = 5.0,
    workload: Any = None,
    keep: Path | None = None,
    lines: Profile | None = None,
    **parameters: int,
) -> Profile:
    """Return the time by line of a variant or a function, as scalene samples it in a child process.

    `subject` and `arguments` are those of `workbench.profile`; a variant that is not compiled and a plain Python
    function of a module can be given too. `lines` is the line sampler's profile of the same target, which splits the
    compiled time; where it is not given the target is sampled now, in this process. `keep` is a folder for scalene's
    own file. Raises InputError for what cannot be watched, WorkbenchError when scalene is absent or fails.
    """
    ability = abilities.scalene()
    if not ability.works:
        raise WorkbenchError(f"{ability.reason}: use {ability.fallback} instead")
    if not MIN_SECONDS <= seconds <= 3600:
        raise InputError(f"scalene takes {MIN_SECONDS:g} .. 3600 s, not {seconds:g}")
    job = job_of(subject, *arguments, workload=workload, **parameters)
    with Child(job, lambda folder: _command(folder, job), lines=False) as child:
        alone = [child.run(ALONE_PART * seconds)]
        watched = child.run(seconds, scalene=True)
        alone.append(child.run(ALONE_PART * seconds))
        child.finish()
        told = child.folder / "scalene.json"
        if not told.is_file():
            raise WorkbenchError(f"{job.title}: scalene wrote no profile")
        profile = profile_of(list(read_json(told)), job.title)
        state_overhead(profile, "scalene", alone, watched)
        profile.overhead["rate_per_s"] = RATE_PER_S
        if "other threads" in profile.outside:
            profile.notes.append(
                "scalene divides each sample among all threads of the process, those that wait included: read the "
                "shares of its lines, not their ms"
            )
        keep_files(profile, {told: f"{job.title.replace('/', '-')}.scalene.json"}, keep)
    if lines is None and _is_compiled(subject, arguments):
        from workbench.profile.cpu import profile_cpu

        asked: dict[str, Any] = {"seconds": LINES_S, "workload": workload, **parameters}
        lines = profile_cpu(subject, *arguments, **asked)
    split(profile, lines)
    return profile


def _is_compiled(subject: Any, arguments: tuple[Any, ...]) -> bool:
    if callable(subject):
        return is_compiled_function(subject)
    return is_compiled_function(_variant(subject, arguments).replay_from)


def _command(folder: Path, job: Job) -> list[str]:
    """Return the command: scalene runs a script that is the child, with profiling off until the child turns it on."""
    script = folder / "watched.py"
    write_text(script, _SCRIPT)
    root = str(Path(__file__).resolve().parent.parent.parent)
    return [
        *(sys.executable, "-m", "scalene", "run", "--cpu-only", "--off", "--profile-all", "--no-stacks"),
        *("--cpu-percent-threshold", "0", "--program-path", root, "--outfile", str(folder / "scalene.json")),
        *(str(script), "---", str(folder)),
    ]


def read_json(file: Path) -> Iterator[LineTime]:
    """Yield the lines that have time in a file that scalene wrote. Raises WorkbenchError for another form."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        elapsed_ms = float(told["elapsed_time_sec"]) * 1000
        for name, each in told["files"].items():
            functions = [(row["lineno"], row.get("end_function_line", 0), row["line"]) for row in each["functions"]]
            for row in each["lines"]:
                parts = [row["n_cpu_percent_python"], row["n_cpu_percent_c"], row["n_sys_percent"]]
                if any(parts):
                    number = int(row["lineno"])
                    yield LineTime(
                        _function_of(number, functions), name, number, *(part / 100 * elapsed_ms for part in parts)
                    )
    except (KeyError, TypeError, ValueError) as error:
        raise WorkbenchError(f"{file.name} is no profile of scalene: {error!r}") from None


def _function_of(line: int, functions: list[tuple[int, int, str]]) -> str:
    """Return the innermost function around a line; empty for the module itself."""
    around = [(first, name) for first, last, name in functions if first <= line <= last]
    return max(around)[1].strip() if around else ""


def profile_of(times: list[LineTime], title: str) -> Profile:
    """Return the profile of lines of Python: ``time_ms``, of which ``python_ms``, ``native_ms`` and ``system_ms``.

    What other threads and what the harness around the calls took stands outside.
    """
    profile = Profile(title, "cpu", "time_ms")
    for each in times:
        line = Line(each.function, each.file, each.line)
        other = "other threads" if os.path.realpath(each.file) == THREADS else HARNESS_TIME if _around(line) else ""
        if other:
            profile.outside[other] = profile.outside.get(other, 0.0) + each.total_ms
            continue
        for counter in ("python_ms", "native_ms", "system_ms"):
            profile.add(line, counter, getattr(each, counter))
        profile.add(line, "time_ms", each.total_ms)
        stack = (Frame(*line),)
        profile.stacks[stack] = profile.stacks.get(stack, 0.0) + each.total_ms
    read_sources(profile)
    return profile


def _own_file(line: Line) -> str:
    """Return the workbench's own file that a line stands in, from the folder of it all; empty for any other."""
    path = Path(line.file)
    return path.relative_to(HOME).as_posix() if path.is_relative_to(HOME) else ""


def _calls(line: Line) -> bool:
    """Return whether a line stands in a function that only calls the target. scalene does not always tell which."""
    callers = CALLERS.get(_own_file(line))
    return callers is not None and _function_of(line.line, _functions_in(line.file)) in callers


@functools.cache
def _functions_in(file: str) -> list[tuple[int, int, str]]:
    """Return first line, last line and name of every function of a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(Path(file).read_bytes())
    found = [each for each in ast.walk(tree) if isinstance(each, functions)]
    return [(each.lineno, each.end_lineno or each.lineno, each.name) for each in found]


def _around(line: Line) -> bool:
    """Return whether a line belongs to what surrounds the calls."""
    return _own_file(line).startswith(HARNESS) and not _calls(line)


def split(profile: Profile, lines: Profile | None) -> None:
    """Replace the lines that only call the kernel by the kernel's own, in the shares of the line sampler's `lines`.

    Without `lines`, or where they have no samples, the calling lines stay, and the profile says that they stand for
    all compiled time.
    """
    calling = [line for line in profile.counters if _calls(line)]
    charged_ms = sum(profile.counters[line]["time_ms"] for line in calling)
    if not charged_ms:
        return
    places = ", ".join(sorted(f"{Path(line.file).name}:{line.line}" for line in calling))
    if lines is None or not lines.total:
        profile.notes.append(f"scalene charges {charged_ms:,.0f} ms to {places}, the lines that call: they stay whole")
        return
    for line in calling:
        del profile.counters[line]
        profile.stacks.pop((Frame(*line),), None)
    for line in lines.counters:
        if lines.share(line):
            profile.add(line, "time_ms", charged_ms * lines.share(line))
    for stack, amount in lines.stacks.items():
        profile.stacks[stack] = profile.stacks.get(stack, 0.0) + charged_ms * amount / lines.total
    profile.sources.update(lines.sources)
    profile.badges.update(lines.badges)
    profile.notes_by_line.update(lines.notes_by_line)
    profile.notes.append(
        f"scalene charges {charged_ms:,.0f} ms to {places}, the lines that call the compiled code; the lines inside it "
        "share that time as the line sampler saw them in a run of its own"
    )
