"""The machine's caches as callgrind takes them: size, associativity, line size of I1, D1 and the last level.

Valgrind detects caches by an old table and is wrong on new CPUs, so they are always given. It needs a power of two of
sets; where a real cache has another number (as 24,576), the nearest is taken and the associativity adapted, so that
the capacity stays, and the profile says so.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")

ASSUMED = {"I1": (32768, 8, 64), "D1": (32768, 8, 64), "LL": (8388608, 16, 64)}
"""What is simulated where the machine does not tell: common sizes, not measured."""


@dataclass(frozen=True)
class Cache:
    """One level: bytes, ways, bytes a line."""

    size_bytes: int
    ways: int
    line_bytes: int

    def __str__(self) -> str:
        return f"{self.size_bytes},{self.ways},{self.line_bytes}"

    @property
    def lines(self) -> int:
        """Return how many lines it holds."""
        return self.size_bytes // self.line_bytes


@dataclass(frozen=True)
class Geometry:
    """What is simulated, and what a person should know about it."""

    i1: Cache
    d1: Cache
    ll: Cache
    notes: tuple[str, ...]

    def options(self) -> list[str]:
        """Return valgrind's options."""
        return [f"--I1={self.i1}", f"--D1={self.d1}", f"--LL={self.ll}"]


def geometry(root: Path = CACHES) -> Geometry:
    """Return the caches of this machine, in a form that valgrind accepts."""
    told = _from_sys(root)
    notes: list[str] = []
    chosen = {}
    for name in ("I1", "D1", "LL"):
        found = told.get(name) or _from_sysconf(name)
        if found is None:
            found = ASSUMED[name]
            notes.append(f"{name} is not told by the machine: {found[0]:,} bytes, {found[1]} ways are assumed")
        cache = normalized(*found)
        if str(cache) != ",".join(map(str, found)):
            notes.append(
                f"{name} is simulated as {cache} (size, ways, line) in place of {found}: sets of a power of two"
            )
        chosen[name] = cache
    notes.append("two levels are simulated, L1 and the last; what lies between (L2) is not")
    return Geometry(chosen["I1"], chosen["D1"], chosen["LL"], tuple(notes))


def normalized(size_bytes: int, ways: int, line_bytes: int) -> Cache:
    """Return the nearest cache that valgrind accepts: line and number of sets powers of two, the capacity kept."""
    line = max(16, 1 << (line_bytes - 1).bit_length()) if line_bytes > 1 else 64
    lines = max(1, size_bytes // line)
    ways = min(max(1, ways), lines)
    sets = max(1, lines // ways)
    below = 1 << (sets.bit_length() - 1)
    sets = below if sets - below <= 2 * below - sets else 2 * below
    ways = max(1, round(lines / sets))
    return Cache(sets * ways * line, ways, line)


def _from_sys(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return the instruction, data and last-level cache that Linux tells of."""
    found: dict[str, tuple[int, int, int]] = {}
    highest = 1
    for folder in sorted(root.glob("index*")):
        with contextlib.suppress(OSError, ValueError):
            level = int((folder / "level").read_text())
            kind = (folder / "type").read_text().strip()
            size = _bytes((folder / "size").read_text().strip())
            ways = int((folder / "ways_of_associativity").read_text())
            line = int((folder / "coherency_line_size").read_text())
            ways = ways or size // line  # 0 stands for fully associative
            if level == 1:
                found["I1" if kind == "Instruction" else "D1"] = (size, ways, line)
                if kind == "Unified":
                    found["I1"] = (size, ways, line)
            elif level > highest and kind != "Instruction":
                highest = level
                found["LL"] = (size, ways, line)
    return found


def _bytes(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def _from_sysconf(name: str) -> tuple[int, int, int] | None:
    keys = {"I1": ("LEVEL1_ICACHE",), "D1": ("LEVEL1_DCACHE",), "LL": ("LEVEL3_CACHE", "LEVEL2_CACHE")}
    for key in keys[name]:
        with contextlib.suppress(ValueError, OSError):
            values = tuple(os.sysconf(f"SC_{key}_{what}") for what in ("SIZE", "ASSOC", "LINESIZE"))
            if all(value > 0 for value in values):
                return values[0], values[1], values[2]
    return None
