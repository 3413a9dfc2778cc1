"""The message queue kernel: fixed-size records from thread to thread, and from process to process."""

from __future__ import annotations

from kernels.catalog import Kernel, Parameter
from kernels.message_queue._work import MODES, ROUND_TRIP, divide, length, output, prepare
from kernels.message_queue.reference import Reference

CARD = """
Passes records of one fixed size, moved as 64-bit words, through a ring of a power of two of slots: between threads, and
between processes through shared memory. A full queue refuses, an empty one says so; who has to wait pauses, and after
some 100 us sleeps, so that it also works on one core.

Other kernels use ``push(state, records, i)`` and ``pop(state, records, i)`` of a variant's module, with `records` as
int64[n, words]: ``array.view(np.int64).reshape(len(array), -1)`` of any array of records.

| variant | for | its idea |
| --- | --- | --- |
| `baseline` | any threads | a ring behind one pthread mutex |
| `spin_mutex`, `adaptive_mutex` | any threads | another lock: one that spins, one that spins before it sleeps |
| `packed` | 1 to 1 | no lock: each index has one writer; both on one cache line |
| `aligned` | 1 to 1 | head and tail padded to lines of their own |
| `lock_free` | 1 to 1 | each side remembers what it saw of the other's index |
| `simd` | 1 to 1 | a batch by one vector copy and one store that tells of it |
| `cells` | 1 to 1 | a number beside the record: a short message moves one line, for the shortest round trip |
| `mpmc` | any threads | Vyukov's ring: a number in each slot tells whose turn it is |
| `mpmc_batch` | any threads | a batch takes its run of slots by one swap; single records go as in `mpmc` |
| `robust` | any threads | the slot names its holder, so that others can give back what a dead process held |
| `peer_boost_spsc` | 1 to 1 | Boost's `spsc_queue`, in C++ |
| `peer_mutex_deque` | any threads | `std::deque` behind `std::mutex`, in C++ |

With `threads` above 1 half of them put in and half take out, each on a core of its own where there are enough. With
``mode=round_trip`` two threads send each record there and back through two queues; `python -m
kernels.message_queue.round_trip` compares that with bare cache lines. `kernels.message_queue.shared` is the queue
between processes, read from Python as NumPy views; `python -m kernels.message_queue.against_pipe` compares it with JSON
through a pipe.

What is timed as one sample is a batch on one side, waiting included (with one thread: put in and taken out), or one
round trip; a single operation is shorter than the clock's step. In a stream that runs at full speed the age of a
message says only how full the ring is, so it is not reported: the round trip is the latency. `lines_touched` is
reckoned from what the code reads and writes, not measured; a line counts once an operation.

There is no `combined` (`simd` is the last step of its chain) and no store past the caches in `simd`: the records are
read at once by another core, which would then fetch them from memory. False sharing hurts less than the chain suggests:
with both indices on one line, a side that looks at the other's index gets both for one transfer.
"""

KERNEL = Kernel(
    name="message_queue",
    title="Message queue: records from thread to thread and from process to process",
    card=CARD,
    operations={"pass": "one record put in by one thread and taken out by another (round_trip: there and back)"},
    counters={
        "cas_retries": "times that another thread came between and a slot had to be chosen anew",
        "waits": "times that a thread found the queue full or empty and waited a moment",
        "batches": "groups of messages put in or taken out between two looks at the clock",
        "lines_touched": "cache lines of locks, indices and slots that operations read or wrote",
    },
    invariants=(
        "What comes out is what went in: no record lost, doubled or torn.",
        "One producer's records come out in the order in which they went in.",
        "A full queue refuses, an empty one says so; neither changes anything.",
        "No memory is allocated while records pass.",
    ),
    parameters=(
        Parameter("slots", 1024, 2, 2**24, "how many records a queue holds, a power of two"),
        Parameter("record_bytes", 64, 8, 1024, "the size of a record, a multiple of 8"),
        Parameter("threads", 1, 1, 16, "1, or an even number: half of them put in, half take out"),
        Parameter("batch", 64, 1, 4096, "messages between two looks at the clock, and at most in one copy"),
        Parameter("mode", 0, 0, 1, "stream: one way; round_trip: there and back", choices=MODES),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=lambda events: {},
    output=output,
    length=length,
    count_operations=length,
    operations_per_sample=lambda parameters: 1 if parameters["mode"] == ROUND_TRIP else parameters["batch"],
    divide=divide,
    budget="message_queue.batch",
)
