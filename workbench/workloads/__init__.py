"""Market data in, arrays of `kernels.messages.EVENT` out.

``load(path)`` reads a file of any known format, told by its content. ``parse(text)`` takes what a person types: the
name of a workload, or a path.
"""

from workbench.workloads.generator import synthetic
from workbench.workloads.itch_writer import write_itch
from workbench.workloads.known import default, named, names, parse
from workbench.workloads.loaded import Loaded
from workbench.workloads.reader import load
from workbench.workloads.recording import write_recording
from workbench.workloads.replicas import multiply

__all__ = [
    "Loaded",
    "default",
    "load",
    "multiply",
    "named",
    "names",
    "parse",
    "synthetic",
    "write_itch",
    "write_recording",
]
