"""Where a measurement is made, and what disturbs it. Whatever cannot be read is None: never a crash.

Every reader takes the `root` of the file system, so that the tests can show it other machines. Nothing here imports
Numba: the driver calls it while the first replicate is still starting.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import re
import resource
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

from workbench import record

ROOT = Path("/")
PACKAGES = {"numpy": "numpy", "numba": "numba", "llvmlite": "llvmlite", "workbench": "kernel-workbench"}


def fingerprint(source: Path | None = None, root: Path = ROOT) -> record.Machine:
    """Describe this machine now. `source` is a folder of the measured code, for its git revision."""
    info = _cpuinfo(root)
    hypervisor = _hypervisor(root, info)
    caches = _caches(root)
    cores = os.cpu_count() or 1
    model = info.get("model name") or info.get("CPU part") or platform.processor() or platform.machine()
    target_cpu, features, llvm = _target()
    revision, dirty = _git(source)
    governor = _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return record.Machine(
        hardware_key=hardware_key(model, cores, caches, hypervisor),
        host=socket.gethostname(),
        cpu_model=model,
        microcode=info.get("microcode"),
        cores=cores,
        caches=caches,
        hypervisor=hypervisor,
        linux=platform.release(),
        governor=governor,
        turbo=_turbo(root),
        smt=_flag(root / "sys/devices/system/cpu/smt/active"),
        memory_bytes=_memory(root),
        cgroup_cpus=_cgroup_cpus(root),
        cgroup_memory_bytes=_cgroup_memory(root),
        load_1min=os.getloadavg()[0],
        temperature_c=_temperature(root),
        versions={**_versions(), **({"llvm": llvm} if llvm else {})},
        target_cpu=target_cpu,
        target_features_hash=hashlib.sha256(features.encode()).hexdigest()[:16],
        numba_settings={name: value for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")},
        git_revision=revision,
        git_dirty=dirty,
    )


def hardware_key(model: str, cores: int, caches: dict[str, int], hypervisor: str | None) -> str:
    """Return a hash of what makes two machines comparable. Versions, names and settings are no part of it."""
    text = repr((model, cores, sorted(caches.items()), hypervisor))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cpu_flags(root: Path = ROOT) -> set[str]:
    """Return the CPU's flags as Linux lists them; empty where it lists none."""
    return set(_cpuinfo(root).get("flags", "").split())


def _text(path: Path) -> str | None:
    """Return the content of a small file of the Linux kernel, stripped; None when it cannot be read or is empty."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip() or None
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _flag(path: Path) -> bool | None:
    number = _number(_text(path))
    return None if number is None else bool(number)


def _cpuinfo(root: Path) -> dict[str, str]:
    """Return the fields of the first CPU."""
    first = (_text(root / "proc/cpuinfo") or "").split("\n\n")[0]
    rows = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in rows}


def _caches(root: Path) -> dict[str, int]:
    """Return the sizes of the first core's caches in bytes: L1d, L1i, L2, L3."""
    found = {}
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_text(folder / name) for name in ("level", "type", "size"))
        match = re.fullmatch(r"(\d+)([KMG]?)", size or "")
        if level and kind and match:
            letter = {"Data": "d", "Instruction": "i"}.get(kind, "")
            found[f"L{level}{letter}"] = int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]
    return found


def _hypervisor(root: Path, info: dict[str, str]) -> str | None:
    """Return the vendor of the virtual machine, "unknown" where only the CPU tells that there is one, None on metal."""
    vendor = _text(root / "sys/hypervisor/type") or _text(root / "sys/class/dmi/id/sys_vendor")
    if "hypervisor" in info.get("flags", "").split():
        return vendor or "unknown"
    return _text(root / "sys/hypervisor/type")


def _turbo(root: Path) -> bool | None:
    cpu = root / "sys/devices/system/cpu"
    boost = _flag(cpu / "cpufreq/boost")
    off = _flag(cpu / "intel_pstate/no_turbo")
    return boost if boost is not None else (None if off is None else not off)


def _memory(root: Path) -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _cgroup_cpus(root: Path) -> float | None:
    """Return the CPU limit of the control group, in cores: version 2, then version 1."""
    words = (_text(root / "sys/fs/cgroup/cpu.max") or "").split()
    if len(words) == 2 and all(word.isdigit() for word in words):
        return int(words[0]) / int(words[1])
    quota = _number(_text(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
    period = _number(_text(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us"))
    return quota / period if quota and period and quota > 0 else None


def _cgroup_memory(root: Path) -> int | None:
    limit = _number(_text(root / "sys/fs/cgroup/memory.max"))
    if limit is None:
        limit = _number(_text(root / "sys/fs/cgroup/memory/memory.limit_in_bytes"))
    return limit if limit is not None and limit < 1 << 60 else None  # version 1 spells "none" as a huge number


def _temperature(root: Path) -> float | None:
    """Return the hottest zone that reads plausibly."""
    zones = (_number(_text(path)) for path in (root / "sys/class/thermal").glob("thermal_zone*/temp"))
    return max((zone / 1000 for zone in zones if zone is not None and 0 < zone < 150_000), default=None)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name, distribution in PACKAGES.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(distribution)
    return found


def _target() -> tuple[str, str, str | None]:
    """Return what LLVM compiles for (CPU and features; NUMBA_CPU_NAME and _FEATURES win), and LLVM's version."""
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    try:
        from llvmlite import binding
    except ImportError:
        return name or "unknown", features or "", None
    version = ".".join(str(part) for part in binding.llvm_version_info)
    if not name or name == "host":
        name = binding.get_host_cpu_name()
    if features is None:
        with contextlib.suppress(RuntimeError):  # LLVM does not know this CPU's features
            features = binding.get_host_cpu_features().flatten()
    return name, features or "", version


def _git(source: Path | None) -> tuple[str | None, bool | None]:
    """Return the revision of the measured code and whether its folder has changes that are not committed."""
    folder = source if source is not None else Path(__file__).resolve().parent
    revision = _git_answer(folder, "rev-parse", "HEAD")
    status = None if revision is None else _git_answer(folder, "status", "--porcelain", "--untracked-files=no")
    return revision, None if status is None else bool(status)


def _git_answer(folder: Path, *arguments: str) -> str | None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=10)
        return done.stdout.strip() if done.returncode == 0 else None
    return None


class Disturbance(NamedTuple):
    """Counters that only grow, of this process and thread, except `steal_ticks`, which is the machine's."""

    steal_ticks: int
    involuntary_switches: int
    migrations: int
    major_faults: int


def read_disturbance(root: Path = ROOT) -> Disturbance:
    """Read the counters of what disturbs a timed run; 0 for one that cannot be read. Costs about 50 µs."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    cpu = (_text(root / "proc/stat") or "").partition("\n")[0].split()
    steal = int(cpu[8]) if len(cpu) > 8 and cpu[0] == "cpu" and cpu[8].isdigit() else 0
    moved = re.search(r"^se\.nr_migrations\s*:\s*(\d+)", _text(root / "proc/self/sched") or "", re.MULTILINE)
    return Disturbance(steal, usage.ru_nivcsw, int(moved[1]) if moved else 0, usage.ru_majflt)


def noise_between(before: Disturbance, after: Disturbance) -> record.Noise:
    """Return what disturbed the run between two readings."""
    return record.Noise(**{name: getattr(after, name) - getattr(before, name) for name in Disturbance._fields})
