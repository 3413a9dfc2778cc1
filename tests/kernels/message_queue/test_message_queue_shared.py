"""The queue in shared memory: views without a copy, files that are none, processes that come, go and are killed."""

import contextlib
import os
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.message_queue import _shared_file, robust, shared
from kernels.message_queue._shared_file import bytes_needed, path_of
from kernels.message_queue.shared import SharedQueue, remove_leftovers
from kernels.messages import EVENT

pytestmark = pytest.mark.skipif(not _shared_file.FOLDER.is_dir(), reason="needs /dev/shm")

PAIR = np.dtype([("number", "<i8"), ("check", "<i8")])


def pairs(begin, end):
    records = np.zeros(end - begin, PAIR)
    records["number"] = np.arange(begin, end)
    records["check"] = -records["number"]
    return records


@pytest.fixture
def name(request):
    """A queue's name that no other test has; what is left of it afterwards is taken away."""
    chosen = f"test-{os.getpid()}-{request.node.name[:40].translate(str.maketrans('[]', '..'))}"
    yield chosen
    path_of(chosen).unlink(missing_ok=True)


def child(script, *arguments):
    """Start a Python process that runs `script` and can import what the tests can."""
    head = "import os, signal, sys\nimport numpy as np\nfrom kernels.message_queue.shared import SharedQueue\n"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", head + script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_of(process, expected=0):
    out, err = process.communicate(timeout=120)
    assert process.returncode == expected, err
    return out


def test_records_are_read_as_views_into_the_ring(name):
    with SharedQueue.create(name, PAIR, slots=8) as queue:
        assert queue.push(pairs(0, 6)) == 6 and queue.push(pairs(6, 12)) == 2
        with queue.read(most=5) as records:
            assert np.shares_memory(records, queue.state.slots) and records.dtype == PAIR
            assert records["number"].tolist() == [0, 1, 2, 3, 4]
            with pytest.raises(ValueError, match="read-only"):
                records["number"] = 7
            assert queue.push(pairs(8, 9)) == 0  # they are still the reader's
        assert queue.push(pairs(8, 20)) == 5
        with SharedQueue.attach(name) as other, other.read() as records:
            assert records["number"].tolist() == [5, 6, 7]  # to the end of the ring
            assert other.status() == {"waiting": 5, "users": 2, "lost": 0, "abandoned": 0}
        with queue.read() as records:
            assert records["number"].tolist() == [8, 9, 10, 11, 12] and np.all(records["check"] == -records["number"])
        with queue.read() as records:
            assert len(records) == 0
        with pytest.raises(KeyError), queue.read():
            raise KeyError
    assert not path_of(name).exists()


def test_compiled_code_pushes_and_pops_too(name):
    with SharedQueue.create(name, EVENT, slots=4) as queue:
        events = np.zeros(5, EVENT)
        events["order_id"] = np.arange(5)
        words = events.view(np.int64).reshape(5, -1)
        assert [bool(robust.push(queue.state, words, i)) for i in range(5)] == [True] * 4 + [False]
        assert robust.pop(queue.state, words, 4) and events["order_id"][4] == 0
        with queue.read() as records:
            assert records["order_id"].tolist() == [1, 2, 3] and records.dtype == EVENT


@pytest.mark.slow
def test_records_cross_from_process_to_process_in_order(name):
    script = """
queue, n = SharedQueue.attach(sys.argv[1]), int(sys.argv[2])
records = np.zeros(n, queue.dtype)
records["number"] = np.arange(n) * 4 + int(sys.argv[3])
records["check"] = -records["number"]
assert queue.push(records, timeout_s=60) == n
queue.close()
"""
    count, producers = 20_000, 2
    with SharedQueue.create(name, PAIR, slots=64) as queue:
        children = [child(script, name, count, i) for i in range(producers)]
        got, last = 0, [-1] * producers
        while got < count * producers:
            with queue.read(timeout_s=30) as records:
                assert len(records) and np.all(records["check"] == -records["number"])
                for i in range(producers):
                    own = records["number"][records["number"] % 4 == i] // 4
                    assert np.array_equal(own, np.arange(last[i] + 1, last[i] + 1 + len(own)))
                    last[i] += len(own)
                got += len(records)
        for process in children:
            end_of(process)
        assert queue.status() == {"waiting": 0, "users": 1, "lost": 0, "abandoned": 0}


