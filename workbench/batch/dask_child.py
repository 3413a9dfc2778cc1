"""What a Dask worker starts for each job: a process that runs it as the local engine does, and tells how far it is.

In a process of its own, so that the worker, which has to answer its scheduler, never waits for a long compilation, and
so that nothing of Dask is in the process that measures. It prints one JSON object in a line for each piece of news.
"""

from __future__ import annotations

import datetime
import json
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

from workbench.batch.engines import Work
from workbench.batch.job import LOG, Job, State, code_hash
from workbench.batch.local import LocalEngine
from workbench.parent import end_with_parent

ORDER, NOTEBOOK, BATCH, HERE = "order.json", "notebook", "batch", "here"


def describe() -> dict[str, Any]:
    """Return what a driver has to know of this machine before it sends a job."""
    from workbench.measure.machine import fingerprint

    machine = fingerprint()
    tools = [name for name in ("valgrind", "perf", "strace", "bpftrace", "heaptrack", "g++") if shutil.which(name)]
    return {
        "hostname": socket.gethostname(),
        "hardware_key": machine.hardware_key,
        "cpu_model": machine.cpu_model,
        "code": code_hash(),
        "tools": tools,
    }


def run(folder: Path) -> None:
    """Run the job that lies in `folder`: ``order.json`` and below ``notebook`` the notebook. Print the job's folder."""
    order = json.loads((folder / ORDER).read_bytes())
    job = Job.model_validate(order["job"])
    job = job.model_copy(update={"notebook": str(folder / NOTEBOOK / Path(job.notebook).name)})
    place = folder / BATCH / HERE / job.name
    place.mkdir(parents=True)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (place / LOG).write_text("".join(f"{now} {line}\n" for line in order["log"]))
    ends_s = None if order["left_s"] is None else time.monotonic() + order["left_s"]
    work = Work([job], folder / BATCH, HERE, 1, ends_s, order["batch_s"])
    LocalEngine().run(work, _Teller(), _no_report)
    _tell({"folder": str(place)})


def _no_report(_folder: Path, _state: State) -> None:
    """Leave the report to the driver, which makes it from the files that come back."""


class _Teller:
    """The local engine's listener: prints what happens."""

    def started(self, place: int, job: Job) -> None:
        _tell({"started": True})

    def cell(self, place: int, job: Job, cell: int, cells: int) -> None:
        _tell({"cell": cell, "cells": cells})

    def note(self, text: str) -> None:
        _tell({"note": text})

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Tell nothing: `run` tells the folder at its end."""


def _tell(news: dict[str, Any]) -> None:
    print(json.dumps(news), flush=True)


def main(words: list[str]) -> None:
    """Do what `words` say: ``describe PARENT``, or ``run PARENT FOLDER``."""
    end_with_parent(int(words[1]))
    if words[0] == "describe":
        _tell(describe())
    else:
        run(Path(words[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
