"""Missing ``nogil``: while the function runs, no other Python thread does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from workbench.profile.diagnosis import arguments as args_
from workbench.profile.diagnosis.model import Effect, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Side, Trials, refused, summarize

HELP = "holds Python's lock while it runs"

LONG_CALL_S = 200e-6
"""Below this a call holds the lock for less than a hand-over of it costs, so releasing it gains nothing."""

BLOCKS = 9  # the sign test then leaves out the most disturbed block at either end
WORK_S = 0.02  # of one thread in one block


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report a function without ``nogil`` whose call is long enough to keep other threads waiting."""
    wrapper = subject.result.library.get_llvm_str()
    if subject.options.get("nogil") or subject.result.objectmode or "@PyEval_SaveThread" in wrapper:
        return []
    call_s = trials.call_s()
    if call_s < LONG_CALL_S:
        return []
    return [
        Suspicion(
            check="nogil",
            lines=(subject.first_line,),
            what=f"A call keeps every other Python thread waiting for {call_s * 1e3:.2g} ms.",
            evidence="LLVM IR of the wrapper: no call of PyEval_SaveThread; the call's time was measured",
            fix="Compile with nogil=True: the code touches no Python object.",
            measured=lambda: two_threads(trials, call_s),
            stands=True,  # how much two threads gain depends on whether a second core is free just now
        )
    ]


def two_threads(trials: Trials, call_s: float) -> Effect:
    """Measure how much sooner two threads finish the same calls when the lock is released."""
    label = "nogil=True"
    if len(os.sched_getaffinity(0)) < 2:
        return refused(label, "not measured: this process may use one core only")
    sides = []
    subject = trials.subject
    for options in ({}, {"nogil": True}):
        build = subject.build(options)
        assert build is not None
        sides.append([Side(build, subject.arguments), Side(build, subject.arguments)])
    calls = max(1, round(WORK_S / call_s))
    ratios = []
    with trials.quiet():
        for block in range(BLOCKS):
            taken = [0.0, 0.0]
            for which in (0, 1) if block % 2 == 0 else (1, 0):
                pair = sides[which]
                taken[which] = _together([side.function for side in pair], [side.live for side in pair], calls)
            ratios.append(taken[0] / taken[1])
    moved = args_.difference(sides[0][0].result, sides[1][0].result)
    return summarize(label, ratios, moved, tolerance=0.0, unit="time of the same calls in two threads")


def _together(functions: list[Callable[..., Any]], arguments: list[tuple[Any, ...]], calls: int) -> float:
    """Return the seconds until every thread has made its calls."""
    gate = threading.Barrier(len(functions) + 1)

    def work(function: Callable[..., Any], own: tuple[Any, ...]) -> None:
        gate.wait()
        for _ in range(calls):
            function(*own)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(functions, arguments, strict=True)]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began
