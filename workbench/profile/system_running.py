"""The parent's side of a system profile: starts the child, attaches what watches it, phase by phase, and gathers it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.codemap.addresses import CodeMap
from workbench.errors import WorkbenchError
from workbench.profile import bpf, strace
from workbench.profile.callgrind import _save
from workbench.profile.callgrind_lines import read_map
from workbench.profile.strace import Log, Tracer

TIMEOUT_S = 600.0  # for one step of the child's, beside the seconds that were asked for
SHARE_OF_SECONDS = 4.0  # a step takes up to so many times the seconds: three of them are waited through at most
PATIENCE = 4.0  # times the traced seconds that were asked for: then strace is taken off in the middle of a run
LEAST_PATIENCE_S = 10.0
SLICE_S = 0.5  # patience is counted in waits of this length: a machine that was suspended meanwhile costs one of them


@dataclass
class Found:
    """What the child and those who watched it brought back."""

    told: dict[str, Any]  # by the child, see `system_child.main`
    log: Log | None = None  # None: nobody traced
    broken_off: bool = False  # strace was taken off before the first run had ended
    code_map: CodeMap | None = None
    not_traced: str = ""  # why nobody traced, as one clause
    counted: dict[str, dict[int, int]] | None = None  # by bpftrace, in the runs that nobody traced
    not_counted: str = ""  # why bpftrace did not, as one clause
    log_text: str = field(default="", repr=False)  # strace's own file


class Watching:
    """One child and the tools around it."""

    def __init__(self, folder: Path, title: str, seconds: float, trace_seconds: float, *, trace: bool, count: bool):
        """`seconds` are those of the longest step that nobody traces."""
        self._folder, self._title, self._trace_seconds = folder, title, trace_seconds
        self._timeout_s = timeout_s(seconds, trace_seconds)
        self._trace, self._count = trace, count
        self._tracer: Tracer | None = None
        self._counting: bpf.Counting | None = None
        self.found = Found({})
        self._log = folder / "log.txt"
        command = [sys.executable, "-m", "workbench.profile.system_child", str(folder), str(os.getpid())]
        with self._log.open("wb") as errors:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )

    def run(self) -> Found:
        """Lead the child through its phases. Raises WorkbenchError when it fails; nothing is left running."""
        try:
            self._converse()
            status = self._child.wait(60)
        except subprocess.TimeoutExpired:
            raise WorkbenchError(f"{self._title}: the profiled process did not end") from None
        finally:
            self._take_off()
            if self._child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait()
            for stream in (self._child.stdin, self._child.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        answer = self._folder / "found.json"
        if status or not answer.is_file():
            told = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
            raise WorkbenchError(f"{self._title}: {told[-1].strip() if told else f'it ended with status {status}'}")
        self.found.told = json.loads(answer.read_text(encoding="utf-8"))
        if self._tracer is not None:
            self.found.log = self._tracer.result()
            self.found.code_map = read_map(self._folder)
            with contextlib.suppress(OSError):
                self.found.log_text = (self._folder / "strace.txt").read_text(errors="replace")
        return self.found

    def _converse(self) -> None:
        """Answer the child until it has nothing more to say."""
        assert self._child.stdout is not None and self._child.stdin is not None
        patience_s = max(LEAST_PATIENCE_S, PATIENCE * self._trace_seconds)
        waited_s, tracing = 0.0, False
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(SLICE_S):
                    waited_s += SLICE_S
                    if waited_s > self._timeout_s:
                        raise WorkbenchError(
                            f"{self._title}: it took more than {self._timeout_s:g} s: give it less to do"
                        )
                    if tracing and waited_s > patience_s:
                        self._break_off()
                        tracing = False
                    continue
                line = self._child.stdout.readline()
                if not line:
                    return
                answer = self._at_phase(json.loads(line)["phase"])
                waited_s, tracing = 0.0, bool(answer)
                with contextlib.suppress(BrokenPipeError):
                    self._child.stdin.write(json.dumps(answer).encode() + b"\n")
                    self._child.stdin.flush()

    def _at_phase(self, phase: str) -> dict[str, Any]:
        """Attach or take off what the phase needs; return the answer to the child."""
        if phase == "plain":
            self._start_counting()
        elif phase == "plain ended" and self._counting is not None:
            self.found.counted = self._counting.stop()
            self._counting = None
        elif phase == "traced" and self._trace:
            try:
                log = self._folder / "strace.txt"
                self._tracer = Tracer(self._child.pid, log, unwind=strace.can_unwind())
                return {"trace": True}
            except WorkbenchError as error:
                self.found.not_traced = str(error)
        elif phase == "traced":
            self.found.not_traced = "it was not asked for"
        elif phase == "traced ended" and self._tracer is not None:
            self._tracer.detach()
        return {}

    def _start_counting(self) -> None:
        if not self._count:
            self.found.not_counted = "it was not asked for"
            return
        try:
            self._counting = bpf.Counting(self._child.pid, self._folder)
        except WorkbenchError as error:
            self.found.not_counted = str(error)

    def _break_off(self) -> None:
        if self._tracer is not None:
            self._tracer.detach()
            self.found.broken_off = True

    def _take_off(self) -> None:
        if self._tracer is not None:
            self._tracer.detach()
        if self._counting is not None:
            self._counting.stop()


def timeout_s(seconds: float, trace_seconds: float) -> float:
    """Return after how long one step of the child's has failed."""
    return TIMEOUT_S + SHARE_OF_SECONDS * max(seconds, trace_seconds)


def watch(
    title: str,
    fields: Mapping[str, Any],
    files: Mapping[str, Any],
    *,
    seconds: float,
    trace_seconds: float,
    trace: bool = True,
    count: bool = True,
) -> Found:
    """Run a job in a child (`fields` and `files` as `system_child` reads them) and return what was found."""
    with tempfile.TemporaryDirectory(prefix="workbench-system-") as scratch:
        folder = Path(scratch)
        paths = [path for path in sys.path if path]
        job = {"modules": [], **fields, "paths": paths, "seconds": seconds, "trace_seconds": trace_seconds}
        _save(folder, {**files, "job.json": job})
        longest = max(seconds, float(job.get("jitter_seconds", 0)))
        return Watching(folder, title, longest, trace_seconds, trace=trace, count=count).run()
