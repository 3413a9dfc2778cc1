"""The decorator of functions that other compiled functions inline and that Python may call too.

Numba makes for each a wrapper that takes Python objects, which costs compile time: what is called from compiled code
only uses `_apply.hot` or `_apply.cold`.
"""

from __future__ import annotations

from kernels._jit import kernel_jit

public = kernel_jit(forceinline=True, _nrt=False)
