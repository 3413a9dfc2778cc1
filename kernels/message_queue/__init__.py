"""The message queue kernel: fixed-size records from thread to thread, and from process to process."""

from __future__ import annotations

from kernels.catalog import Kernel, Parameter
from kernels.message_queue._work import MODES, ROUND_TRIP, divide, length, output, prepare
from kernels.message_queue.reference import Reference

CARD = """
Passes records of a fixed size.
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
)
