import subprocess
from pathlib import Path

from workbench.measure import machine


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_is_described():
    found = machine.fingerprint()
    assert found.cores >= 1 and found.memory_bytes > 10**8
    assert {"python", "numpy", "numba", "llvmlite", "llvm", "workbench"} <= set(found.versions)
    assert len(found.hardware_key) == 12
    assert found.hardware_key == machine.fingerprint().hardware_key


def test_a_machine_that_tells_nothing_is_no_crash(tmp_path):
    found = machine.fingerprint(source=tmp_path, root=tmp_path)
    assert (found.microcode, found.governor, found.turbo, found.smt, found.temperature_c) == (None,) * 5
    assert (found.cgroup_cpus, found.cgroup_memory_bytes, found.hypervisor, found.git_revision) == (None,) * 4
    assert found.caches == {}
    assert machine.read_disturbance(tmp_path).steal_ticks == 0


def test_fields_are_read(tmp_path):
    cpu = "sys/devices/system/cpu/"
    files = {
        "proc/cpuinfo": "processor: 0\nmodel name : Fast 9000\nmicrocode: 0x7\nflags : tsc hypervisor\n\nprocessor: 1",
        "proc/meminfo": "MemFree: 1 kB\nMemTotal:       2048 kB\n",
        "sys/hypervisor/type": "xen\n",
        cpu + "cpu0/cpufreq/scaling_governor": "performance\n",
        cpu + "intel_pstate/no_turbo": "1\n",
        cpu + "smt/active": "1\n",
        cpu + "cpu0/cache/index0/level": "1",
        cpu + "cpu0/cache/index0/type": "Data",
        cpu + "cpu0/cache/index0/size": "48K",
        cpu + "cpu0/cache/index3/level": "3",
        cpu + "cpu0/cache/index3/type": "Unified",
        cpu + "cpu0/cache/index3/size": "32M",
        "sys/fs/cgroup/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/memory.max": "1000000\n",
        "sys/class/thermal/thermal_zone0/temp": "45000\n",
        "sys/class/thermal/thermal_zone1/temp": "-274000\n",
        "proc/stat": "cpu  1 2 3 4 5 6 7 88 9 0\ncpu0 1 2 3\n",
        "proc/self/sched": "python (1, #threads: 1)\nse.nr_migrations    :   12\n",
    }
    root = write(tmp_path, files)
    found = machine.fingerprint(source=tmp_path, root=root)
    assert (found.cpu_model, found.microcode, found.memory_bytes) == ("Fast 9000", "0x7", 2048 * 1024)
    assert (found.governor, found.turbo, found.smt, found.hypervisor) == ("performance", False, True, "xen")
    assert found.caches == {"L1d": 48 << 10, "L3": 32 << 20}
    assert (found.cgroup_cpus, found.cgroup_memory_bytes, found.temperature_c) == (1.5, 1_000_000, 45.0)
    assert machine.cpu_flags(root) == {"tsc", "hypervisor"}
    disturbance = machine.read_disturbance(root)
    assert (disturbance.steal_ticks, disturbance.migrations) == (88, 12)


def test_limits_of_control_groups_version_1(tmp_path):
    files = {
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    write(tmp_path, files)
    found = machine.fingerprint(source=tmp_path, root=tmp_path)
    assert (found.cgroup_cpus, found.cgroup_memory_bytes) == (None, None)


def test_hardware_key_depends_on_hardware_only():
    key = machine.hardware_key("A", 2, {"L2": 1, "L3": 2}, None)
    assert key == machine.hardware_key("A", 2, {"L3": 2, "L2": 1}, None)
    assert key != machine.hardware_key("A", 4, {"L2": 1, "L3": 2}, None)
    assert key != machine.hardware_key("A", 2, {"L2": 1, "L3": 2}, "kvm")


def test_git_revision_and_dirt(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init")
    git("config", "user.email", "a@b.c")
    git("config", "user.name", "a")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    clean = machine.fingerprint(source=tmp_path)
    assert clean.git_revision is not None and len(clean.git_revision) == 40
    assert clean.git_dirty is False
    (tmp_path / "file").write_text("2")
    assert machine.fingerprint(source=tmp_path).git_dirty is True


def test_noise_is_the_difference():
    before, after = machine.Disturbance(1, 2, 3, 4), machine.Disturbance(11, 22, 33, 44)
    noise = machine.noise_between(before, after)
    assert (noise.steal_ticks, noise.involuntary_switches, noise.migrations, noise.major_faults) == (10, 20, 30, 40)
