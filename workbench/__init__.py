"""Profile, compare and gate Numba kernels: in JupyterLab, in nightly batches, from the command line."""

__version__ = "0.1.0"
