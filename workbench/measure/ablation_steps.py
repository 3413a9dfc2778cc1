"""The steps from a careful first pipeline to the fastest one, as data: what each changes, and what adopting it takes.

In the order in which a team would take them: each phase rests on what the one before it has made safe. A step replaces
what an earlier one chose for the same part, so a step that did not pay is gone as soon as a later one takes its part.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kernels.machine.memory import huge_pages_available

_X86 = ("x86_64", "amd64")
_NODES = Path("/sys/devices/system/node")


@dataclass(frozen=True)
class Step:
    """One idea that is switched on. `absent` says in one clause why it cannot be had on this machine; empty: it can."""

    name: str
    title: str
    phase: str
    idea: str  # what it changes, and why that should be faster
    effort: str  # of a team that has the code before the step and writes the code after it
    risk: str
    mitigation: str
    roll_back: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the kernel
    features: Mapping[str, bool] = field(default_factory=dict)  # of `workbench.measure.ablation.FIRST_FEATURES`
    absent: Callable[[], str] = lambda: ""
    carried: bool = True  # whether later steps stand on it; False: measured, and then taken back


def nodes(folder: Path = _NODES) -> int:
    """Return how many memory nodes (NUMA) this machine has; 1 where Linux does not tell."""
    return len(list(folder.glob("node[0-9]*"))) or 1


def _no_target() -> str:
    machine = platform.machine().lower()
    return "" if machine in _X86 else f"a generic target to compare with is known for x86-64 only, not for {machine}"


def _no_huge_pages() -> str:
    return "" if huge_pages_available() else "Linux gives no transparent huge pages here"


def _one_node() -> str:
    count = nodes()
    if count == 1:
        return "all memory of this machine is equally near to its cores: one node"
    return f"the {count} nodes of this machine are not compared: pinning alone keeps a process and its memory on one"


QUICK, FREE, WIDE, COPY, LAYOUT, PLATFORM = (
    "quick wins",
    "lock-free",
    "SIMD",
    "zero-copy",
    "cache layout",
    "platform",
)
PHASES = (QUICK, FREE, WIDE, COPY, LAYOUT, PLATFORM)

STEPS = (
    Step(
        name="unchecked",
        title="no bounds checks",
        phase=QUICK,
        idea="Indices are validated once at the border in Python, and not at each access of compiled code.",
        effort="hours: one option, and a border that validates",
        risk="an index that is wrong reads or writes foreign memory instead of raising",
        mitigation="the tests run with the checks on too; every input is fuzzed; sizes are validated once",
        roll_back="NUMBA_BOUNDSCHECK=1 in the environment, without a new release",
        features={"bounds_checks": False},
    ),
    Step(
        name="host_target",
        title="compiled for this CPU",
        phase=QUICK,
        idea="LLVM may use every instruction of the CPU at hand, not only those of the first x86-64.",
        effort="hours: it is Numba's default; a cache of compiled code is then one for each kind of CPU",
        risk="a cache that is copied to an older CPU would end in an illegal instruction",
        mitigation="the target is part of the cache's key; results are tested for the generic target as well",
        roll_back="NUMBA_CPU_NAME=x86-64 and NUMBA_CPU_FEATURES= in the environment",
        features={"host_target": True},
        absent=_no_target,
    ),
    Step(
        name="inlined",
        title="forced inlining",
        phase=QUICK,
        idea="The parts' single operations are written into the loop that calls them: no call hands over a state.",
        effort="days: which functions are worth it is measured, one by one",
        risk="more machine code, longer compilation, and at some size more misses in the instruction cache",
        mitigation="rare paths are kept out of line; compile time and code size stand in the reports",
        roll_back="one option of the decorator",
        features={"inlining": True},
    ),
    Step(
        name="fast_math",
        title="fast math",
        phase=QUICK,
        idea="Floating point may be reordered and fused: chains of additions become shorter.",
        effort="hours, and days to show that the results may differ",
        risk="other results in the last digits, and comparisons with NaN that no longer hold: other orders",
        mitigation="orders are compared byte for byte with those of the build without it",
        roll_back="one option of the decorator",
        features={"fast_math": True},
        carried=False,  # it makes other orders: NaN is how a signal says that it has not started
    ),
    Step(
        name="spin_lock",
        title="spin lock in the queue",
        phase=QUICK,
        idea="A thread that waits a moment does not go to sleep and need not be woken.",
        effort="hours: the same interface",
        risk="a holder that loses its core lets the others burn theirs",
        mitigation="a core of its own for each thread; the lock naps when it waits for long",
        roll_back="the parameter queue=baseline",
        parameters={"queue": "spin_mutex"},
    ),
    Step(
        name="adaptive_lock",
        title="adaptive lock in the queue",
        phase=QUICK,
        idea="The mutex is tried for some microseconds before the thread sleeps: safe where cores are shared.",
        effort="hours: the same interface",
        risk="where the lock is held for long, the tries are lost",
        mitigation="measured under contention, with two threads on two cores",
        roll_back="the parameter queue=baseline",
        parameters={"queue": "adaptive_mutex"},
    ),
    Step(
        name="lock_free_parts",
        title="lock-free queue, pool, limits, positions",
        phase=FREE,
        idea="Atomic operations where a mutex stood: no thread waits for one that was put aside.",
        effort="weeks: proofs and stress tests take longer than the code",
        risk="an order of memory that is too weak shows once in millions, and on another machine",
        mitigation="histories of real threads checked for linearizability; stress with pauses in every window",
        roll_back="the parameters queue, pool, risk and position, part by part",
        parameters={"queue": "lock_free", "pool": "lock_free", "risk": "lock_free", "position": "lock_free"},
    ),
    Step(
        name="lock_free_book",
        title="lock-free book: skip list",
        phase=FREE,
        idea="The classic concurrent book: readers never wait, and several threads may change levels.",
        effort="weeks: reuse of nodes by epochs",
        risk="links instead of rows: each level is a cache miss of its own",
        mitigation="worth it only where several threads write one book; else the next step",
        roll_back="the parameter book=baseline",
        parameters={"book": "skip_list"},
        carried=False,  # for several writers of one book; here one thread writes
    ),
    Step(
        name="single_owner_book",
        title="one owner of the book, direct index",
        phase=FREE,
        idea="One thread owns the book, so nothing is locked; a level is found by its price, nothing is searched.",
        effort="two weeks: a window of ticks that moves, and what lies outside of it",
        risk="prices far from the window cost more; memory for each symbol",
        mitigation="far prices spill into a sorted side; tested with markets that jump",
        roll_back="the parameter book=baseline",
        parameters={"book": "ladder"},
    ),
    Step(
        name="simd_book",
        title="vectors in the book",
        phase=WIDE,
        idea="The next best level is found by wide compares, depth is summed by vectors.",
        effort="a week",
        risk="code that only its author reads; a width for each target",
        mitigation="one source for all widths; every width tested against the reference",
        roll_back="the parameter book=ladder",
        parameters={"book": "simd"},
    ),
    Step(
        name="simd_parts",
        title="vectors in the other parts",
        phase=WIDE,
        idea="Limits of an account in one vector, an order encoded by one permutation, slots found by wide compares.",
        effort="two weeks",
        risk="for one message at a time there is little to do side by side; for one thread only",
        mitigation="each part chosen by its own measurement",
        roll_back="the parameters of the parts",
        parameters={
            "signal": "simd",
            "risk": "simd",
            "codec": "simd",
            "pool": "simd",
            "position": "simd",
            "queue": "simd",
        },
    ),
    Step(
        name="in_place_order",
        title="the order as it lies in memory",
        phase=COPY,
        idea="The record itself is the form on the wire: nothing is packed, and to decode is to check in place.",
        effort="days, and an agreement with whoever reads it",
        risk="the layout becomes a protocol: a field more is a new version of it",
        mitigation="sizes and offsets are tested; another byte order is refused",
        roll_back="the parameter codec=big_endian",
        parameters={"codec": "aligned"},
    ),
    Step(
        name="no_allocation",
        title="slots made once, on a stack",
        phase=COPY,
        idea="An order takes the slot that was given back last, still in the cache; nothing is allocated or searched.",
        effort="days",
        risk="a fixed number of open orders; for one thread",
        mitigation="what has no slot is counted and told, and no order is lost silently",
        roll_back="the parameter pool=baseline",
        parameters={"pool": "stack"},
    ),
    Step(
        name="line_each",
        title="an account and a position are a cache line each",
        phase=LAYOUT,
        idea="What is used together lies on one line, and lines of different owners are never shared.",
        effort="days",
        risk="more memory for many accounts",
        mitigation="memory has a budget of its own in the reports",
        roll_back="the parameters risk and position",
        parameters={"risk": "aligned", "position": "aligned"},
    ),
    Step(
        name="aligned_book",
        title="an order of the book is one line, asked for ahead",
        phase=LAYOUT,
        idea="16 bytes for an order instead of four columns; the lines of later messages are fetched meanwhile.",
        effort="a week",
        risk="fetching ahead needs to see later messages; too far ahead it drives out what is needed",
        mitigation="the distance is measured",
        roll_back="the parameter book=simd",
        parameters={"book": "aligned"},
    ),
    Step(
        name="combined_book",
        title="the fastest part of each kind",
        phase=LAYOUT,
        idea="The orders of the step before and the levels of the vector book in one loop; each part its fastest form.",
        effort="a week",
        risk="the parts were chosen for one market and one kind of CPU",
        mitigation="the choice is a parameter: measured again for every new market and machine",
        roll_back="the parameters of the parts",
        parameters={"book": "combined", "queue": "lock_free", "signal": "baseline"},
    ),
    Step(
        name="pinned",
        title="pinned to a core",
        phase=PLATFORM,
        idea="A thread that stays keeps its caches.",
        effort="hours",
        risk="whatever else runs on that core now stands in the way for good",
        mitigation="cores kept free of others (isolcpus, cpusets), interrupts elsewhere",
        roll_back="leave the pinning out, without a new release",
        features={"pinned": True},
    ),
    Step(
        name="huge_pages",
        title="huge pages",
        phase=PLATFORM,
        idea="Pages of 2 MB: a handful of entries of the TLB instead of thousands.",
        effort="hours",
        risk="memory that is touched in part becomes resident as a whole",
        mitigation="asked for where the state is large; resident memory has a budget",
        roll_back="variables of the process, without a new release",
        features={"huge_pages": True},
        absent=_no_huge_pages,
    ),
    Step(
        name="hints",
        title="branch hints",
        phase=PLATFORM,
        idea="Sides of branches that counting showed to be rare are moved out of the straight path of the code.",
        effort="days: count first, then hint",
        risk="a market of another kind makes the rare side common",
        mitigation="the counters of the kernels tell how often each side is taken",
        roll_back="take the hint out of the source",
        features={"hints": True},
    ),
    Step(
        name="near_memory",
        title="memory of the core's own node",
        phase=PLATFORM,
        idea="Where memory belongs to sockets, a core reads that of its own sooner.",
        effort="days",
        risk="a process that is moved finds all its memory far away",
        mitigation="pin first, then allocate from the pinned thread",
        roll_back="variables of the process",
        absent=_one_node,
    ),
)
"""The roadmap of `tick_to_order`; what it ends with, but for the platform, is the variant ``combined``."""
