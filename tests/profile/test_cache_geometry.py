"""Caches are given to valgrind in a form that it accepts, and what was changed is told."""

import pytest

from workbench.profile.cache_geometry import Cache, geometry, normalized


@pytest.mark.parametrize(
    "given",
    [
        (32768, 8, 64),
        (49152, 12, 64),
        (33554432, 16, 64),
        (31457280, 20, 64),
        (37748736, 12, 64),
        (1310720, 20, 64),
        (96, 1, 48),
        (1 << 20, 0, 64),
    ],
)
def test_normalized_is_what_valgrind_takes(given):
    cache = normalized(*given)
    sets = cache.size_bytes // (cache.ways * cache.line_bytes)
    assert cache.size_bytes == sets * cache.ways * cache.line_bytes
    assert sets & (sets - 1) == 0 and cache.line_bytes & (cache.line_bytes - 1) == 0 and cache.line_bytes >= 16
    assert abs(cache.size_bytes - given[0]) <= 0.34 * given[0]


def test_a_fitting_cache_stays_as_it_is():
    assert normalized(49152, 12, 64) == Cache(49152, 12, 64)


def folder(root, index, level, kind, size, ways):
    here = root / f"index{index}"
    here.mkdir(parents=True)
    values = {"level": level, "type": kind, "size": size, "ways_of_associativity": ways, "coherency_line_size": 64}
    for name, value in values.items():
        (here / name).write_text(f"{value}\n")


def test_geometry_of_a_machine_with_an_odd_last_level(tmp_path):
    folder(tmp_path, 0, 1, "Data", "48K", 12)
    folder(tmp_path, 1, 1, "Instruction", "32K", 8)
    folder(tmp_path, 2, 2, "Unified", "2048K", 16)
    folder(tmp_path, 3, 3, "Unified", "36864K", 12)
    told = geometry(tmp_path)
    assert told.options()[:2] == ["--I1=32768,8,64", "--D1=49152,12,64"]
    assert told.ll.size_bytes == 36864 * 1024 and told.ll.ways != 12
    assert any("LL is simulated as" in note for note in told.notes)


def test_a_machine_that_tells_nothing_gets_assumptions_that_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 0)
    told = geometry(tmp_path)
    assert sum("assumed" in note for note in told.notes) == 3
