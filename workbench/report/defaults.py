"""Which variants a notebook that profiles takes where none is named: those that its tools can look into."""

from __future__ import annotations

from kernels.catalog import Kernel
from workbench.codemap.build import is_compiled_function
from workbench.errors import InputError

COMBINED = "combined"  # where a kernel has it, it is what the others lead to


def known_kernel(name: str) -> Kernel:
    """Return the kernel called `name`. Raises InputError when there is none."""
    import kernels

    try:
        return kernels.get(name)
    except KeyError as error:
        raise InputError(str(error.args[0])) from None


def first_variant(kernel: Kernel) -> str:
    """Return the first of the kernel's own variants that Numba compiles; its first one where it compiles none."""
    return _own(kernel)[0]


def two_ends(kernel: Kernel) -> list[str]:
    """Return the first of the kernel's own compiled variants and `COMBINED`, else the last; one where there is one."""
    own = _own(kernel)
    last = COMBINED if COMBINED in own else own[-1]
    return list(dict.fromkeys((own[0], last)))


def _own(kernel: Kernel) -> list[str]:
    """Return the compiled variants that are no peers; without any of them all that are no peers, or else all."""
    own = {name: variant for name, variant in kernel.variants.items() if not variant.peer}
    compiled = [name for name, variant in own.items() if is_compiled_function(variant.replay_from)]
    return compiled or list(own) or list(kernel.variants)
