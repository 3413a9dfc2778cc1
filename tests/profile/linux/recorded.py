"""Profiles as the profilers make them, from figures that were measured once and rounded."""

from workbench.profile.contention import ContentionProfile
from workbench.profile.contention_findings import lines_name, point_name
from workbench.profile.counted import Line
from workbench.profile.measured import MeasuredProfile
from workbench.profile.system import CALL, RUN
from workbench.record import Comparison, Verdict

QUIET = {
    "ns_per_operation": 500.0,
    "cpu_ns_per_operation": 500.0,
    "voluntary_switches_per_operation": 0.0,
    "involuntary_switches_per_operation": 1e-6,
    "minor_faults_per_operation": 1e-6,
    "major_faults_per_operation": 0.0,
    "system_share": 0.01,
    "run_queue_share": 0.0,
    "migrations": 0.0,
    "runs": 9.0,
    "operations": 100_000.0,
    "threads": 1.0,
    "cores": 2.0,
    "steal_s": 0.0,
    "bare_call_ns": 100.0,
}
JITTER = {
    "duration_s": 1.0, "share": 0.0005, "gaps_per_s": 250.0, "gaps": 250.0, "longest_ns": 60e3, "steal_s": 0.0,
    "threshold_ns": 1000.0, "reading_ns": 9.6, "p0_ns": 1000.0, "p50_ns": 1500.0, "p99_ns": 9e3, "p99.9_ns": 5e4,
    "p100_ns": 60e3,
}  # fmt: skip
INTERPRETER = {
    "calls_per_operation": 0.0, "calls": 3.0, "compiled_share": 0.0, "unwound": 1.0, "typical_ns": 0.0, "errors": 0.0,
    "share_of_operation": 0.0,
}  # fmt: skip


def a_system_profile(calls=None, run=None, *, traced=True, notes=()):
    """A profile whose operation makes `calls` (name: figures that differ from a call of the interpreter's)."""
    profile = MeasuredProfile("mine/fast", "system", main="system_calls", notes=list(notes))
    profile.measured[RUN] = QUIET | (run or {})
    profile.measured["jitter of core 1, alone"] = dict(JITTER)
    if traced:
        profile.measured[CALL + "munmap"] = dict(INTERPRETER)
        profile.overhead |= {"strace_slowdown_ratio": 120.0, "strace_call_us": 30.0}
    for name, figures in (calls or {}).items():
        profile.measured[CALL + name] = INTERPRETER | {"calls": 64.0, "compiled_share": 1.0} | figures
        profile.details[CALL + name] = "mine.py:7 in work"
        profile.add(Line("work", "mine.py", 7), "system_calls", 64.0)
    return profile


POINT = {
    "watched_ns_per_operation": 500.0,
    "watched_voluntary_switches_per_operation": 0.0,
    "futex_calls_per_operation": 0.0,
    "sleeping_calls_per_operation": 0.0,
    "service_p99_ns": 700.0,
    "operations_per_sample": 1.0,
}


def a_contention_profile(*points):
    """A profile of `points`: (variant, threads, throughput, figures that differ)."""
    profile = ContentionProfile("mine", "contention", main="system_calls")
    for variant, threads, throughput, figures in points:
        here = POINT | {"threads": float(threads), "throughput_per_s": throughput}
        profile.measured[point_name(variant, threads)] = here | figures
    return profile


def share_line(profile, variant, threads, false_lines):
    """Say how many lines the threads of `variant` share falsely."""
    name = lines_name(variant, threads)
    profile.measured[name] = {"known": 1.0, "lines": 2.0, "false_lines": float(false_lines), "true_lines": 0.0}
    if false_lines:
        profile.details[name] = "thread 0 bytes 0 to 7 and thread 1 bytes 8 to 15 of a line of counts"


def against(a, b, ratio, verdict=Verdict.FASTER):
    return Comparison(
        a=f"mine/{a}", b=f"mine/{b}", metric="throughput", statistic="mean", ratio=ratio, low=ratio * 0.9,
        high=ratio * 1.1, margin=0.03, verdict=verdict, blocks=60, replicates=6,
    )  # fmt: skip
