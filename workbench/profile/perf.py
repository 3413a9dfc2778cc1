"""Linux perf on a child process: samples by address, resolved to source lines by the child's code map.

Where hardware counters cannot be had, as in most virtual machines, perf samples by its software event ``cpu-clock``.
The child also writes the map by which perf itself names compiled code, so that ``perf report`` shows lines too.
"""

from __future__ import annotations

import collections
import itertools
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workbench import abilities
from workbench.codemap.lines import Frame, own_frames, short_name
from workbench.errors import InputError, WorkbenchError
from workbench.profile.attribute import _WRAPPERS, read_sources
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.profile.watched import ALONE_PART, Child, Spent, Watcher, keep_files, last_words, state_overhead
from workbench.profile.watched_job import job_of
from workbench.profile.written_map import WrittenMap

RATE_PER_S = 1000.0
MOST_SAMPLES = 1_000_000  # of one thread at the usual rate 1,000 s, and memory for them is no matter yet
SCRIPT_S = 300.0  # how long perf may take to tell them
HARDWARE, SOFTWARE = "cycles:u", "cpu-clock:u"
_SAMPLE = re.compile(r"^\s*(\d+)\s+(\d+)\.(\d{9}):\s+([0-9a-f]+)\s+\((.*)\)\s*$")


class Sample(NamedTuple):
    """One sample as ``perf script`` tells it."""

    thread: int
    at_ns: int  # CLOCK_MONOTONIC
    address: int
    library: str  # the mapped file; "[unknown]" or a perf map for compiled code


def profile_perf(
    subject: Any,
    *arguments: Any,
    seconds: float = 5.0,
    rate_per_s: float = RATE_PER_S,
    workload: Any = None,
    keep: Path | None = None,
    **parameters: int,
) -> Profile:
    """Return the time by line of a variant or a function, as perf samples it in a child process.

    `subject` and `arguments` are those of `workbench.profile`; a variant that is not compiled can be given too, and
    shows by library. `keep` is a folder for ``perf.data`` and its map. Raises InputError for what cannot be watched,
    WorkbenchError when perf is absent or may not record.
    """
    ability = abilities.perf()
    if not ability.works:
        raise WorkbenchError(f"{ability.reason}: use {ability.fallback} instead")
    if not 1 <= rate_per_s <= 20_000 or not 0 < seconds <= 3600:
        raise InputError("perf takes 1 .. 20000 samples/s for at most 3600 s")
    event = HARDWARE if abilities.hardware_counters().works else SOFTWARE
    job = job_of(subject, *arguments, workload=workload, **parameters)
    with Child(job, perf_map=True) as child:
        data = child.folder / "perf.data"
        alone = [child.run(ALONE_PART * seconds)]
        log = child.folder / "perf.log"
        with Watcher(_command(event, data, child.pid, rate_per_s), log, lambda perf: _begun(data)) as watcher:
            watched = child.run(seconds)
        alone.append(child.run(ALONE_PART * seconds))
        child.finish()
        samples, cut = _script(data, child.folder / "script.log", watched)
        profile = profile_of(samples, child.code_map(), job.title)
        profile.overhead |= {"samples": float(len(samples)), "rate_per_s": rate_per_s}
        profile.notes += [_how(event), *cut]
        state_overhead(profile, "perf", alone, watched, watcher.cpu_s)
        stem = job.title.replace("/", "-")
        map_name = f"perf-{child.pid}.map"
        keep_files(profile, {data: f"{stem}.perf.data", child.folder / map_name: f"{stem}.{map_name}"}, keep)
        if keep is not None:
            profile.notes.append(
                f"to read {stem}.perf.data with perf report, copy {stem}.{map_name} to /tmp/{map_name} first"
            )
    return profile


def _how(event: str) -> str:
    caller = "perf tells no caller of library code, so that time stands outside"
    if event == HARDWARE:
        return f"perf sampled by CPU cycles ({event}); {caller}"
    return f"perf sampled by its software clock ({event}), since there are no hardware counters here; {caller}"


