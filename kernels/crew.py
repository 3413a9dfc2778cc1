"""Several threads on one state: each replays its own share of the input, on a core of its own where there are enough.

A kernel that threads may share has a ``divide``; its compiled ``replay_from`` then runs in every thread at the same
time, without the GIL, from a common start (`kernels.start_line`). A thread lives for one run only: starting it takes
some 50 us, outside what is timed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kernels.machine.affinity import allowed_cores, pin_thread
from kernels.start_line import StartLine

_cores: tuple[int, ...] = ()


def use_cores(cores: Iterable[int]) -> None:
    """Remember which cores the threads of later runs may take: a process that is pinned itself has forgotten them."""
    global _cores
    _cores = tuple(sorted(cores))


def cores() -> tuple[int, ...]:
    """Return the cores that threads of this process may take: those remembered, else those that it may run on now."""
    return _cores or tuple(_allowed())


def run_together(calls: Sequence[Callable[[], Any]]) -> tuple[list[Any], int]:
    """Make every call in a thread of its own, all at once; return their answers and the time of all of them in ns.

    The time is from the first that began to the last that ended; partials of compiled functions begin together, see
    `StartLine.behind`. The first thread takes the last core, as a process that measures does, the next one the core
    before. What a call raises is raised here, when all threads have ended.
    """
    taken = cores()
    line = StartLine(len(calls), len(taken))
    begun = [line.behind(index, call) for index, call in enumerate(calls)]
    answers = _in_threads(begun, taken, line.call_off)
    return answers, line.span_ns()


def _in_threads(calls: Sequence[Callable[[], Any]], cores: Sequence[int], call_off: Callable[[], None]) -> list[Any]:
    """Make every call in a pinned thread of its own and return the answers; `call_off` when one of them fails."""
    answers: list[Any] = [None] * len(calls)
    failures: list[BaseException] = []

    def work(index: int) -> None:
        try:
            if cores:
                pin_thread(cores[-1 - index % len(cores)])
            answers[index] = calls[index]()
        except BaseException as error:
            call_off()
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(calls))]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except BaseException:  # no further thread to be had, or Ctrl-C: who waits already must not wait for ever
        call_off()
        raise
    finally:
        for thread in started:
            thread.join()
    if failures:
        raise next((error for error in failures if not isinstance(error, threading.BrokenBarrierError)), failures[0])
    return answers


def _allowed() -> tuple[int, ...]:
    try:
        return allowed_cores()
    except RuntimeError:  # not Linux: the system places the threads
        return ()
