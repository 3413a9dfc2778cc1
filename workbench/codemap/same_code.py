"""The proof that a profiled build is the code that ships: bytes and constants compared, or the named difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.codemap.addresses import readable_name
from workbench.codemap.build import build_with_lines
from workbench.codemap.code_hash import Part, hash_of_parts, parts_of


@dataclass(frozen=True)
class SameCode:
    """What the comparison of two builds found. `difference` is empty when they are the same."""

    shipped_hash: str
    profiled_hash: str
    functions: int
    code_bytes: int
    constant_bytes: int
    difference: str

    @property
    def same(self) -> bool:
        """Return whether every byte of code and of constants agrees."""
        return not self.difference

    @property
    def badge(self) -> str:
        """Return what a display says: ``same code`` or the difference."""
        return "same code" if self.same else f"other code: {self.difference}"


def compare(shipped: list[Part], profiled: list[Part]) -> SameCode:
    """Compare two builds part by part, in the order in which the code reaches them."""
    code = [part for part in shipped if not part.label.startswith("constant in ")]
    constants = [part for part in shipped if part.label.startswith("constant in ")]
    return SameCode(
        hash_of_parts(shipped),
        hash_of_parts(profiled),
        len(code),
        sum(len(part.data) for part in code),
        sum(len(part.data) for part in constants),
        _difference(shipped, profiled),
    )


def prove(dispatcher: Any, signature: Any) -> SameCode:
    """Build `dispatcher` with line tables for `signature` (kept for the next time) and compare it with the shipped one.

    The overload must be compiled. Raises WorkbenchError when it is not, or when its code is not kept.
    """
    shipped = parts_of(dispatcher, signature)
    return compare(shipped, parts_of(build_with_lines(dispatcher, signature), signature))


def _difference(shipped: list[Part], profiled: list[Part]) -> str:
    """Return one clause that names the first part that differs, empty when none does."""
    for a, b in zip(shipped, profiled, strict=False):
        name = a.label if a.label.startswith("constant in ") else readable_name(a.label)
        if len(a.data) != len(b.data):
            return f"{name} has {len(b.data)} bytes instead of {len(a.data)}"
        if a.data != b.data:
            first = next(i for i, (x, y) in enumerate(zip(a.data, b.data, strict=True)) if x != y)
            return f"{name} differs from byte {first} of {len(a.data)} on"
        if a.holes != b.holes:
            return f"{name} refers to other functions or constants"
    if len(shipped) != len(profiled):
        return f"it reaches {len(profiled)} functions and constants instead of {len(shipped)}"
    return ""
