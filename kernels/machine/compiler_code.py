"""The RAM that the compiler's own machine code fills: a process that only runs kernels need not hold it.

Numba brings LLVM along, some 80 MB of machine code in a mapped file. Importing and loading cached kernels touch much of
it, and Linux maps whole neighbourhoods of what is touched; how much depends on what other processes have read of the
file. Nothing of it runs while messages are processed. Its pages are clean copies of the file: giving them back loses
nothing, and a later compilation fetches them again, from the page cache.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

_LIBRARIES = ("libllvmlite", "libLLVM")  # where LLVM lies: inside llvmlite in wheels, a library of its own in conda
_DONT_NEED = 4  # MADV_DONTNEED
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)$", re.MULTILINE)
_SMAPS = Path("/proc/self/smaps")


def release_compiler_code() -> int:
    """Give the pages of LLVM's machine code back to Linux; return how many bytes of RAM that freed for this process.

    Called from Python, once, when everything is compiled or loaded; compiled kernels lie elsewhere and stay. Only
    mapped code that nobody has written to is given back (a debugger's breakpoint is such a write). Compiling later
    works as before. Returns 0 outside Linux.
    """
    if not _SMAPS.exists():
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    released = 0
    for start, end, resident in _clean_code(_SMAPS.read_text()):
        if libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONT_NEED) == 0:
            released += resident
    return released


def _clean_code(smaps: str) -> Iterator[tuple[int, int, int]]:
    """Yield begin, end and resident bytes of each mapping of LLVM's code that holds no written page."""
    mappings = list(_MAPPING.finditer(smaps))
    for mapping, following in zip(mappings, [*mappings[1:], None], strict=True):
        begin, end, rights, path = mapping.groups()
        if rights != "r-xp" or not Path(path).name.startswith(_LIBRARIES):
            continue
        details = smaps[mapping.end() : following.start() if following else len(smaps)]
        kilobytes = {name: int(value) for name, value in re.findall(r"(\w+): +(\d+) kB", details)}
        if kilobytes.get("Private_Dirty", 1) == 0:  # a sandbox may not tell: then a page may have been written to
            yield int(begin, 16), int(end, 16), 1024 * kilobytes.get("Rss", 0)
