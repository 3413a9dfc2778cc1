"""The child processes of a memory profile seen from outside: started, their memory sampled, their answer read."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import InputError, WorkbenchError
from workbench.profile.memory_facts import Phase, Watched
from workbench.profile.memory_job import LOG, PHASES, RESULT

TIMEOUT_S = 900  # beside the seconds that were asked for: loading, compiling, recording and reading
INTERVAL_S = 0.005
MOST_SAMPLES = 2_000  # beyond, every second one is dropped, and half as many are taken from then on


@dataclass
class Samples:
    """RSS of one process. The sampler only sleeps and reads one small file: what that costs is stated beside it."""

    began_ns: int = 0
    rows: list[tuple[float, int]] = field(default_factory=list)  # s since the start, bytes
    interval_s: float = INTERVAL_S
    count: int = 0
    cost_s: float = 0.0

    def take(self, process: int) -> None:
        """Read the memory of `process` once."""
        began = time.perf_counter()
        try:
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except (OSError, IndexError):  # it has just ended
            return
        if not pages:  # it has ended, and nobody has waited for it yet
            return
        self.rows.append(((time.monotonic_ns() - self.began_ns) / 1e9, pages * resource.getpagesize()))
        if len(self.rows) > MOST_SAMPLES:
            self.rows = self.rows[::2]
            self.interval_s *= 2
        self.count += 1
        self.cost_s += time.perf_counter() - began


def execute(
    folder: Path, mode: str, title: str, *, sampled: bool = False, seconds: float = 0.0
) -> tuple[dict[str, Any], Samples]:
    """Run a child to its end; return its answer and the samples of its memory. It dies with its group on interruption.

    `seconds` are those that it was asked to run for: it may take `TIMEOUT_S` more.
    Raises InputError or WorkbenchError with what the child told, or with how it ended.
    """
    command = [sys.executable, "-m", "workbench.profile.memory_child", str(folder), mode, str(os.getpid())]
    samples = Samples(began_ns=time.monotonic_ns())
    status = run_command(command, folder, title, samples if sampled else None, seconds=seconds)
    if not (folder / RESULT).is_file():
        raise WorkbenchError(f"{title}: its process {_how_it_ended(status)} before it was done{_told(folder)}")
    answer: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    if "error" in answer:
        raise (InputError if answer.get("usage") else WorkbenchError)(answer["error"])
    return answer, samples


def run_command(
    command: list[str], folder: Path, title: str, samples: Samples | None = None, *, seconds: float = 0.0
) -> int:
    """Run `command` with its output in the folder's log; return its status. Raises WorkbenchError when it hangs."""
    timeout_s = TIMEOUT_S + seconds
    ends = time.monotonic() + timeout_s
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            while samples is not None and process.poll() is None and time.monotonic() < ends:
                samples.take(process.pid)
                time.sleep(samples.interval_s)
            return process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise WorkbenchError(f"{title}: its process took more than {timeout_s:g} s: give it less to do") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    return f"ended by itself with exit status {status}"


def _told(folder: Path) -> str:
    lines = [line for line in (folder / LOG).read_text(errors="replace").splitlines() if line.strip()]
    return f" ({lines[-1].strip()[:200]})" if lines else ""


def watched_of(answer: dict[str, Any], samples: Samples, folder: Path) -> Watched:
    """Return what the watched process told, with the samples and the phases.

    Where Linux let it not begin its highest RSS anew, the highest sample during the calls stands in.
    """
    lasted_s = samples.rows[-1][0] if samples.rows else 0.0
    phases = _phases(folder, samples.began_ns)
    if answer["peak_is_sampled"]:
        calls = next(phase for phase in phases if phase.name == "calls")
        seen = [rss for at_s, rss in samples.rows if calls.began_s <= at_s <= calls.ended_s]
        answer = answer | {"peak_rss_bytes": max([answer["peak_rss_bytes"], answer["before_rss_bytes"], *seen])}
    return Watched(
        **answer,
        rss_over_time=samples.rows,
        phases=phases,
        sample_interval_ms=samples.interval_s * 1e3,
        sample_cost_us=samples.cost_s / max(1, samples.count) * 1e6,
        sampler_core_share=samples.cost_s / lasted_s if lasted_s else 0.0,
    )


def _phases(folder: Path, began_ns: int) -> list[Phase]:
    rows = [json.loads(text) for text in (folder / PHASES).read_text(encoding="utf-8").splitlines()]
    return [
        Phase(
            name=row["name"],
            began_s=max(0.0, (row["at_ns"] - began_ns) / 1e9),
            ended_s=(later["at_ns"] - began_ns) / 1e9,
            minor_faults=later["minor"] - row["minor"],
            major_faults=later["major"] - row["major"],
        )
        for row, later in itertools.pairwise(rows)
    ]
