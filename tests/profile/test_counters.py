"""Hardware counters are right where there are some, and the reason is told where there are none."""

import errno
import struct

import pytest
from numba import njit

from workbench.errors import WorkbenchError
from workbench.profile import counters


@njit
def spin(turns):
    state = 1
    for i in range(turns):
        state ^= state << 13 ^ i
    return state


def test_either_counts_that_grow_with_the_work_or_a_reason():
    reason = counters.missing()
    if reason is not None:
        assert counters.FALLBACK in reason
        with pytest.raises(WorkbenchError, match="simulated instead"):
            counters.count(spin, 10)
        return
    once = counters.count(spin, 1_000_000).values["instructions"]
    thrice = counters.count(spin, 3_000_000).values["instructions"]
    assert 2.5 < thrice / once < 3.5


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.EACCES, "not allowed"),
        (errno.EPERM, "not allowed"),
        (errno.ENOENT, "virtual machines"),
        (errno.ENOSYS, "no perf_event_open"),
        (errno.EMFILE, "could not be opened"),
    ],
)
def test_each_refusal_has_its_own_sentence(monkeypatch, code, told):
    def refuse(event):
        raise OSError(code, "refused")

    monkeypatch.setattr(counters, "_open", refuse)
    assert told in counters.missing() and counters.FALLBACK in counters.missing()


def test_attribute_is_laid_out_as_linux_wants_it():
    data = counters.attribute("d1_read_misses")
    kind, size, config = struct.unpack_from("IIQ", data)
    assert (kind, size, config, len(data)) == (3, 112, 0x10000, 112)
    assert struct.unpack_from("Q", data, 40)[0] == 0b1100001  # disabled, no Linux, no hypervisor


def test_counts_are_per_call():
    assert counters.Counts(4, {"instructions": 40.0}, {}, {}).per_call() == {"instructions": 10.0}
