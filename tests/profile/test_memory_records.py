"""Totals by site, from allocation records made by hand: what is temporary, what leaks, what the peak holds."""

from dataclasses import dataclass

import pytest

from workbench.codemap.lines import Frame
from workbench.profile import memory_child
from workbench.profile.counted import Line
from workbench.profile.memory_places import BEFOREHAND, OWN, WRAPPER, site_of
from workbench.profile.memory_records import MMAP, MUNMAP, NEXT_CALL, Site, read_records
from workbench.profile.memory_subject import Subject

MALLOC, FREE = 6, 5
CHILD = "/x/workbench/profile/memory_child.py"


@dataclass
class Record:
    address: int
    size: int = 0
    allocator: int = MALLOC
    tid: int = 1
    where: str = "a"


def read(*records):
    read = read_records(records, lambda record: Site(Line(record.where, "f.py", 1), "", ()))
    return read, {site.line.function: total for site, total in read.sites.items()}


def test_what_is_freed_next_is_temporary_and_what_stays_is_leaked():
    read_, sites = read(
        Record(1, 10),
        Record(1, allocator=FREE),
        Record(2, 20, where="b"),
        Record(3, 30),
        Record(4, 40),
        Record(2, allocator=FREE),  # two allocations later: not temporary
        Record(3, allocator=FREE),  # one later: temporary
        Record(99, allocator=FREE),  # made before recording began
    )
    assert (sites["a"].allocations, sites["a"].allocated_bytes, sites["a"].temporary) == (3, 80, 2)
    assert (sites["a"].leaked, sites["a"].leaked_bytes) == (1, 40)
    assert (sites["b"].temporary, sites["b"].leaked) == (0, 0)
    assert (read_.peak_bytes, sites["a"].peak_bytes, sites["b"].peak_bytes) == (90, 70, 20)
    assert read_.records == 8


def test_allocations_of_another_thread_do_not_make_one_long_lived():
    _, sites = read(Record(1, 8), *(Record(10 + each, 8, tid=2, where="b") for each in range(5)), Record(1, 0, FREE))
    assert sites["a"].temporary == 1


def test_a_part_of_a_mapping_is_given_back():
    _, sites = read(Record(0x1000, 0x3000, MMAP), Record(0x1000, 0x1000, MUNMAP))
    assert (sites["a"].leaked, sites["a"].leaked_bytes) == (1, 0x2000)
    _, sites = read(Record(0x1000, 0x3000, MMAP), Record(0x1000, 0x3000, MUNMAP))
    assert (sites["a"].leaked, sites["a"].leaked_bytes) == (0, 0)


def test_kept_memory_is_counted_by_the_calls_that_kept_some():
    mark = Record(900, 64, where=NEXT_CALL)
    records = [mark, Record(1, 8), Record(2, 8), Record(3, 8, where="b"), mark, Record(900, 0, FREE), mark]
    records += [Record(4, 8, where="b"), Record(5, 8, where="c"), Record(5, allocator=FREE)]
    read_ = read_records(records, lambda r: Site(None, r.where, ()))
    sites = {site.name: (total.leaked, total.leaked_calls) for site, total in read_.sites.items()}
    assert sites == {"a": (2, 1), "b": (2, 2), "c": (0, 0)}, "a is a cache, b keeps some of each"
    assert site_of((), False, [Frame("next_call", CHILD, 90)]).name == NEXT_CALL


def test_a_slow_subject_is_called_often_enough_to_tell_a_leak_from_a_cache(monkeypatch):
    monkeypatch.setattr(memory_child, "TRACK_S", 0.0)
    subject = Subject("slow", lambda: None)
    assert len(memory_child._timed(subject, 20)) == memory_child.FEW_TRACKED_CALLS >= 4


def test_reading_ends_at_a_limit_and_calls_nothing_a_leak_then():
    mark = Record(900, 64, where=NEXT_CALL)
    records = [mark, Record(1, 8), mark, *(Record(each, 8) for each in range(2, 50))]
    cut = read_records(iter(records), lambda r: Site(None, r.where, ()), most=10)
    (total,) = cut.sites.values()
    assert (cut.cut, cut.records, cut.calls, total.allocations, total.leaked) == (True, 10, 2, 8, 0)
    assert not read_records(iter(records), lambda r: Site(None, r.where, ()), most=len(records)).cut


def test_no_records_are_nothing():
    read_, sites = read()
    assert (read_.peak_bytes, read_.records, sites) == (0, 0, {})


def test_a_line_of_compiled_code_comes_before_that_of_its_caller():
    numba = Frame("impl", __import__("numba").__path__[0] + "/np/arrayobj.py", 4834)
    compiled = (numba, Frame("inner", "/u/mine.py", 9), Frame("hot", "/u/mine.py", 17))
    python = [Frame("<lambda>", "/x/workbench/profile/memory_subject.py", 3), Frame("call", CHILD, 90)]
    site = site_of(compiled, False, python)
    assert site.line == Line("inner", "/u/mine.py", 9)
    assert [frame.function for frame in site.stack] == ["hot", "inner"]
    assert site_of((), True, python).name == WRAPPER
    assert site_of((), False, python).name == OWN
    assert site_of(compiled, False, [Frame("reset", "/u/mine.py", 2), Frame("prepare", CHILD, 80)]).name == BEFOREHAND


@pytest.mark.parametrize("library", [__import__("json").__file__, __import__("numpy").__file__])
def test_what_a_library_allocates_belongs_to_the_line_that_calls_it(library):
    python = [Frame("deep", library, 5), Frame("mine", "/u/mine.py", 3), Frame("call", CHILD, 90)]
    assert site_of((), False, python).line == Line("mine", "/u/mine.py", 3)
    assert site_of((), False, [python[0], python[2]]).line == Line("deep", library, 5), "the subject is the library's"
