"""What an arm of a measurement may switch in its process, before anything is imported or compiled: for ablations.

A build is what the source, the compiler's options and the target make together, and a process has settings besides. To
tell what one of them is worth, it has to be switched alone, for the same source: by variables of an arm's processes.

* `COMPILER_VARIABLE` names `BUILD` switches. It begins with ``NUMBA_``, because the key of the compiled-code cache
  holds every such variable: builds that differ by a switch never share an entry.
* `PROCESS_VARIABLE` names `PROCESS` switches, which do not change the machine code.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from workbench.errors import InputError

COMPILER_VARIABLE = "NUMBA_WORKBENCH_SWITCHES"
PROCESS_VARIABLE = "WORKBENCH_PROCESS"
_PR_SET_THP_DISABLE = 41  # see prctl(2)

BUILD = {
    "no_inlining": "functions that the source inlines by force are left to LLVM's judgement",
    "no_hints": "`likely` and `unlikely` say nothing to LLVM",
    "fast_math": "floating point may be reordered, and no NaN is expected, where the source does not say otherwise",
}
PROCESS = {
    "unpinned": "the process may move from core to core",
    "no_huge_pages": "Linux gives this process pages of 4 KB, whatever it asks for",
}


def variables(chosen: Iterable[str]) -> dict[str, str]:
    """Return the variables that switch what is `chosen` of `BUILD` and `PROCESS`. Raises InputError for another."""
    names = list(chosen)
    unknown = [name for name in names if name not in BUILD and name not in PROCESS]
    if unknown:
        raise InputError(f"there is no switch {unknown[0]!r}: there are {', '.join([*BUILD, *PROCESS])}")
    made = {
        COMPILER_VARIABLE: ",".join(name for name in BUILD if name in names),
        PROCESS_VARIABLE: ",".join(name for name in PROCESS if name in names),
    }
    return {name: value for name, value in made.items() if value}


def switched(name: str) -> bool:
    """Return whether this process was started with the switch `name`."""
    told = os.environ.get(COMPILER_VARIABLE if name in BUILD else PROCESS_VARIABLE, "")
    return name in told.split(",")


def apply() -> None:
    """Do what the variables of this process say. Called once, before kernels are imported and memory is taken."""
    if switched("no_huge_pages"):
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    if switched("no_inlining"):
        _never_force()
    if switched("no_hints"):
        _hint_nothing()
    if switched("fast_math"):
        from kernels._jit import OPTIONS

        OPTIONS["fastmath"] = True


def _never_force() -> None:
    """Let Numba ignore ``forceinline``."""
    from numba.core.cpu import CPUTargetOptions

    ordinary = CPUTargetOptions.finalize

    def finalize(self, flags, options):  # type: ignore[no-untyped-def]
        ordinary(self, flags, options)
        flags.forceinline = False

    CPUTargetOptions.finalize = finalize  # type: ignore[method-assign]


def _hint_nothing() -> None:
    """Let `likely` and `unlikely` return their condition as it is."""
    from kernels.machine import hints

    def expect(typingctx, condition, expected):  # type: ignore[no-untyped-def]
        signature, _ = ordinary(typingctx, condition, expected)
        return signature, lambda context, builder, called, arguments: arguments[0]

    ordinary = hints._expect
    hints._expect = expect
