"""One replicate: ``python -m workbench.measure.replicate``, a fresh process that compiles, warms up, then measures.

The job comes as one JSON object on standard input, the outcome goes to the file that the job names, whole or not at
all. Standard output carries one JSON object a line that says what is being done; what kernels print goes to standard
error. Dies with its driver.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import types
from numba.core.dispatcher import Dispatcher

from kernels._jit import compile_listener
from kernels.catalog import Kernel, Variant, catalog, get, register
from workbench import codemap, files, record
from workbench.errors import InputError, WorkbenchError
from workbench.gate import policy
from workbench.measure import closed_loop
from workbench.measure.clock import measure_clock
from workbench.measure.closed_loop import Subject
from workbench.measure.job import Chosen, Job, Outcome, Share

_PR_SET_PDEATHSIG = 1


class Teller:
    """Says on the driver's pipe what is being done. Nothing else may write there."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what a kernel or a peer prints must not reach the pipe

    def __call__(self, **message: Any) -> None:
        """Send one message."""
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()


def main() -> int:
    """Run one replicate and return the exit code; an expected failure is told on the pipe, in one sentence."""
    tell = Teller()
    _die_with_parent()
    codemap.install()  # keeps object code, so it has to come before anything is compiled or loaded
    tell(done="start")
    text = sys.stdin.read()
    if not text:
        return 1  # the driver gave up while this process was starting
    try:
        outcome = measure(Job.model_validate_json(text), tell)
    except WorkbenchError as error:
        tell(error=str(error), code=int(error.exit_code))
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    tell(done="finish")
    return 0 if outcome else 1


def measure(job: Job, tell: Any) -> Outcome:
    """Do `job`, write the outcome to its file and return it. Raises InputError, WorkbenchError."""
    core = pin()
    chosen, notes = find_variants(job)
    tell(done="find kernels")
    loaded = _load(job)
    notes += loaded.notes
    tell(done="load workload")
    started = datetime.datetime.now(datetime.UTC)
    clock = measure_clock()
    if clock.source != "tsc":
        notes.append("this machine's time-stamp counter is not invariant: single operations were not timed")
    tell(done="measure clock")
    parameters = _parameters(job, list(chosen), loaded.events)
    subjects: dict[str, list[Subject]] = {}
    for kernel, variants in chosen.items():
        try:
            subjects[kernel.name] = closed_loop.make_subjects(
                kernel, variants, loaded.events, parameters[kernel.name], clock
            )
        except (ValueError, RuntimeError, MemoryError) as error:
            raise InputError(str(error) or f"{kernel.name}: there is not enough memory for its state") from None
    tell(done="build states")
    compile_s = _compile(subjects, tell)
    tell(done="compile and warm up")
    shares = _shares(job, subjects, clock)
    everyone = [subject for group in subjects.values() for subject in group]
    with closed_loop.no_collection():
        blocks = _run_blocks(job, subjects, shares, tell)
    replicate = record.Replicate(
        index=job.replicate,
        core=core,
        clock=clock,
        started=started,
        compile_s=compile_s,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        allocations={s.name: closed_loop.count_allocations(s) for s in everyone if not s.variant.peer},
        code_hash={s.name: hashed for s in everyone if (hashed := hash_of(s.variant))},
        blocks=blocks,
    )
    outcome = Outcome(
        replicate=replicate,
        workload=loaded.workload,
        parameters={name: group[0].plain.parameters for name, group in subjects.items()},
        chosen=[_describe(s.variant) for s in everyone],
        operations_per_sample={
            kernel.name: kernel.operations_per_sample(subjects[kernel.name][0].plain.parameters) for kernel in chosen
        },
        shares=shares,
        notes=notes,
    )
    files.write_text(Path(job.outcome_file), outcome.model_dump_json())
    return outcome


def pin() -> int | None:
    """Pin this process to the last core it may use: Linux gives most interrupts to the first. None if refused."""
    try:
        core = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
    except OSError:
        return None
    return core


def find_variants(job: Job) -> tuple[dict[Kernel, list[Variant]], list[str]]:
    """Return the variants that `job` names, by kernel, and what was left out and why. Raises InputError."""
    _import_modules(job)
    chosen: dict[Kernel, list[Variant]] = {}
    notes: list[str] = []
    for selector in job.selectors:
        kernel_name, _, variant_name = selector.partition("/")
        try:
            kernel = get(kernel_name)
            wanted = [kernel.variant(variant_name)] if variant_name else list(kernel.variants.values())
        except (KeyError, ValueError) as error:
            raise InputError(str(error.args[0])) from None
        group = chosen.setdefault(kernel, [])
        for variant in wanted:
            reason = variant.missing()
            if reason and variant_name:
                raise InputError(f"{variant.full_name} cannot run here: {reason}")
            if reason:
                notes.append(f"{variant.full_name} was left out: {reason}")
            elif variant not in group:
                group.append(variant)
    for kernel, group in chosen.items():
        group.sort(key=list(kernel.variants.values()).index)
        if not group:
            raise InputError(f"{kernel.name}: none of its variants can run here")
    return chosen, notes


