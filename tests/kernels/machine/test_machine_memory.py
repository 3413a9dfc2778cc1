"""Aligned and huge-page memory."""

import mmap

import numpy as np
import pytest

from kernels.machine import memory


@pytest.mark.parametrize("alignment", [1, 64, 128, 4096])
@pytest.mark.parametrize("shape", [1, 7, (3, 5), (2, 3, 4)])
def test_aligned_is_a_zeroed_writable_array_at_a_multiple(alignment, shape):
    for _ in range(8):  # malloc gives other addresses each time
        array = memory.aligned(shape, np.int32, alignment)
        assert array.ctypes.data % alignment == 0
        assert array.shape == np.zeros(shape).shape
        assert array.dtype == np.int32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert not array.any()


def test_an_array_may_be_empty():
    assert memory.aligned((2, 0), np.int64).shape == (2, 0)
    assert memory.huge(0, np.int64).shape == (0,)


def test_aligned_takes_records():
    record = np.dtype([("price", "<i8"), ("size", "<i4"), ("rest", "<i4")])
    assert memory.aligned(4, record).dtype == record


@pytest.mark.parametrize("alignment", [0, -64, 48])
def test_a_bad_alignment_is_refused(alignment):
    with pytest.raises(ValueError, match="alignment must be a power of two"):
        memory.aligned(4, np.int64, alignment)


def test_a_negative_length_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        memory.huge((4, -1), np.int64)


def test_huge_lies_at_two_megabytes_and_outlives_its_maker():
    array = memory.huge((512, 1024), np.float64)
    assert array.ctypes.data % memory.HUGE_PAGE_BYTES == 0
    assert not array.any()
    part = array[3]
    part[:] = 7.0
    del array  # the mapping stays as long as a view does
    assert part.sum() == 7.0 * 1024


def test_huge_pages_are_given_where_linux_has_them():
    if not memory.huge_pages_available():
        pytest.skip("this Linux gives no transparent huge pages")
    assert memory.huge_bytes(memory.huge(1 << 20, np.float64)) > 0


def test_ordinary_pages_do_where_huge_ones_are_refused(monkeypatch):
    class Refusing(mmap.mmap):
        def madvise(self, *advice):
            raise OSError(22, "no huge pages in this Linux")

    monkeypatch.setattr(memory.mmap, "mmap", Refusing)
    array = memory.huge(1000, np.int64)
    array[:] = 3
    assert array.sum() == 3000


def test_ordinary_pages_do_where_there_is_no_mapping(monkeypatch):
    monkeypatch.delattr(memory.mmap, "MAP_PRIVATE")
    assert memory.huge(1000, np.int64).ctypes.data % memory.HUGE_PAGE_BYTES == 0


def test_huge_bytes_of_ordinary_memory_where_nothing_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_THP_SETTING", tmp_path / "absent")
    assert not memory.huge_pages_available()
