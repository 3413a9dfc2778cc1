"""hftbacktest's book gives what ours gives, event by event, so that the two may be timed against each other."""

import numpy as np
import pytest

import kernels
from kernels.messages import EVENT, Kind
from workbench import workloads

BOOK = kernels.get("order_book")
PEER = BOOK.variants["peer_hftbacktest"]

pytestmark = pytest.mark.skipif(PEER.missing() is not None, reason=PEER.missing() or "")


def of(*rows):
    events = np.zeros(len(rows), EVENT)
    for event, (kind, order, side, price, size) in zip(events, rows, strict=True):
        event["kind"], event["order_id"], event["side"], event["price_ticks"], event["size"] = (
            kind, order, side, price, size,
        )  # fmt: skip
    return events


def test_every_event_that_it_knows_gives_our_best_prices():
    events = of(
        (Kind.ADD, 1, 0, 100, 50), (Kind.ADD, 2, 1, 103, 40), (Kind.ADD, 3, 0, 101, 5), (Kind.TRADE, 0, 0, 102, 7),
        (Kind.CANCEL, 1, 0, 100, 20), (Kind.EXECUTE, 3, 0, 101, 5), (Kind.DELETE, 2, 1, 0, 0), (Kind.ADD, 4, 1, 102, 9),
    )  # fmt: skip
    assert PEER.replay(PEER.build(), events).tolist() == BOOK.reference(symbols=1).replay(events).tolist()


def test_again_from_the_beginning():
    events = of((Kind.ADD, 1, 0, 100, 50), (Kind.CANCEL, 1, 0, 100, 20))
    book = PEER.build()
    first = PEER.replay(book, events).tolist()
    book.reset()
    assert PEER.replay(book, events).tolist() == first == [(100, 50, 0, 0), (100, 30, 0, 0)]


@pytest.mark.data
def test_the_real_hour(real_data):
    events = workloads.parse("aapl").events
    ours = BOOK.variants["ladder"]
    assert np.array_equal(PEER.replay(PEER.build(), events), ours.replay(ours.build(), events))


def test_what_it_cannot_do_is_told():
    with pytest.raises(ValueError, match="one asset"):
        PEER.build(symbols=2)
    with pytest.raises(ValueError, match="knows no"):
        PEER.replay(PEER.build(), of((Kind.CLEAR, 0, 0, 0, 0)))
