"""Fuzz the ITCH parser against the oracle: ``python itch_fuzz.py MESSAGES SEED``. Prints how many messages it took.

Run with NUMBA_BOUNDSCHECK=1 it first prints IndexError, to prove that the checks are on.
"""

import os
import random
import sys

import itch_oracle
import numpy as np

from kernels._jit import kernel_jit
from kernels.feeds.itch import ItchError, ItchFeed
from kernels.feeds.itch_parser import CENTS
from kernels.machine.endian import big_endian_64


@kernel_jit
def beyond(data):
    return big_endian_64(data, 3)


def pulled(feed, pieces):
    """Return all events of the pieces as tuples, and the error's text or None."""
    events = []
    try:
        for piece in pieces:
            feed.push(piece)
            while count := feed.pull():
                events += [row.tolist() for row in feed.events[:count]]
        feed.finish()
    except ItchError as error:
        return events, str(error)
    return events, None


def check(feed, pieces, cents=True):
    """Compare the parser with the oracle on the pieces; return how many events there were."""
    oracle = itch_oracle.Oracle(b"".join(pieces), cents)
    events, error = pulled(feed, pieces)
    assert events == oracle.events
    assert feed.symbol_names == oracle.symbol_names and feed.symbols == len(oracle.ids)
    if oracle.fault is None:
        assert error is None, error
    else:
        at, why = oracle.fault
        said = {None: "the length before a message", "cut": "is cut after"}.get(why, f"stands type {why!r}")
        assert error is not None and error.startswith(f"at byte {at:,} ") and said in error, (error, oracle.fault)
    return len(events)


def main(messages, seed):
    source, done, events, faults = random.Random(seed), 0, 0, 0
    while done < messages:
        made = [itch_oracle.message(source) for _ in range(source.randrange(1, 2000))]
        data = itch_oracle.framed(made, source.random() < 0.5)
        if source.random() < 0.5:
            data = itch_oracle.damaged(source, data, source.randrange(1, 4))
        feed = ItchFeed(source.choice([1, 2, 7, 256]), cents=source.random() < 0.7)
        pieces = itch_oracle.cut(source, data, source.randrange(1, 60))
        events += check(feed, pieces, bool(feed.state.control[CENTS]))
        faults += itch_oracle.Oracle(data).fault is not None
        done += len(made)
    assert events and faults
    print(done)


if __name__ == "__main__":
    if os.environ.get("NUMBA_BOUNDSCHECK"):
        try:
            beyond(np.zeros(10, np.uint8))
        except IndexError:
            print("IndexError")
    main(int(sys.argv[1]), int(sys.argv[2]))