def _import_modules(job: Job) -> None:
    """Import users' kernels and register those that no entry point announces."""
    sys.path += [path for path in job.paths if path not in sys.path]
    for name in job.modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"module {name} cannot be imported ({error}): give its import name, as pack.kernel"
            ) from None
        kernel = getattr(module, "KERNEL", None)
        if not isinstance(kernel, Kernel):
            raise InputError(f"module {name} has no KERNEL: its __init__.py must hold a kernels.Kernel of that name")
        if catalog().get(kernel.name) is not kernel:
            register(kernel)


def _load(job: Job) -> Any:
    """Return the workload with its description: from the file, the name, or the default."""
    from workbench import workloads

    if job.input_file is None:
        return workloads.parse(job.workload) if job.workload else workloads.default()
    loaded = workloads.load(job.input_file)
    if job.description is None:
        return loaded
    return type(loaded)(events=loaded.events, workload=job.description)


def _parameters(job: Job, chosen: list[Kernel], events: np.ndarray) -> dict[str, dict[str, int]]:
    """Return the parameters of each kernel: what the stream asks for, then what the job says."""
    known = {parameter.name for kernel in chosen for parameter in kernel.parameters}
    for name in job.parameters:
        if name not in known:
            raise InputError(f"no kernel here has a parameter {name!r}: there are {', '.join(sorted(known)) or 'none'}")
    made = {}
    for kernel in chosen:
        own = {parameter.name for parameter in kernel.parameters}
        wanted = {name: value for name, value in job.parameters.items() if name in own}
        made[kernel.name] = {**kernel.parameters_for(events), **wanted}
    return made


def _compile(subjects: Mapping[str, list[Subject]], tell: Any) -> dict[str, float]:
    """Compile and warm up each variant; return the seconds that Numba compiled, 0 where all came from the cache."""
    seconds: dict[str, float] = {}
    for subject in (subject for group in subjects.values() for subject in group):
        tell(doing=f"compile and warm up {subject.name}")
        spent: list[float] = []

        def listen(function: str, took: float, spent: list[float] = spent) -> None:
            spent.append(took)
            tell(compiled=function, seconds=round(took, 3))

        with compile_listener(listen):
            try:
                closed_loop.warm_up(subject)
            except (ValueError, RuntimeError) as error:
                raise WorkbenchError(f"{subject.name} failed while it warmed up: {error}") from error
        seconds[subject.name] = sum(spent)
    return seconds


def _shares(job: Job, subjects: Mapping[str, list[Subject]], clock: record.Clock) -> dict[str, Share]:
    """Return how much each block does: as the first replicate chose, or chosen here when this is the first."""
    shares = dict(job.shares)
    for name, group in subjects.items():
        if name not in shares:
            call = max((closed_loop.shortest_call_ns(s) for s in group if not s.variant.peer), default=0)
            least = max(policy.STEPS_PER_RUN * clock.step_ns, policy.CALLS_PER_RUN * call)
            plan = closed_loop.make_plan(group, job.seconds, least, policy.BLOCKS_PER_REPLICATE, policy.LEAST_BLOCKS)
            shares[name] = Share(blocks=plan.blocks, repeats=plan.repeats)
    return shares


def _run_blocks(job: Job, subjects: Mapping[str, list[Subject]], shares: dict[str, Share], tell: Any) -> list[Any]:
    """Run the blocks of all kernels in turn, so that a disturbance of seconds hits no kernel alone."""
    total = sum(shares[name].blocks for name in subjects)
    tell(measuring=total)
    blocks: list[record.Block] = []
    for turn in range(max(shares[name].blocks for name in subjects)):
        for name, group in subjects.items():
            share = shares[name]
            if turn < share.blocks:
                plan = closed_loop.Plan(share.blocks, share.repeats)
                rotation = job.replicate * share.blocks + turn
                blocks.append(closed_loop.run_block(group, plan, job.replicate, len(blocks), rotation))
                tell(block=len(blocks), of=total)
    return blocks


def hash_of(variant: Variant) -> str:
    """Return the hash of the machine code of `variant` without a probe; empty for what is not compiled by Numba."""
    dispatcher = variant.replay_from
    if not isinstance(dispatcher, Dispatcher):
        return ""
    plain = [s for s in dispatcher.signatures if s and isinstance(s[-1], (types.NoneType, types.Omitted))]
    with contextlib.suppress(WorkbenchError):  # code that was not kept has no identity; its times are still true
        return codemap.code_hash(dispatcher, plain[-1]) if plain else ""
    return ""


def _describe(variant: Variant) -> Chosen:
    return Chosen(kernel=variant.kernel.name, variant=variant.name, parent=variant.parent, peer=variant.peer)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its driver dies: nothing may go on timing unseen."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # taking LLVM and NumPy down in order takes 0.2 s, and the outcome is on the disk
