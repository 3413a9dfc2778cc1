"""C++ of ours or of others as a peer: compiled on demand into the cache of compiled kernels, loaded by ctypes."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kernels._jit import cache_root

FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread")
_INCLUDE = (Path("/usr/include"), Path("/usr/local/include"))


def missing(header: str | None = None, package: str = "") -> str | None:
    """Return why C++ cannot be compiled here, as one clause, or None. `header` is one that it needs, of `package`."""
    if not shutil.which("g++"):
        return "it is C++ and there is no g++: install it (apt install g++)"
    if header is not None and not any((folder / header).is_file() for folder in _INCLUDE):
        return f"there is no {header}: install it (apt install {package})"
    return None


@functools.cache
def library(source: Path, flags: Sequence[str] = FLAGS) -> ctypes.CDLL:
    """Return the compiled `source`, out of the cache folder where it is there already.

    The file's name holds the source, the flags, the compiler's version and the processor's features that
    ``-march=native`` stands for. Raises RuntimeError, with the compiler's words, when it does not compile.
    """
    compiler = shutil.which("g++") or "g++"
    digest = hashlib.sha256(source.read_bytes() + " ".join(flags).encode() + _compiler_key(compiler)).hexdigest()
    built = cache_root() / f"{source.stem}-{digest[:20]}.so"
    if not built.is_file():
        _compile(compiler, source, flags, built)
    return ctypes.CDLL(str(built))


@functools.cache
def _compiler_key(compiler: str) -> bytes:
    target = subprocess.run([compiler, "-march=native", "-Q", "--help=target"], capture_output=True, check=True).stdout
    return subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout + target


def _compile(compiler: str, source: Path, flags: Sequence[str], built: Path) -> None:
    """Compile into a scratch file that takes its place when it is whole: two processes may do so at once."""
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        scratch = Path(folder) / built.name
        done = subprocess.run(
            [compiler, *flags, str(source), "-o", str(scratch)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{source.name} does not compile with {compiler}: {done.stderr.strip()}")
        os.replace(scratch, built)
