"""Giving back the compiler's code: less RAM, the compiler still works, and nothing that was written is lost."""

import sys

import pytest

from kernels._jit import kernel_jit
from kernels.machine import compiler_code
from kernels.machine.compiler_code import _clean_code, release_compiler_code

SMAPS = """55d0c0000000-55d0c0002000 r-xp 00000000 08:01 11 /lib/libllvmlite.so
Size:                  8 kB
Rss:                   8 kB
Private_Dirty:         4 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0000100000 r-xp 00001000 08:01 11                         /a b/llvmlite/binding/libllvmlite.so
Rss:                 512 kB
Private_Clean:       512 kB
Private_Dirty:         0 kB
7f0000100000-7f0000200000 r--p 00101000 08:01 11                         /a b/llvmlite/binding/libllvmlite.so
Rss:                 256 kB
Private_Dirty:         0 kB
7f0000300000-7f0000400000 r-xp 00000000 00:00 0
Rss:                 128 kB
Private_Dirty:         0 kB
7f0000400000-7f0000500000 r-xp 00000000 08:01 12                         /lib/libLLVM-15.so
Rss:                  64 kB
Private_Dirty:         0 kB
"""


def test_only_clean_code_of_the_compiler_is_chosen():
    assert list(_clean_code(SMAPS)) == [
        (0x7F0000000000, 0x7F0000100000, 512 * 1024),
        (0x7F0000400000, 0x7F0000500000, 64 * 1024),
    ]


def test_code_is_kept_where_linux_does_not_tell_whether_it_was_written():
    told = "\n".join(line for line in SMAPS.splitlines() if "Private_Dirty" not in line)
    assert list(_clean_code(told)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_what_is_released_has_gone_and_the_compiler_still_works():
    @kernel_jit
    def half(x):
        return x / 2

    assert half(3.0) == 1.5
    in_ram = sum(resident for *_, resident in _clean_code(compiler_code._SMAPS.read_text()))
    assert in_ram > 2**20
    assert release_compiler_code() > 0.9 * in_ram
    assert sum(resident for *_, resident in _clean_code(compiler_code._SMAPS.read_text())) < in_ram / 10
    assert half(5.0) == 2.5
    assert half(4) == 2.0  # compiled now, for an integer


def test_without_proc_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler_code, "_SMAPS", tmp_path / "smaps")
    assert release_compiler_code() == 0
