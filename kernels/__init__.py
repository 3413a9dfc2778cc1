"""Trading kernels compiled with Numba, each in variants that differ by one idea. Knows nothing of the workbench."""

from kernels.catalog import Instance, Kernel, Parameter, Variant, catalog, get

__all__ = ["Instance", "Kernel", "Parameter", "Variant", "catalog", "get"]
