"""The codec kernel: orders and market events to bytes and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.catalog import Kernel, Parameter
from kernels.order_codec._messages import MESSAGES, divide, output, prepare
from kernels.order_codec.reference import Reference

CARD = """
Turns outgoing orders (`kernels.messages.ORDER`) or market events (`EVENT`) into bytes and back, many at a time or one
by one. The parameter `message` chooses which; the orders are made from market events, about one for each.

| variant | its form on the wire, and its idea |
| --- | --- |
| `baseline` | JSON by the standard library, called from Python; it also turns arrays into dictionaries and back |
| `big_endian` | length, letter, big-endian numbers without gaps (53 bytes an order, 39 an event), one by one |
| `simd` | the same bytes: one permutation of 64 bytes for a message, one compare for all its checks |
| `aligned` | the little-endian record itself, 64 bytes an order, 40 an event: to decode is to check it where it lies |
| `lock_free` | records in a ring of cache lines shared by threads: claim, encode in place, publish; no lock, no copy |
| `peer_json`, `peer_orjson`, `peer_msgspec`, `peer_struct` | Python objects, one by one; made before the clock starts |
| `peer_numpy` | the packed form by assignment between structured arrays |
| `peer_cpp_big_endian`, `peer_cpp_copy` | a plain codec in C++, packed or copying the record, with the same checks |

Every form may carry anything; the decoder checks. A broken frame (wrong length, wrong letter, cut) ends the decoding
of the bytes at hand, since nothing behind it can be trusted; a field out of range refuses one message, whose row is
zero. Both are counted by `kernels.order_codec._words.Refusal`. An encoder checks nothing but its room.

Single messages, from compiled code: `encode`, `decode`, `encode_event` and `decode_event` have the same arguments in
`big_endian`, `simd`, `aligned` and `lock_free` (where ``buffer`` is ``state.ring``, between `claim` and `publish`, or
`take_next` and `release`). A vector gains nothing on one message, so those of `simd` are those of `big_endian`. Whole
streams: `encode_all` and `decode_all` of `big_endian`, `simd` and `aligned`; a vector may write up to 11 (orders) or 25
(events) bytes behind the last message on the wire, inside the array, and a broken frame may leave the beginning of the
row behind the last decoded one zeroed.

`simd` needs a target that shuffles bytes in registers of 32 or more; elsewhere it runs the code of `big_endian`.
`aligned` has no copy to lose: `out` is the wire. The packed variants keep `batch` messages on a wire that stays in the
first-level cache. With `threads`, each thread codes a share of the messages: on a wire of its own, or all on the one
ring of `lock_free`. With a probe a batch is stamped, not a message. JSON holds the GIL, so its threads take turns.

Peers that make Python objects allocate them in the timed part, which cannot be avoided there; ours and those in C++
write into an array that exists.
"""


def parameters_for(events: np.ndarray) -> dict[str, int]:
    """Return what a codec must know of a stream beforehand: nothing, unless it is of orders."""
    return {}


def _length(messages: Any) -> int:
    return len(messages.rows)


KERNEL = Kernel(
    name="order_codec",
    title="Order codec: orders and market events to bytes and back",
    card=CARD,
    operations={"code": "one message encoded and decoded"},
    counters={
        "refused": "messages that the decoder refused",
        "lines_touched": "cache lines of the wire written and read",
        "waits": "looks at a slot of the ring that another thread had not released yet",
    },
    invariants=(
        "A message that is decoded is the one that was encoded, field by field.",
        "A message that is refused is counted under the first check that it fails, and its row is zero.",
        "Nothing is read or written outside the arrays that were handed over, whatever bytes come.",
        "The bytes of a form are those that its description says, and the same in every variant that has it.",
        "A message in the shared ring is decoded once, whole, and after it was published.",
        "No memory is allocated, except by text.",
    ),
    parameters=(
        Parameter("message", 0, 0, len(MESSAGES) - 1, "what is encoded and decoded", choices=MESSAGES),
        Parameter("batch", 64, 1, 4096, "messages on the wire at once, before they are decoded"),
        Parameter("threads", 1, 1, 64, "threads that encode and decode at the same time"),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=parameters_for,
    output=output,
    length=_length,
    count_operations=_length,
    operations_per_sample=lambda parameters: parameters["batch"],
    budget="order_codec.throughput",
    divide=divide,
)
