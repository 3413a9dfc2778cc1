"""From an address of compiled code to the function, the file, the line and the assembly.

The one asset below every profiler: `install` keeps what Numba compiles, `code_map` finds a line by its address,
`code_hash` names machine code, `build_with_lines` builds a function again with line tables, `prove` shows that this
build is the code that ships.
"""

from workbench.codemap.addresses import CodeMap, Place, code_map
from workbench.codemap.build import build_with_lines, line_tables
from workbench.codemap.capture import install
from workbench.codemap.code_hash import code_hash
from workbench.codemap.same_code import SameCode, prove

__all__ = [
    "CodeMap",
    "Place",
    "SameCode",
    "build_with_lines",
    "code_hash",
    "code_map",
    "install",
    "line_tables",
    "prove",
]
