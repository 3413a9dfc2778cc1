"""``profile(..., kind="system")``: what an operation asks of Linux, and what Linux takes from it.

In a process of its own: jitter of the core; context switches, page faults and time inside Linux of runs that nobody
traces; then the system calls of runs under strace, each with the line of compiled code that made it.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
from pathlib import Path
from typing import Any

import numpy as np

from workbench.codemap.build import is_compiled_function
from workbench.errors import InputError
from workbench.files import cache_folder, write_bytes, write_text
from workbench.measure.timing_lock import held_timing_lock
from workbench.own import PACKAGE as OWN
from workbench.profile import strace
from workbench.profile.attribute import read_sources
from workbench.profile.callgrind_job import call_job
from workbench.profile.counted import LineNote
from workbench.profile.measured import MeasuredProfile
from workbench.profile.portable import Module, pack
from workbench.profile.system_calls import INTERPRETER, Called, calls_of, run_figures, wait_shares, whole_runs
from workbench.profile.system_running import Found, watch
from workbench.profile.target import _events, _variant, own_call

RUN = "the run, not traced"
WAITS_SEEN = "waiting, looked at once a millisecond"
CALL = "system call "  # before the name of one, among what is measured
USERS = "__main__"
WAITS = 10  # times a call that does nothing: a call that takes longer waits for something
_FUTEX = {"x86_64": 202, "aarch64": 98}


def profile_system(
    subject: Any,
    *arguments: Any,
    seconds: float = 2.0,
    trace_seconds: float = 3.0,
    jitter_seconds: float = 1.0,
    trace: bool = True,
    workload: Any = None,
    keep: Path | None = None,
    **parameters: int,
) -> MeasuredProfile:
    """Return system calls by line, switches, faults and jitter of a variant or of a compiled function.

    `subject` and `arguments` are a kernel and a variant's name, with a `workload` and parameters; or a compiled
    function with its own arguments, an operation then being one call. `seconds` are spent on runs that nobody traces,
    up to `trace_seconds` on runs under strace, which is left out where it cannot attach or `trace` is False, and the
    profile says why. `keep` is a folder for strace's own file. Raises InputError with one sentence for what cannot be
    profiled, WorkbenchError when the process fails.
    """
    if not 0 < seconds <= 3600 or not 0 < trace_seconds <= 3600 or not 0 <= jitter_seconds <= 3600:
        raise InputError("seconds, trace_seconds and jitter_seconds lie in 0 .. 3600")
    module = Module()
    if is_compiled_function(subject):
        if workload is not None or parameters:
            raise InputError("a compiled function takes its own arguments, no workload and no parameters")
        title, fields, files, module = _call(subject, arguments)
    elif (variant := _variant(subject, arguments)).kernel.package == OWN:
        function, own_arguments = own_call(variant, workload, parameters)
        _, fields, files, module = _call(function, own_arguments)
        title = variant.full_name
    else:
        title, fields, files = variant_fields(variant, (), workload, parameters)
    fields["jitter_seconds"] = jitter_seconds
    with held_timing_lock(f"system profile of {title}"):
        found = watch(title, fields, files, seconds=seconds, trace_seconds=trace_seconds, trace=trace)
    profile = built(title, found, module, str(fields.get("module", "")))
    if keep is not None and found.log_text:
        file = keep / f"{title.replace('/', '-')}.strace.txt"
        write_text(file, found.log_text)
        profile.artefacts.append(str(file))
    return profile


def variant_fields(
    subject: Any, arguments: tuple[Any, ...], workload: Any, parameters: dict[str, int]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the title, the fields and the files of a job that runs a variant. Raises InputError."""
    variant = _variant(subject, arguments)
    kernel = variant.kernel
    if kernel.package == OWN:
        raise InputError(f"{variant.full_name} is a function with arguments of its own: threads cannot share them")
    if variant.peer or not is_compiled_function(variant.replay_from):
        raise InputError(f"{variant.full_name} is not compiled by Numba: strace it as a program of its own")
    if kernel.package.split(".")[0] == USERS:
        raise InputError(f"{variant.full_name} lives in this session only: put it into a package to watch it")
    events = _events(workload)
    chosen = {**kernel.parameters_for(events), **parameters}
    try:
        refused = variant.refuses(kernel.check_parameters(chosen))
    except ValueError as error:
        raise InputError(str(error)) from None
    if refused:
        raise InputError(f"{variant.full_name} cannot run so: {refused}")
    fields = {
        "kernel": kernel.name,
        "variant": variant.name,
        "parameters": kernel.check_parameters(chosen),
        "modules": [] if kernel.package.startswith("kernels.") else [kernel.package],
    }
    return variant.full_name, fields, {"events.npy": events}


def _call(function: Any, arguments: tuple[Any, ...]) -> tuple[str, dict[str, Any], dict[str, Any], Module]:
    """Return the job of calls of a function: imported by its name where it has one, else written into a module."""
    from workbench.measure.function_name import name_function

    if not hasattr(function, "py_func"):
        raise InputError(f"a function compiled with numba.njit can be watched, not a {type(function).__name__}")
    title = function.py_func.__name__
    named = None
    with contextlib.suppress(InputError):  # of a session, or its name is another's by now: its text crosses
        named = name_function(function)
    if named is None:
        job = call_job(function, *arguments)
        path = cache_folder() / "system" / f"target_{hashlib.sha256(job.module.text.encode()).hexdigest()[:24]}.py"
        write_bytes(path, job.module.text.encode())
        return title, {**job.fields, "module": str(path)}, job.files, job.module
    arrays: dict[str, np.ndarray] = {}
    told = [pack(argument, arrays) for argument in arguments]
    files = {"arguments.json": told, "arguments.npz": arrays}
    return title, {"function": named.model_dump()}, files, Module()


