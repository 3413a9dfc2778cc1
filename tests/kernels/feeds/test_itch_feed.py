"""The compiled ITCH 5.0 parser against an oracle in plain Python: every type, both framings, cut and damaged anywhere.

``WORKBENCH_STRESS_OPS`` sets how many fuzzed messages the long test makes, without and with bounds checks.
"""

import os
import random
import subprocess
import sys

import itch_fuzz
import itch_oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.feeds.itch import ItchError, ItchFeed
from kernels.feeds.itch_parser import CENTS
from kernels.messages import EVENT

QUICK = settings(max_examples=150, deadline=None)
STRESS = int(float(os.environ.get("WORKBENCH_STRESS_OPS", "20000")))


@given(source=st.randoms(use_true_random=False), lengths=st.booleans(), block=st.integers(1, 9), cents=st.booleans())
@QUICK
def test_streams_cut_anywhere_equal_the_oracle(source, lengths, block, cents):
    data = itch_oracle.framed([itch_oracle.message(source) for _ in range(source.randrange(60))], lengths)
    itch_fuzz.check(ItchFeed(block, cents=cents), itch_oracle.cut(source, data, source.randrange(1, 30)), cents)


@given(source=st.randoms(use_true_random=False), lengths=st.booleans(), changes=st.integers(1, 5))
@QUICK
def test_damage_is_told_at_its_byte_after_the_events_before_it(source, lengths, changes):
    data = itch_oracle.framed([itch_oracle.message(source) for _ in range(source.randrange(30))], lengths)
    data = itch_oracle.damaged(source, data, changes)
    itch_fuzz.check(ItchFeed(4), itch_oracle.cut(source, data, source.randrange(1, 9)))


@given(pieces=st.lists(st.binary(max_size=80), max_size=6))
@QUICK
def test_any_bytes(pieces):
    itch_fuzz.check(ItchFeed(3), pieces)


@pytest.mark.parametrize("lengths", [True, False])
def test_every_type_alone_and_every_cut_of_it(lengths):
    source = random.Random(1)
    for letter in itch_oracle.LETTERS:
        data = itch_oracle.framed([itch_oracle.message(source, letter) for _ in range(2)], lengths)
        for at in range(len(data) + 1):
            itch_fuzz.check(ItchFeed(), [data[:at], data[at:]])
            itch_fuzz.check(ItchFeed(), [data[:at]])
        itch_fuzz.check(ItchFeed(), [bytes([byte]) for byte in data])


def test_the_end_of_session_ends_the_stream_quietly():
    data = itch_oracle.framed([itch_oracle.message(random.Random(2), "A")])
    assert itch_fuzz.check(ItchFeed(), [data + b"\0\0"]) == itch_fuzz.check(ItchFeed(), [data, b"\0", b"\0"]) == 1
    feed = ItchFeed()
    feed.push(data + b"\0")
    feed.pull()
    feed.pull()
    with pytest.raises(ItchError, match=r"at byte 38 a message starts that is cut after 1 bytes"):
        feed.finish()


def test_prices_between_two_cents_and_numbers_above_31_bits():
    def add(price, size=1, letter=b"A"):
        return (
            letter + bytes(10) + bytes(7) + b"\x01B" + size.to_bytes(4, "big") + b"NAME    " + price.to_bytes(4, "big")
        )

    messages = [add(58_533_00), add(58_533_01), add(2**32 - 1, 2**31), add(58_533_99, letter=b"P") + bytes(8)]
    for cents, prices in ((True, [58533, 0, 0, 58533]), (False, [5853300, 5853301, -1, 5853399])):
        feed = ItchFeed(cents=cents)
        feed.push(itch_oracle.framed(messages))
        assert feed.pull() == 4 and feed.state.control[CENTS] == cents
        assert feed.events["price_ticks"][:4].tolist() == prices
        assert feed.events["size"][:4].tolist() == [1, 1, -(2**31), 1]
        assert feed.symbol_names == ("NAME",)


def test_a_cross_is_a_trade_where_it_has_shares_that_fit():
    source, feed, messages = random.Random(6), ItchFeed(), []
    for shares in (0, 1, 2**31 - 1, 2**31, 2**63):
        cross = bytearray(itch_oracle.message(source, "Q"))
        cross[11:19] = shares.to_bytes(8, "big")
        messages.append(bytes(cross))
    feed.push(itch_oracle.framed(messages))
    assert feed.pull() == 2 and feed.events["size"][:2].tolist() == [1, 2**31 - 1]


def test_the_padding_of_events_is_zero():
    source, feed = random.Random(3), ItchFeed(64)
    feed.events.view(np.uint8)[:] = 255
    feed.push(itch_oracle.framed([itch_oracle.message(source) for _ in range(200)]))
    assert feed.pull() == 64
    assert not feed.events.view(np.uint8).reshape(-1, EVENT.itemsize)[:, 36:].any()


def test_wrong_use_is_told():
    with pytest.raises(ValueError, match="room for at least 1 event"):
        ItchFeed(0)
    feed = ItchFeed()
    with pytest.raises(ValueError, match="bytes or a one-dimensional array of uint8"):
        feed.push(np.zeros(3))
    feed.push(bytes(40))
    with pytest.raises(ValueError, match="has not been pulled to its end"):
        feed.push(b"")


def test_fuzzed_messages():
    itch_fuzz.main(STRESS, 11)


def test_fuzzed_messages_with_bounds_checks_on():
    messages = min(STRESS, 10**6)
    done = subprocess.run(
        [sys.executable, itch_fuzz.__file__, str(messages), "12"],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1"},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    first, count = done.stdout.split()
    assert first == "IndexError" and int(count) >= messages


@pytest.mark.data
def test_the_real_file(real_data):
    data = (real_data / "ex20101224.TEST_ITCH_50").read_bytes()
    source = random.Random(4)
    assert itch_fuzz.check(ItchFeed(500), [data]) == 12_000
    assert itch_fuzz.check(ItchFeed(7), itch_oracle.cut(source, data, 5000)) == 12_000
