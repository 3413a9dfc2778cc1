"""HDR histograms outside compiled code: percentiles, merging, and the interchange form of all HdrHistogram tools.

The text form is HdrHistogram V2, compressed, base64: the `hdrhistogram` package, HdrHistogram.js's plotter and wrk2's
tools read it, and theirs is read here. Two histograms merge by adding their counts; percentiles are never averaged.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Iterable
from functools import cache

import numpy as np

# The layout of `kernels.machine.histogram`, restated so that reading a record does not import Numba (a second); a
# test holds the two equal.
SUB_BUCKETS = 2048
HALF_BITS = 10
HALF = 1 << HALF_BITS
HIGHEST_NS = 60 * 10**9

_COMPRESSED = 0x1C849304 | 0x10  # the cookies of HdrHistogram's V2 encoding
_PLAIN = 0x1C849303 | 0x10
_COOKIE_BASE = 0xFFFFFF0F
_OUTER = struct.Struct(">II")  # cookie, length of the compressed payload
_INNER = struct.Struct(">IIIIQQd")  # cookie, length, normalizing offset, digits, lowest, highest, ratio
_LONGEST = 1 << 20  # bytes that a payload may unpack to: 27,648 counts of 9 bytes are a quarter of it


class HistogramError(ValueError):
    """A text is not a histogram that can be read: one sentence that says why."""


def counts_length(highest: int) -> int:
    """Return how many buckets a histogram up to `highest` has."""
    buckets, reach = 1, SUB_BUCKETS
    while reach <= highest:
        reach <<= 1
        buckets += 1
    return (buckets + 1) * HALF


@cache
def _edges(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each of `length` buckets, int64 each."""
    index = np.arange(length, dtype=np.int64)
    exponent = np.maximum((index >> HALF_BITS) - 1, 0)
    lowest = np.where(index < SUB_BUCKETS, index, ((index & (HALF - 1)) + HALF) << exponent)
    return lowest, lowest + (np.int64(1) << exponent) - 1


