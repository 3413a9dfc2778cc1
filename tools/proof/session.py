"""What the script does: trial after trial until enough are stored, and each of the single proofs."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proof import storage
from proof.noise import loaded_machine
from proof.trial import Trial, machine_of
from workbench.files import cache_folder, write_text
from workbench.measure.machine import fingerprint
from workbench.measure.progress import Silent

EVENTS = 8_192  # operations of one replay: with two runs a block, 16,384 latencies, of which p99.9 needs 3,688
SEED = 20_261_123

Make = Callable[..., Any]


def say(text: str) -> None:
    """Print one line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def recording() -> Path:
    """Return the file of market events that all trials are fed with, made where it is not there yet."""
    from workbench.workloads import synthetic, write_recording

    path = cache_folder() / "proof" / f"events-{EVENTS}-{SEED}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_recording(path, synthetic(1, EVENTS, SEED).events)
    return path


def run_trials(
    folder: Path,
    kind: str,
    candidates: Sequence[str],
    wanted: int,
    deadline: float | None = None,
    make: Make = Trial,
) -> int:
    """Measure trials until `wanted` with all of `candidates` are stored, or `deadline` (monotonic) has passed.

    Returns how many were added. Each is stored as soon as it is done, so this can be stopped at any moment.
    """
    key = fingerprint().hardware_key
    done = sum(set(candidates) <= set(trial["gates"]) for trial in storage.read(folder, key, kind))
    added = 0
    say(f"{done} of {wanted} {kind} with {', '.join(candidates)} are stored for {key}")
    while done < wanted and (deadline is None or time.monotonic() < deadline):
        with loaded_machine() if kind == "noisy" else contextlib.nullcontext():
            record = make(tuple(candidates), recording(), Silent).run()
        storage.append(folder, kind, record)
        done, added = done + 1, added + 1
        say(f"{done} of {wanted}, {record['duration_s']:.0f} s: {_summary(record)}")
    return added


def _summary(record: dict[str, Any]) -> str:
    gates = record["gates"].items()
    return ", ".join(f"{label} {gate['verdict']}" for label, gate in gates)


def count_doses(folder: Path) -> None:
    """Count every variant's instructions and store them."""
    from proof.doses import count_instructions

    for record in count_instructions(say, str(recording())):
        storage.append(folder, "doses", record)


def show_omission(folder: Path, times: int) -> None:
    """Inject a pause under an open loop so many times, and store what was seen."""
    from proof.omission import inject

    for number in range(times):
        record = {**machine_of(fingerprint()), **inject()}
        storage.append(folder, "omission", record)
        say(
            f"pause {number + 1} of {times}: p99 {record['corrected_p99_ns']:,} ns, by the queue "
            f"{record['analytic_p99_ns']:,} ns; uncorrected {record['uncorrected_p99_ns']:,} ns"
        )


def plant(folder: Path) -> None:
    """Let the gate and the bisection find a slow commit, and store what they said."""
    from proof.planted import find_planted

    storage.append(folder, "planted", {**machine_of(fingerprint()), **find_planted(say, str(recording()))})


def write_table(folder: Path, page: Path) -> None:
    """Write the page from what is stored."""
    from proof.table import page_of

    write_text(page, page_of(folder))
    print(f"wrote {page}", file=sys.stderr)
