"""What runs inside a Dask worker: it starts a process for each job, passes its news on, and sends the files back.

Dask carries these functions by name, their arguments and results as bytes and JSON. The worker does nothing while a
job runs but look, every other second, whether the job is still wanted.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.batch.dask_package import pack, unpack

_LOOK_S = 2.0
_TAIL_BYTES = 4000  # of what a process that failed said last
_HASH_SEED = ("PYTHONHASHSEED", "6640")  # Dask's nanny puts it in beside what its settings name


def describe() -> str:
    """Return what a driver has to know of this worker, as a JSON object."""
    import dask
    from distributed import get_worker

    environment, taken_out = scrubbed(os.environ, _injected())
    child = [sys.executable, "-m", "workbench.batch.dask_child", "describe", str(os.getpid())]
    done = subprocess.run(child, check=False, capture_output=True, env=environment, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"it cannot describe its machine: {_last(done.stderr)}")
    sampled = bool(dask.config.get("distributed.worker.profile.enabled"))
    threads = get_worker().state.nthreads
    return json.dumps({**json.loads(done.stdout), "sampled": sampled, "threads": threads, "taken_out": taken_out})


def run(package: bytes, topic: str, mark: str, key: str) -> bytes:
    """Run the job in `package` and return its folder's files; pass its news on under `topic`, marked with `mark`.

    `key` is Dask's name for this call.

    Raises RuntimeError, one sentence, when there is nothing to send back, and when the job is no longer wanted.
    """
    from distributed import get_worker

    worker = get_worker()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status.name == "running" and task is not None and task.state in ("executing", "long-running")

    def tell(news: dict[str, Any]) -> None:
        worker.log_event(topic, {"mark": mark, **news})

    folder = Path(tempfile.mkdtemp(prefix="job-", dir=worker.local_directory))
    try:
        unpack(package, folder)
        environment, taken_out = scrubbed(os.environ, _injected())
        _complete_order(folder, str(worker.name), taken_out)
        place = _follow(folder, environment, tell, wanted)
        data, beyond = pack(place)
        if beyond:
            tell({"note": f"too large to be brought back: {', '.join(beyond)[:500]}"})
        return data
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scrubbed(environment: Mapping[str, str], injected: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return `environment` as it was before Dask, and what was taken out, as NAME=VALUE.

    Dask's nanny sets one thread for OpenMP and how glibc's malloc trims, where nobody has set them: both change what
    is measured, and differ from what the same job finds without Dask. `injected` is what it sets.
    """
    kept, taken_out = dict(environment), []
    for name, value in sorted(environment.items()):
        if injected.get(name) == value or name.startswith("DASK_"):
            del kept[name]
            taken_out.append(f"{name}={value}" if name in injected else name)
    return kept, taken_out


def _injected() -> dict[str, str]:
    """Return what the nanny of this worker puts into the environment; nothing for a worker without one."""
    import dask
    from distributed import get_worker

    if get_worker().nanny is None:
        return {}
    settings = dask.config.get("distributed.nanny.pre-spawn-environ")
    return {**{name: str(value) for name, value in settings.items() if value is not None}, _HASH_SEED[0]: _HASH_SEED[1]}


def _complete_order(folder: Path, name: str, taken_out: list[str]) -> None:
    """Write into the order what the job's log is to begin with."""
    path = folder / "order.json"
    order = json.loads(path.read_bytes())
    order["log"].append(f"on worker {name}")
    if taken_out:
        order["log"].append(f"taken out of the environment, where Dask had put it: {', '.join(taken_out)}")
    path.write_text(json.dumps(order))


def _follow(
    folder: Path, environment: dict[str, str], tell: Callable[[dict[str, Any]], None], wanted: Callable[[], bool]
) -> Path:
    """Run the process of the job in `folder` until it has told where its files are; end it when it is not `wanted`.

    Its own processes end with it: each asks Linux for that (`workbench.parent`).
    """
    errors = folder / "errors.txt"
    with errors.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.batch.dask_child", "run", str(os.getpid()), str(folder)],
            stdout=subprocess.PIPE,
            stderr=stream,
            env=environment,
            start_new_session=True,
        )
    place: Path | None = None
    assert process.stdout is not None
    try:
        for line in _lines(process.stdout.fileno(), wanted):
            with contextlib.suppress(ValueError):
                news = json.loads(line)
                if "folder" in news:
                    place = Path(news["folder"])
                else:
                    tell(news)
        process.wait(30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
    if process.returncode != 0 or place is None:
        raise RuntimeError(f"its process ended with code {process.returncode}: {_last(errors.read_bytes())}")
    return place


def _lines(handle: int, wanted: Callable[[], bool]) -> Any:
    """Yield lines until the other end is closed. Raises RuntimeError when they are no longer `wanted`."""
    pending = b""
    look_s = time.monotonic() + _LOOK_S
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while True:
            if selector.select(max(0.0, look_s - time.monotonic())):
                data = os.read(handle, 65536)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                yield from lines
            if time.monotonic() >= look_s:
                look_s = time.monotonic() + _LOOK_S
                if not wanted():
                    raise RuntimeError("the job is no longer wanted here")


def _last(words: bytes) -> str:
    """Return the last line that was said."""
    lines = words[-_TAIL_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