class Histogram:
    """Counts of latencies in ns by bucket, known to better than 0.1 %. `counts` is int64[n] and belongs to it."""

    def __init__(self, counts: np.ndarray | None = None, highest: int = HIGHEST_NS):
        self.highest = highest
        self.counts = np.zeros(counts_length(highest), np.int64)
        if counts is not None:
            if counts.shape != self.counts.shape:
                raise HistogramError(f"{counts.shape[0]} counts do not reach {highest}: {len(self.counts)} would")
            self.counts[:] = counts

    @property
    def total(self) -> int:
        """Return how many values were recorded."""
        return int(self.counts.sum())

    @property
    def minimum(self) -> int:
        """Return the smallest value, as the low end of its bucket; 0 when empty."""
        used = np.flatnonzero(self.counts)
        return int(_edges(len(self.counts))[0][used[0]]) if len(used) else 0

    @property
    def maximum(self) -> int:
        """Return the largest value, as the high end of its bucket; 0 when empty."""
        used = np.flatnonzero(self.counts)
        return int(_edges(len(self.counts))[1][used[-1]]) if len(used) else 0

    @property
    def mean(self) -> float:
        """Return the mean, every value taken as the middle of its bucket; 0 when empty."""
        lowest, highest = _edges(len(self.counts))
        total = self.total
        return float(np.dot(self.counts, lowest + (highest - lowest + 1) // 2)) / total if total else 0.0

    def value_at(self, percentile: float) -> int:
        """Return the value at `percentile` (0 .. 100): the smallest that so many percent do not exceed; 0 when empty.

        As all HdrHistogram tools do, it gives the high end of the bucket.
        """
        total = self.total
        return self.value_at_rank(math.ceil(round(percentile / 100 * total, 6))) if total else 0

    def value_at_rank(self, rank: int) -> int:
        """Return the value with `rank` in ascending order, from 1; clamped to what was recorded."""
        running = np.cumsum(self.counts)
        rank = min(max(rank, 1), int(running[-1]))
        return int(_edges(len(self.counts))[1][np.searchsorted(running, rank)])

    def interpolated_at(self, percentile: float, width: float) -> float:
        """Return the value at `percentile`, interpolated inside a window of `width` around it; 0 when empty.

        For comparing, where the clock advances in steps of `width`: the percentile itself would jump by a whole step or
        not move at all, while the shares of the two steps around it follow a small change (the median of grouped data).
        """
        total = self.total
        if total == 0:
            return 0.0
        rank = percentile / 100 * total
        value = self.value_at(percentile)
        lowest, _ = _edges(len(self.counts))
        begin, end = np.searchsorted(lowest, [value - width / 2, value + width / 2])
        end = max(end, begin + 1)
        below, inside = int(self.counts[:begin].sum()), int(self.counts[begin:end].sum())
        share = (rank - below) / inside if inside else 0.5
        return max(value - width / 2, 0.0) + width * min(max(share, 0.0), 1.0)

    def add(self, other: Histogram) -> None:
        """Add the counts of `other`. The reach becomes the longer of the two."""
        if len(other.counts) > len(self.counts):
            self.highest = other.highest
            self.counts = np.concatenate([self.counts, np.zeros(len(other.counts) - len(self.counts), np.int64)])
        self.counts[: len(other.counts)] += other.counts

    def encode(self) -> str:
        """Return the histogram in HdrHistogram's V2 compressed form, base64."""
        used = np.flatnonzero(self.counts)
        body = _pack(self.counts, used)
        plain = _INNER.pack(_PLAIN, len(body), 0, 3, 1, self.highest, 1.0) + body
        squeezed = zlib.compress(plain)
        return base64.b64encode(_OUTER.pack(_COMPRESSED, len(squeezed)) + squeezed).decode("ascii")

    @classmethod
    def decode(cls, text: str | bytes) -> Histogram:
        """Read what `encode`, or any HdrHistogram tool, wrote. Raises HistogramError with one sentence.

        Read are histograms with lowest value 1 and three digits, of any reach: other layouts have other buckets.
        """
        plain = _unwrap(text)
        cookie, length, offset, digits, lowest, highest, _ = _INNER.unpack_from(plain)
        if cookie & _COOKIE_BASE != _PLAIN & _COOKIE_BASE:
            raise HistogramError("this histogram is not in HdrHistogram's V2 form: write it with V2")
        if (offset, digits, lowest) != (0, 3, 1) or not 1 < highest < 1 << 62:
            raise HistogramError(f"this histogram has lowest {lowest} and {digits} digits: only 1 and 3 can be read")
        body = plain[_INNER.size : _INNER.size + length]
        if len(body) != length:
            raise HistogramError("this histogram is cut short: take it anew from where it came")
        return cls(_unpack(body, counts_length(highest)), highest)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """Return the sum of `histograms`: the only honest way to a percentile of them all."""
    whole = Histogram()
    for histogram in histograms:
        whole.add(histogram)
    return whole


def _unwrap(text: str | bytes) -> bytes:
    """Return the uncompressed payload, its header included."""
    try:
        raw = base64.b64decode(text, validate=True)
        cookie, length = _OUTER.unpack_from(raw)
        if cookie & _COOKIE_BASE != _COMPRESSED & _COOKIE_BASE:
            raise HistogramError("this text is not a compressed HdrHistogram V2: its first bytes say so")
        if length != len(raw) - _OUTER.size:
            raise HistogramError("this histogram is cut short: take it anew from where it came")
        plain = zlib.decompressobj().decompress(raw[_OUTER.size :], _LONGEST)
    except (binascii.Error, struct.error, zlib.error) as error:
        raise HistogramError(f"this text is not an HdrHistogram ({error}): take it anew from where it came") from None
    if len(plain) < _INNER.size:
        raise HistogramError("this histogram is cut short: take it anew from where it came")
    return plain


def _pack(counts: np.ndarray, used: np.ndarray) -> bytes:
    """Write counts as ZigZag LEB128 numbers; a run of zeros is one negative number."""
    packed = bytearray()
    position = 0
    for index in used.tolist():
        if index > position:
            packed += _leb128(position - index)
        packed += _leb128(int(counts[index]))
        position = index + 1
    return bytes(packed)


def _leb128(value: int) -> bytes:
    """Return a signed 64-bit `value` as ZigZag LEB128: seven bits a byte, the ninth byte holds eight."""
    bits = ((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    for _ in range(8):
        if bits < 0x80:
            out.append(bits)
            return bytes(out)
        out.append(bits & 0x7F | 0x80)
        bits >>= 7
    out.append(bits)
    return bytes(out)


def _unpack(body: bytes, length: int) -> np.ndarray:
    """Read what `_pack` wrote into int64[length]. Raises HistogramError where it does not fit."""
    counts = np.zeros(length, np.int64)
    index = position = 0
    while position < len(body):
        bits = shift = 0
        for place in range(9):
            if position >= len(body):
                raise HistogramError("this histogram is cut short: take it anew from where it came")
            byte = body[position]
            position += 1
            bits |= (byte if place == 8 else byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        value = (bits >> 1) ^ -(bits & 1)
        if value < 0:
            index -= value
            continue
        if index >= length:
            raise HistogramError("this histogram has more counts than its reach allows: take it anew")
        counts[index] = value
        index += 1
    return counts