KILLED = {
    "writing": """
from kernels._jit import kernel_jit
from kernels.message_queue._runs import FREE, TAIL, WRITING, _claim_run
import numba
claim = numba.njit(nogil=True)(lambda state: _claim_run(state, TAIL, FREE, WRITING, 3))
queue = SharedQueue.attach(sys.argv[1])
assert claim(queue.state)[1] == 3
os.kill(os.getpid(), signal.SIGKILL)
""",
    "reading": """
queue = SharedQueue.attach(sys.argv[1])
with queue.read(most=3) as records:
    assert len(records) == 3
    os.kill(os.getpid(), signal.SIGKILL)
""",
}


@pytest.mark.parametrize("what", ["writing", "reading"])
def test_a_process_killed_with_slots_in_hand_stops_nobody(name, what):
    with SharedQueue.create(name, PAIR, slots=8) as queue:
        queue.push(pairs(0, 5))
        process = child(KILLED[what], name)
        end_of(process, -signal.SIGKILL)
        if what == "writing":
            with queue.read() as records:
                assert records["number"].tolist() == [0, 1, 2, 3, 4]
            assert queue.push(pairs(5, 10)) == 5  # behind the three slots
            with queue.read() as records:  # waits for the dead one's slots, and gives them back
                assert records["number"].tolist() == [5, 6, 7, 8, 9]
            assert queue.status() == {"waiting": 0, "users": 1, "lost": 3, "abandoned": 0}
        else:
            with queue.read() as records:
                assert records["number"].tolist() == [3, 4]
            assert queue.push(pairs(5, 11)) == 6  # up to the dead one's slots three are free, then they are needed
            assert queue.status() == {"waiting": 6, "users": 1, "lost": 0, "abandoned": 3}
            found = []
            for _ in range(2):
                with queue.read() as records:
                    found += records["number"].tolist()
            assert found == [5, 6, 7, 8, 9, 10]


def test_a_living_process_is_not_taken_for_dead(name):
    with SharedQueue.create(name, PAIR, slots=4) as queue, SharedQueue.attach(name) as other:
        queue.push(pairs(0, 4))
        with other.read() as records:
            assert len(records) == 4 and queue.push(pairs(4, 5), timeout_s=0.05) == 0
            assert queue.recover() == (0, 0)
        assert queue.push(pairs(4, 5)) == 1


def test_a_process_id_that_came_again_is_told_from_its_first(name):
    with SharedQueue.create(name, PAIR, slots=4) as queue:
        queue._users[7] = os.getpid(), _shared_file.started(os.getpid()) - 1
        queue.state.slots[0, 0] = robust.WRITING << robust.STATE_SHIFT | 8
        assert queue.recover() == (1, 0) and queue._users[7, 0] == 0


def test_what_a_killed_process_leaves_is_taken_away(name, monkeypatch):
    process = child("SharedQueue.create(sys.argv[1], 'i8')\nos.kill(os.getpid(), signal.SIGKILL)", name)
    end_of(process, -signal.SIGKILL)
    assert path_of(name).exists() and name not in remove_leftovers()  # as new as a queue that is just being made
    monkeypatch.setattr(shared, "_NEW_S", 0.0)
    with SharedQueue.create(name + "-used", PAIR):
        removed = remove_leftovers()
        assert name in removed and name + "-used" not in removed
    assert not path_of(name).exists()


