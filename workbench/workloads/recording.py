"""Our own format: an ``.npy`` file (NumPy format 1.0) of one EVENT array, mapped into memory and read in place."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from kernels.messages import EVENT
from workbench import files
from workbench.errors import InputError
from workbench.workloads.loaded import Parsed, padded_with_zeros, require_events


def write_recording(path: Path | str, events: np.ndarray) -> None:
    """Write `events` to `path`, whole or not at all. Raises InputError or WorkbenchError where that cannot be."""
    require_events(events, path)
    with files.replacing(Path(path)) as stream:
        np.lib.format.write_array(stream, padded_with_zeros(events), version=(1, 0), allow_pickle=False)


def parse(data: np.ndarray, path: str) -> Parsed:
    """Return the events that lie in `data` (uint8, the whole file), without a copy: a mapped file stays mapped.

    Raises InputError when the header is damaged, the type is another one, or bytes are missing or left over.
    """
    head = io.BytesIO(data[: 1 << 16].tobytes())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of headers from Python 2 before it refuses them
            version = np.lib.format.read_magic(head)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = reader(head)
    except Exception as error:  # NumPy raises whatever its own parsing of the header stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: the header of this .npy file is damaged ({reason}): write it again") from None
    if dtype != EVENT:
        raise InputError(
            f"{path}: a recording holds events (fields {', '.join(EVENT.names or ())}), this .npy file holds {dtype}: "
            "write it with workbench.workloads.write_recording"
        )
    if len(shape) != 1:
        raise InputError(f"{path}: a recording has one dimension, this one has shape {shape}: flatten it")
    start, expected = head.tell(), shape[0] * EVENT.itemsize
    if data.size - start != expected:
        state = "is cut" if data.size - start < expected else "has bytes left over"
        raise InputError(
            f"{path} {state}: {shape[0]:,} events need {start + expected:,} bytes, it has {data.size:,}; "
            "write or fetch it again"
        )
    if not shape[0]:
        raise InputError(f"{path} holds no event: record some")
    return Parsed("recording", data[start:].view(EVENT))
