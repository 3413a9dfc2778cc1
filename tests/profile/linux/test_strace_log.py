"""What strace writes becomes calls with their makers, between the marks and nowhere else."""

import pytest

from workbench.errors import WorkbenchError
from workbench.profile import bpf
from workbench.profile.counted import Line
from workbench.profile.strace import read
from workbench.profile.system_calls import HARNESS, INTERPRETER, calls_of, run_figures, whole_runs

LOG = """\
100 1700000000.000100 access("/workbench-mark/nothing", R_OK) = -1 ENOENT (No such file or directory) <0.000030>
100 1700000000.000200 openat(AT_FDCWD, "/etc/x", O_RDONLY) = 3 <0.000040>
100 1700000000.000300 access("/workbench-mark/begin 8", R_OK) = -1 ENOENT (No such file or directory) <0.000032>
 > /usr/lib/libc.so.6(access+0x7) [0xf8417]
 > /usr/lib/libpython3.11.so.1.0(os_access+0x2dc) [0x2ce35c]
100 1700000000.001000 getppid() = 1 <0.000031>
 > /usr/lib/libc.so.6(getppid+0x7) [0xd54f7]
 > unexpected_backtracing_error [0x7f0000000010]
101 1700000000.001500 futex(0x55, FUTEX_WAIT_PRIVATE, 2, NULL <unfinished ...>
100 1700000000.001600 futex(0x55, FUTEX_WAKE_PRIVATE, 1) = 1 <0.000033>
 > /usr/lib/libc.so.6(pthread_mutex_unlock+0x7) [0xd54f7]
 > unexpected_backtracing_error [0x7f0000000020]
101 1700000000.002000 <... futex resumed>) = -1 EAGAIN (Resource temporarily unavailable) <0.000500>
 > /usr/lib/libc.so.6(pthread_mutex_lock+0x7) [0xd54f7]
 > /usr/lib/libpython3.11.so.1.0(take_gil+0x7) [0x11]
101 1700000000.002100 --- SIGPROF {si_signo=SIGPROF} ---
101 1700000000.002200 exit(0) = ?
100 1700000000.003000 access("/workbench-mark/end 8", R_OK) = -1 ENOENT (No such file or directory) <0.000028>
100 1700000000.004000 getppid() = 1 <0.000031>
100 1700000000.005000 access("/workbench-mark/begin 64", R_OK) = -1 ENOENT (No such file or directory) <0.000032>
100 1700000000.005100 getppid() = 1 <0.000031>
"""


class Place:
    def __init__(self, frames):
        self.frames, self.function = frames, "somewhere"


class CodeMap:
    """Finds lines by return addresses, as the real one does by the address before."""

    def __init__(self, lines):
        self.lines = lines

    def lookup(self, address):
        from workbench.codemap.lines import Frame

        found = self.lines.get(address + 1)
        return None if found is None else Place(tuple(Frame(*frame) for frame in found))


CODE = CodeMap(
    {
        0x7F0000000010: [("work", "mine.py", 7)],
        0x7F0000000020: [("unlock", "/kernels/machine/locks.py", 3), ("push", "queue.py", 9)],
    }
)


def test_calls_count_between_marks_where_they_end():
    log = read(LOG.splitlines(keepends=True))
    (whole, open_phase) = log.phases
    assert [call.name for call in whole.calls] == ["getppid", "futex", "futex", "exit"]
    assert [call.thread for call in whole.calls] == [100, 100, 101, 101]
    assert whole.calls[2].error == "EAGAIN" and whole.calls[2].took_s == 0.0005
    assert whole.ended_s is not None and open_phase.ended_s is None
    assert len(log.mark_s) == 4 and 28e-6 <= log.call_cost_s <= 32e-6


def test_a_call_belongs_to_the_first_line_outside_of_the_library_of_locks():
    log = read(LOG.splitlines(keepends=True))
    called = {each.name: each for each in calls_of(log, {"8": 8.0, "64": 64.0}, CODE)}
    assert called["getppid"].by_line == {Line("work", "mine.py", 7): 1}
    assert called["futex"].by_line == {Line("push", "queue.py", 9): 1}
    assert called["futex"].by_other == {INTERPRETER: 1}
    assert called["getppid"].per_operation == 1 / 8, "one size was traced whole: only compiled code's calls count"
    assert called["futex"].per_operation == 1 / 8
    assert called["getppid"].typical_ns < 1_000 < called["futex"].typical_ns