def _command(event: str, data: Path, pid: int, rate_per_s: float) -> list[str]:
    options = ["--no-bpf-event", "--event", event, "--freq", f"{rate_per_s:.0f}", "--clockid", "CLOCK_MONOTONIC"]
    return [shutil.which("perf") or "perf", "record", *options, "--output", str(data), "--pid", str(pid)]


def _begun(data: Path) -> bool:
    """Return whether perf records: it writes its file's head when the counters are open."""
    return data.is_file() and data.stat().st_size > 0


def _script(data: Path, log: Path, watched: Spent) -> tuple[list[Sample], list[str]]:
    """Return perf's samples, at most `MOST_SAMPLES` and as many as it tells in `SCRIPT_S`, and a note where more exist.

    perf tells them in the order of time, so what is left out are the last ones. Raises WorkbenchError when perf cannot
    read its own file.
    """
    command = [shutil.which("perf") or "perf", "script", "--input", str(data), "--ns", "--fields", "tid,time,ip,dso"]
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stream, text=True, errors="replace"
        ) as script,
    ):
        assert script.stdout is not None
        end = threading.Timer(SCRIPT_S, script.kill)
        end.start()
        try:
            whole = (row for row in script.stdout if row.endswith("\n"))  # the last one is cut where perf is ended
            samples = list(itertools.islice(read_script(whole, watched), MOST_SAMPLES + 1))
            if len(samples) > MOST_SAMPLES:
                script.kill()
                return samples[:-1], [f"perf has more samples than the first {MOST_SAMPLES:,}: the others are left out"]
            status = script.wait()
        finally:
            end.cancel()
            script.kill()
    late = status == -signal.SIGKILL
    if late and samples:
        left_out = f"those after the first {len(samples):,} are left out"
        return samples, [f"perf took more than {SCRIPT_S:g} s to tell its samples: {left_out}"]
    if status:
        why = f"no sample within {SCRIPT_S:g} s" if late else last_words(log)
        raise WorkbenchError(f"perf script could not read what perf recorded ({why})")
    return samples, []


def read_script(rows: Iterable[str], watched: Spent) -> Iterator[Sample]:
    """Yield the samples that were taken while the child was `watched`, from ``perf script -F tid,time,ip,dso``.

    Raises WorkbenchError for a row of another form.
    """
    for row in rows:
        if not row.strip():
            continue
        match = _SAMPLE.match(row)
        if match is None:
            raise WorkbenchError(f"perf script wrote {row[:80]!r}, which is no thread, time, address and file")
        thread, second, nanosecond, address, library = match.groups()
        at_ns = int(second) * 1_000_000_000 + int(nanosecond)
        if watched.began_ns <= at_ns <= watched.ended_ns:
            yield Sample(int(thread), at_ns, int(address, 16), library)


def profile_of(samples: Iterable[Sample], code_map: WrittenMap, title: str) -> Profile:
    """Return the profile of `samples`: by line of compiled code, what lies outside by library."""
    profile = Profile(title, "cpu")
    places = collections.Counter((sample.address, sample.library) for sample in samples)
    for (address, library), count in places.items():
        place = code_map.place(address)
        if place is None or (not place.frames and place.symbol.startswith(_WRAPPERS)):
            name = Path(library).name if place is None else "Numba's wrapper around a call from Python"
            profile.outside[name] = profile.outside.get(name, 0.0) + count
            continue
        frames = own_frames(place.frames) or (Frame(short_name(place.function), "", 0),)
        profile.add(_line(frames[0]), "samples", count)
        for line in {_line(frame) for frame in frames}:
            profile.add(line, "inclusive", count)
        stack = tuple(reversed(frames))
        profile.stacks[stack] = profile.stacks.get(stack, 0.0) + count
    read_sources(profile)
    profile.badges, profile.notes = dict(code_map.badges), list(code_map.failures)
    return profile


def _line(frame: Frame) -> Line:
    return Line(frame.function, frame.file, frame.line)
