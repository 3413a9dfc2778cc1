"""What is checked of an order, in which order, and what an account's exposure means: the same for every variant.

An *action* says what a request is: bit 0 is the side; bit 3 makes it a release of what an order had reserved, and then
bit 2 says that the size was filled (else taken back) and bit 1 that the order is closed by it. So 0 and 1 are new
orders and 8 .. 15 are releases.

An account's exposure is kept as the worst that can come:

- *long*: position + open buys, shares: the position if every open buy is filled and no sell is. May be negative.
- *short*: open sells - position, shares: minus the position if every open sell is filled and no buy is.
- *notional*: price times size of the open orders, in ticks times shares; *open*: how many of them there are.
- *next_ns*: when the account would be back at its steady rate of messages, the one word of the generic cell rate
  algorithm (ITU-T I.371): an order moves it on by `interval_ns`, from now if it lies in the past, and is refused where
  that comes to lie more than `burst_ns` ahead of now.

A fill moves shares from the open orders into the position, which leaves the worst case of its own side as it was and
improves the other side's by the size. Long and short together are what is open, and never negative.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.machine.hints import unlikely
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS
from kernels.probe import count

hot = kernel_jit(inner=True, forceinline=True, _nrt=False)
cold = kernel_jit(inner=True, forceinline=False, _nrt=False)
public = kernel_jit(forceinline=True, _nrt=False)  # inlined into compiled callers, and callable from Python


class Reason(IntEnum):
    """Why an order or a release was refused: the first check that fails, in this order. 0: it was not."""

    ACCEPTED = 0
    BAD_ACTION = 1  # neither a new order nor a release
    BAD_ACCOUNT = 2  # not below the number of accounts
    BAD_PRICE = 3  # not in 1 .. MAX_PRICE_TICKS
    BAD_SIZE = 4  # not in 1 .. MAX_ORDER_SIZE
    BAD_TIME = 5  # an order's timestamp is not in 0 .. MAX_TIME_NS
    KILLED = 6  # the switch of all accounts, or of this one, is on
    COLLAR = 7  # too far from the reference price, or there is no reference price
    SIZE = 8  # more shares than one order may have
    POSITION = 9  # the worst case of its side would be above the limit
    NOTIONAL = 10  # the account's open orders would be worth more than the limit
    OPEN_ORDERS = 11  # the account would have more open orders than the limit
    RATE = 12  # the account would send more messages than its rate and burst allow
    OVER_RELEASE = 13  # a release of more shares, notional or orders than the account has open


SELL, CLOSED, FILLED, RELEASE_BIT = 1, 2, 4, 8  # the bits of an action
ACTIONS = 16
NO_SIDE = 2  # what stands for the side of a request that is neither an order nor a release
REASONS = len(Reason)
MAX_TIME_NS = 2**62 - 1
COLLAR_SHIFT = 10  # the collar is given in 1/1024 of the reference price

ACCEPTED, BAD_ACTION, BAD_ACCOUNT, BAD_PRICE = 0, 1, 2, 3
BAD_SIZE, BAD_TIME, KILLED, COLLAR = 4, 5, 6, 7
SIZE, POSITION, NOTIONAL, OPEN_ORDERS, RATE, OVER_RELEASE = 8, 9, 10, 11, 12, 13

# Counters, in the order of the card; those of refusals are REFUSED + reason.
CAS_RETRIES, ROLLBACKS, SPINS, LINES_TOUCHED, REFUSED = range(5)

# What `state.control` holds (int64 each).
ALL_KILLED, COLLAR_WIDTH, INTERVAL_NS = 0, 1, 2
CONTROL_LENGTH = 8

# Refusals are counted in rows that accounts share, so that threads with accounts of their own rarely meet on a line.
STRIPES = 8
STRIPE_SHIFT = 4  # 16 words, two lines, a row: one for each reason


@hot
def bad_request(account, accounts, price, size):
    """Return why an order or release cannot be one at all, without looking at its account; ACCEPTED if it can."""
    if unlikely(np.uint64(account) >= np.uint64(accounts)):  # a negative number is a large one
        return BAD_ACCOUNT
    if unlikely(np.uint64(price - 1) >= np.uint64(MAX_PRICE_TICKS)):
        return BAD_PRICE
    if unlikely(np.uint64(size - 1) >= np.uint64(MAX_ORDER_SIZE)):
        return BAD_SIZE
    return ACCEPTED


@hot
def before_reserving(control, killed, size_limit, price, size, reference, timestamp):
    """Return the first check that an order fails which needs nothing of what its account has open."""
    if unlikely(np.uint64(timestamp) > np.uint64(MAX_TIME_NS)):
        return BAD_TIME
    # RELAXED: the switch orders no other memory; an order that begins after the store is visible is refused.
    if unlikely((atomics.load(control, ALL_KILLED, RELAXED) | killed) != 0):
        return KILLED
    if unlikely((abs(price - reference) << COLLAR_SHIFT) > reference * control[COLLAR_WIDTH]):
        return COLLAR
    if unlikely(size > size_limit):
        return SIZE
    return ACCEPTED


@hot
def is_action(action):
    """Return whether `action` is a new order or a release."""
    return (action < 2) | ((action >= RELEASE_BIT) & (action < ACTIONS))


@hot
def long_side(action):
    """Return whether an action changes the account's worst case long: else it changes the worst case short.

    A new buy and a buy taken back do; a fill improves the other side's.
    """
    return ((action ^ (action >> 2)) & 1) == 0


@hot
def tally(refused, account, reason, probe):
    """Count a refusal where several threads may do so at once."""
    row = (np.int64(account) & (STRIPES - 1)) << STRIPE_SHIFT
    atomics.add(refused, row + reason, 1, RELAXED)  # RELAXED: a statistic
    count(probe, REFUSED + reason, 1)


@hot
def tally_alone(refused, account, reason, probe):
    """Count a refusal where one thread does so at a time."""
    refused[((np.int64(account) & (STRIPES - 1)) << STRIPE_SHIFT) + reason] += 1
    count(probe, REFUSED + reason, 1)


def refused_by_reason(refused: np.ndarray) -> np.ndarray:
    """Return int64[REASONS], how many requests were refused, by `Reason`."""
    return refused.reshape(STRIPES, -1)[:, :REASONS].sum(axis=0)