def test_a_child_after_a_fork_must_attach_itself(name):
    script = """
queue = SharedQueue.create(sys.argv[1], "i8")
if os.fork() == 0:
    try:
        queue.push(np.zeros(1, np.int64))
    except ValueError as error:
        print(error)
    queue.close()
    os._exit(0)
os.wait()
assert queue.push(np.zeros(1, np.int64)) == 1 and queue.status()["users"] == 1
queue.close()
"""
    assert "belongs to the parent process: attach in the child" in end_of(child(script, name))


def test_wrong_use_is_told_in_one_sentence(name):
    with pytest.raises(ValueError, match="there is no queue"):
        SharedQueue.attach(name)
    for bad, expected in [
        ({"dtype": "O"}, "no Python objects"),
        ({"dtype": "i4"}, "8 to 1,024 bytes"),
        ({"dtype": "S12"}, "multiple of 8"),
        ({"dtype": "i8", "slots": 100}, "power of two"),
        ({"dtype": "i8", "slots": 2**40}, "slots must lie in"),
    ]:
        with pytest.raises(ValueError, match=expected):
            SharedQueue.create(name, **bad)
    for bad in ("", "a/b", "../up", "x" * 101):
        with pytest.raises(ValueError, match="name has letters"):
            SharedQueue.attach(bad)
    with SharedQueue.create(name, PAIR) as queue:
        with pytest.raises(ValueError, match=r"there is a queue .* already"):
            SharedQueue.create(name, PAIR)
        for records in (np.zeros(3), pairs(0, 4).reshape(2, 2), [1, 2]):
            with pytest.raises(ValueError, match="takes one-dimensional arrays of"):
                queue.push(records)
        with pytest.raises(ValueError, match="at least one record"), queue.read(most=0):
            pass
    with pytest.raises(ValueError, match="is closed"):
        queue.push(pairs(0, 1))
    queue.close()


def whole_file(name):
    with SharedQueue.create(name, PAIR, slots=4):
        return path_of(name).read_bytes()


def test_garbage_and_cut_files_are_refused(name):
    good = whole_file(name)
    assert len(good) == bytes_needed(4, 2)
    for bad, expected in [
        (b"", "is no queue: it is empty"),
        (b"x" * 100, "is no queue: it has 100 bytes"),
        (b"x" * len(good), "does not begin as one"),
        (good[:-8], "was cut or added to"),
        (good + bytes(8), "was cut or added to"),
        (good[:8] + struct.pack("<I", 9) + good[12:], "is of version 9"),
        (good[:16] + struct.pack("<q", 5) + good[24:], "is damaged: 5 slots"),
        (good[:24] + struct.pack("<q", 7) + good[32:], "is damaged: 4 slots of 7 words"),
        (good[:40] + struct.pack("<q", 7) + good[48:], "another container"),
        (good[:48] + b"\xff(" + good[50:], "does not say what its records are"),
        (good.replace(b"number', '<i8'", b"number', '<i4'"), "records of 12 bytes are not 2 words"),
    ]:
        path_of(name).write_bytes(bad)
        with pytest.raises(ValueError, match=expected) as caught:
            SharedQueue.attach(name)
        assert "\n" not in str(caught.value)
        assert remove_leftovers() == [] or name not in remove_leftovers()


@settings(max_examples=150)
@given(place=st.integers(0, 130), bits=st.integers(1, 255))
def test_a_flipped_byte_of_the_header_is_refused_or_harmless(place, bits):
    name = f"test-{os.getpid()}-flipped"
    try:
        damaged = bytearray(whole_file(name))
        damaged[place] ^= bits
        path_of(name).write_bytes(damaged)
        with contextlib.suppress(ValueError), SharedQueue.attach(name) as queue:
            assert queue.dtype.itemsize == 16
            assert queue.push(np.zeros(5, queue.dtype)) == 4
    finally:
        path_of(name).unlink(missing_ok=True)