def built(title: str, found: Found, module: Module, written: str = "") -> MeasuredProfile:
    """Return the profile of what was found."""
    profile = MeasuredProfile(title, "system", main="system_calls")
    told = found.told
    run = run_figures(told["plain"]["sizes"])
    run |= {"threads": float(told["threads"]), "cores": float(told["cores"]), "steal_s": told["plain"]["steal_s"]}
    run["bare_call_ns"] = told["bare_call_ns"]
    profile.measured[RUN] = run
    waits = wait_shares(told["waits"])
    if waits:
        profile.measured[WAITS_SEEN] = waits
    for each in told["jitter"]:
        profile.measured[each.pop("title")] = each
    operations = {str(int(row["size"])): row["operations"] for row in told.get("traced", ())}
    called: list[Called] = []
    if found.log is not None:
        called = calls_of(found.log, operations, found.code_map, module.origins, written, int(told["threads"]))
        run["traced_runs"] = float(whole_runs(found.log, operations))
        _add_calls(profile, called, run)
        _say_cost(profile, found, run)
    _say_missing(profile, found)
    if found.counted is not None:
        _add_counted(profile, found)
    profile.badges = dict(told["badges"])
    profile.notes += module.notes
    read_sources(profile)
    return profile


def _add_calls(profile: MeasuredProfile, called: list[Called], run: dict[str, float]) -> None:
    for each in called:
        for line, amount in each.by_line.items():
            profile.add(line, "system_calls", float(amount))
            profile.add(line, each.name, float(amount))
            profile.notes_by_line.setdefault(line, LineNote())
        outside = sum(each.by_other.values())
        if outside:
            name = f"{each.name} by the {INTERPRETER} and libraries"
            profile.outside[name] = profile.outside.get(name, 0.0) + outside
        compiled = each.by_compiled_code / each.calls
        profile.measured[CALL + each.name] = {
            "calls": float(each.calls),
            "compiled_share": compiled,
            "unwound": float("not unwound" not in each.by_other),
            "typical_ns": each.typical_ns,
            "errors": float(each.errors),
        }
        if each.per_operation is not None:
            often = {"calls_per_operation": each.per_operation, "share_of_operation": _share(each, run)}
            profile.measured[CALL + each.name] |= often
        by_line = sorted(each.by_line.items(), key=lambda pair: -pair[1])
        if by_line:
            line = by_line[0][0]
            profile.details[CALL + each.name] = f"{Path(line.file).name}:{line.line} in {line.function}"


def _share(called: Called, run: dict[str, float]) -> float:
    """Return the part of an operation's time that a call is worth, at least: 0 .. 1.

    A call that waits is held against the time that passes, one that does not against the CPU's, which other programs on
    the core do not stretch.
    """
    waits = called.typical_ns > WAITS * run["bare_call_ns"]
    whole_ns = run["ns_per_operation"] * run["threads"] if waits else run["cpu_ns_per_operation"]
    cost_ns = max(called.typical_ns, run["bare_call_ns"])
    return min(1.0, (called.per_operation or 0.0) * cost_ns / whole_ns) if whole_ns else 0.0


def _say_cost(profile: MeasuredProfile, found: Found, run: dict[str, float]) -> None:
    """State what strace cost: the time of an operation under it against that of one without."""
    assert found.log is not None
    traced = max(found.told.get("traced", ()), key=lambda row: row["operations"], default=None)
    if traced is not None and run["ns_per_operation"] and not found.broken_off:
        ratio = traced["took_s"] * 1e9 / traced["operations"] / run["ns_per_operation"]
        profile.overhead["strace_slowdown_ratio"] = ratio
    profile.overhead["strace_call_us"] = found.log.call_cost_s * 1e6
    if found.broken_off:
        profile.notes.append(
            "strace was taken off in the middle of a run that took too long under it: calls per operation are at least "
            "what is shown"
        )
    if not strace.can_unwind():
        profile.notes.append("this strace cannot unwind (-k), so calls have no lines: install one built with libunwind")
    profile.notes.append("counts are of traced runs; times, switches and faults are of runs that nobody traced")


def _say_missing(profile: MeasuredProfile, found: Found) -> None:
    """State what is not there and why, and what the rest cost."""
    if found.not_traced:
        profile.notes.append(
            f"system calls were not counted: {found.not_traced}; switches, faults and time inside Linux are shown"
        )
    if found.not_counted:
        profile.notes.append(f"bpftrace did not count: {found.not_counted}")
    if not found.told["jitter"]:
        profile.notes.append(
            "jitter was not measured: it was not asked for, or the clock or the core was not to be had"
        )
    elif found.told["threads"] > 1:
        profile.notes.append(
            f"{found.told['threads']:.0f} threads leave no core to watch: jitter is of the time before the runs"
        )
    if found.told["cores"] == 1:
        profile.notes.append("only one core may be used: jitter was watched before the runs, not beside them")
    profile.overhead["jitter_watching_cores"] = float(any("beside" in name for name in profile.measured))


def _add_counted(profile: MeasuredProfile, found: Found) -> None:
    """Add what bpftrace saw of the runs that nobody traced, the process's own housekeeping included."""
    assert found.counted is not None
    sizes = found.told["plain"]["sizes"]
    operations = sum(size["operations"] * size["runs"] for size in sizes)
    calls = found.counted.get("calls", {})
    profile.measured["bpftrace, not traced"] = {
        "system_calls_per_operation": sum(calls.values()) / operations,
        "futex_calls_per_operation": calls.get(_FUTEX.get(platform.machine(), -1), 0) / operations,
        "switches_per_operation": sum(found.counted.get("switches", {}).values()) / operations,
    }