def test_what_a_run_makes_whatever_its_size_is_no_part_of_an_operation():
    def run(size, count):
        begin, end = (
            f'1 {size}.1 access("/workbench-mark/{what} {size}", R_OK) = 0 <0.1>' for what in ("begin", "end")
        )
        return [begin, *["1 1.1 mmap(0) = 0 <0.1>"] * 5, *["1 1.1 read(0) = 0 <0.1>"] * count, end]

    log = read([*run(10, 10), *run(110, 110)])
    called = {each.name: each.per_operation for each in calls_of(log, {"10": 10.0, "110": 110.0}, None)}
    assert called == {"read": 1.0, "mmap": 0.0}
    alone = {each.name: each.per_operation for each in calls_of(read(run(10, 10)), {"10": 10.0}, None, threads=2)}
    assert alone == {"read": None, "mmap": None}, "one size, two threads and no stacks: nothing can be told"


def test_runs_count_that_were_traced_whole():
    log = read(LOG.splitlines(keepends=True))
    assert whole_runs(log, {"8": 8.0, "64": 64.0}) == 1 and whole_runs(log, {"64": 64.0}) == 0
    assert whole_runs(read([]), {"8": 8.0}) == 0


def test_waiting_for_the_start_is_no_part_of_an_operation():
    code = CodeMap({0x7F0000000010: [("line_up", "/x/kernels/start_line.py", 7)]})
    called = calls_of(read(LOG.splitlines(keepends=True)), {"8": 8.0}, code)
    assert "getppid" not in [each.name for each in called]
    assert HARNESS not in [name for each in called for name in each.by_other]


def test_an_operation_is_what_the_largest_run_has_more_than_the_smallest():
    names = ("voluntary_switches", "involuntary_switches", "minor_faults", "major_faults", "migrations")
    zero = dict.fromkeys((*names, "run_queue_ns"), 0.0)
    small = zero | {"runs": 2.0, "operations": 10.0, "elapsed_ns": 2_000.0, "voluntary_switches": 4.0}
    small |= {"user_ns": 1_000.0, "system_ns": 1_000.0}
    large = zero | {"runs": 2.0, "operations": 110.0, "elapsed_ns": 22_000.0, "voluntary_switches": 204.0}
    large |= {"user_ns": 11_000.0, "system_ns": 11_000.0}
    found = run_figures([small, large])
    assert found["voluntary_switches_per_operation"] == 1.0
    assert found["ns_per_operation"] == 100.0 and found["cpu_ns_per_operation"] == 100.0
    assert found["system_share"] == 0.5
    assert run_figures([large])["ns_per_operation"] == 100.0


def test_bpftrace_tells_counts_and_why_it_does_not(tmp_path):
    counted = bpf.read("Attaching 2 probes...\n\n@calls[202]: 17\n@calls[39]: 2\n@switches[1]: 9\n")
    assert counted == {"calls": {202: 17, 39: 2}, "switches": {1: 9}}
    errors = "ERROR: couldn't set RLIMIT_MEMLOCK\nstdin:1:1-34: ERROR: tracepoint not found: raw_syscalls:sys_enter\n"
    assert "where no debugfs is mounted" in bpf.why(errors, tmp_path / "absent")
    assert bpf.why(errors, tmp_path) == "tracepoint not found: raw_syscalls:sys_enter"


def test_bpftrace_ends_with_the_process_that_it_counts(tmp_path, monkeypatch):
    commands = []

    class Ended:
        def __init__(self, command, **options):
            commands.append(command)

        def poll(self):
            return 1

    monkeypatch.setattr(bpf.abilities, "bpftrace", lambda: bpf.abilities.Ability("bpftrace", True, ""))
    monkeypatch.setattr(bpf.subprocess, "Popen", Ended)
    with pytest.raises(WorkbenchError, match="bpftrace says"):
        bpf.Counting(4711, tmp_path)
    assert commands[0][1:3] == ["-p", "4711"]
