"""From an address of compiled code to the function, the file, the line and the assembly.

The one asset below every profiler: `install` keeps what Numba compiles, `code_hash` names machine code.
"""

from workbench.codemap.capture import install
from workbench.codemap.code_hash import code_hash

__all__ = ["code_hash", "install"]
