"""Where a series of one value a night changed its level: the energy statistic locates, permutations decide.

**Statistic.** The energy distance of two samples on a line is twice the squared area between their distribution
functions (Székely, Rizzo: Energy statistics, 2013). It is taken here of *ranks*, so that one wild night weighs no more
than the next: for a stretch of ``m`` of ``n`` nights against all the others ``m (n - m) / n * mean((F - G) ** 2)``.

**Search.** Every split in two and, from 15 nights on, every stretch against what lies on both sides of it (the epidemic
alternative of circular binary segmentation: Olshen et al. 2004), with five nights a side at least. What is found cuts
the series, and the parts are searched again (E-divisive: Matteson, James 2014); at the end each change has to hold
between its neighbours.

**Test.** The *whole search* is repeated on permutations of the nights, ``p = (k + 1) / (K + 1)``. That is exact when
the nights can be exchanged, whatever their distribution; nights that resemble the one before cannot be exchanged, and
then steps are found too easily: `drift.autocorrelation` tells.

**Why it is fast.** Ranks are put in `LEVELS` levels of equal size (equal values that an edge cuts apart fall to either
side by lot) and splits are tried at some fifty places, dense at both ends. A permutation is then a random table of
counts with known margins, and drawing one costs the table's cells, not the nights. All series of one length share their
permutations. Where a step was found it is placed to the night. The price: in a long series a short bump in the middle
is seen only when it fills much of a cell (``n / 24`` nights); below 60 nights every place is tried.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_SIDE = 5
"""A level is known from five nights: fewer could be one bad day of the machine."""

LEVELS = 8
"""Levels of the ranks while searching: the area between two distribution functions is then known well enough."""

CONFIRMING_NIGHTS = 256
"""Nights on each side that confirm a step: one that cannot be seen among so many is smaller than any margin."""

FINE_LEVELS = 64
"""Levels of the ranks while placing a step to the night."""

DRAWS = 4_999
"""Permutations of the longest test: no p-value is below 1 / 5,000."""

_STAGES = (99, 100, 800, 4_000, 15_000)
_INNER_DRAWS = 199  # of the searches within parts: what they find is confirmed with more
_CONFIRMING_DRAWS = 999
_INNER_LENGTHS = 16  # parts have any length: permutations for each would take most of the time
_HOPELESS = 0.1  # a test is given up when its p-value is above this after the first stage
_EPIDEMIC_FROM = 3 * LEAST_SIDE
_CHUNK = 500  # permutations at a time: what they need stays in the cache of the CPU


@dataclass(frozen=True)
class Change:
    """A step: `index` is the first night of the new level, `size` the difference of the two levels' medians."""

    index: int
    size: float
    p: float


@dataclass(frozen=True)
class Search:
    """What one search said: the cuts it proposes (one or two places) and the p-value of the whole search."""

    cuts: tuple[int, ...]
    p: float


def find_changes(
    values: Sequence[float] | Floats, alpha: float = 0.01, draws: int = DRAWS, seed: int = 1
) -> tuple[list[Change], float]:
    """Return the changes of level in `values`, in order, and the p-value of "there is none".

    `values` are finite, one a night, in order of time. `alpha` holds for each search: a series without a change shows
    one with this probability at most. `draws` bounds the permutations of the first search, the others take fewer. The
    p-value returned is that of the first search, for a correction over several series. Raises ValueError for a value
    that is not finite. With fewer than ten nights there is nothing to search: ``([], 1.0)``.
    """
    data = np.ascontiguousarray(values, dtype=np.float64)
    if not np.isfinite(data).all():
        raise ValueError("a night's value is not finite")
    first = search(data, draws, seed)
    if first.p > alpha:
        return [], first.p
    cuts, waiting = set(first.cuts), _parts(0, len(data), first.cuts)
    while waiting:
        start, end = waiting.pop()
        found = search(data[start:end], min(draws, _INNER_DRAWS), seed, lengths=_INNER_LENGTHS)
        if found.p <= alpha:
            inner = tuple(start + cut for cut in found.cuts)
            cuts.update(inner)
            waiting += _parts(start, end, inner)
    kept = _confirmed(data, sorted(cuts), alpha, min(draws, _CONFIRMING_DRAWS), seed)
    return _with_sizes(data, kept), first.p


def search(data: Floats, draws: int = DRAWS, seed: int = 1, *, epidemic: bool = True, lengths: int = 64) -> Search:
    """Return the best cuts of `data` and the p-value of the whole search.

    No cuts and 1.0 below ten nights, and where all values are alike.

    With `epidemic` a stretch that stands out is looked for too. From 128 nights on the oldest are left out, at most one
    in `lengths`, so that there are so few lengths that their permutations are often there already.
    """
    count = len(data)
    if count < 2 * LEAST_SIDE or data.min() == data.max():
        return Search((), 1.0)
    skipped = count % (2 ** (count.bit_length() - 1) // lengths) if count >= 128 else 0
    tested = data[skipped:]
    count -= skipped
    both = epidemic and count >= _EPIDEMIC_FROM
    places = candidate_places(count)
    codes = _levels(tested, LEVELS, seed)
    table = _counts(codes, places, LEVELS)
    splits, stretches = _energies(table[None], places, count)
    observed = splits.max(), stretches.max() if both else 0.0
    p, p_stretch, p_split = _p_value(observed, count, draws, seed, both)
    if both and p_stretch < p_split:
        i, j = np.unravel_index(int(stretches[0].argmax()), stretches.shape[1:])
        coarse = [int(places[i]), int(places[j])]
    else:
        coarse = [int(places[splits[0].argmax()])]
    return Search(tuple(cut + skipped for cut in _placed(tested, coarse, places, seed)), p)


def candidate_places(count: int) -> Integers:
    """Return where a series of `count` nights may be cut: all places up to 60 nights, else dense at both ends only."""
    last = count // 2
    if count <= 60:
        return np.arange(LEAST_SIDE, count - LEAST_SIDE + 1)
    widest = max(1, count // 24)
    places, place, step = [], LEAST_SIDE, 1
    while place <= last:
        places.append(place)
        step = min(widest, max(1, round(place * 0.3)))
        place += step
    return np.unique([*places, *(count - place for place in places)])


def energy_of_split(data: Floats, place: int) -> float:
    """Return the energy statistic of the mid-ranks of ``data[:place]`` against the rest, by its definition: O(n²).

    ``m k / n * (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 n)``: what the fast form approximates by levels.
    """
    ordered = np.sort(data)
    ranks = (np.searchsorted(ordered, data, "left") + np.searchsorted(ordered, data, "right")) / 2
    left, right = ranks[:place], ranks[place:]

    def apart(a: Floats, b: Floats) -> float:
        return float(np.abs(a[:, None] - b[None, :]).mean())

    count = len(data)
    distance = 2 * apart(left, right) - apart(left, left) - apart(right, right)
    return len(left) * len(right) / count * distance / (2 * count)


def _parts(start: int, end: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    edges = [start, *cuts, end]
    return list(itertools.pairwise(edges))


def _levels(data: Floats, levels: int, seed: int) -> Integers:
    """Return each value's level, 0 .. `levels` - 1, all of equal size; what an edge cuts apart falls by lot."""
    lots = [seed, zlib.crc32(data.tobytes())]  # lots of its own for each series: bad luck must not be that of all
    mixed = np.random.default_rng(lots).permutation(len(data))
    order = mixed[np.argsort(data[mixed])]  # equal values lie in the order of the lots, or in one that it decides
    codes = np.empty(len(data), dtype=np.int64)
    codes[order] = np.arange(len(data)) * levels // len(data)
    return codes


def _sizes(count: int, levels: int) -> Integers:
    return np.bincount(np.arange(count) * levels // count, minlength=levels)


def _counts(codes: Integers, places: Integers, levels: int) -> Integers:
    """Return how many of the nights before each place are of each level: (places, levels)."""
    cells = np.searchsorted(places, np.arange(len(codes)), "right")
    flat = np.bincount(cells * levels + codes, minlength=(len(places) + 1) * levels)
    return flat.reshape(-1, levels).cumsum(axis=0)[:-1]


def _energies(tables: Integers, places: Integers, count: int) -> tuple[Floats, Floats]:
    """Return the statistic of every split, (K, places), and of every stretch, (K, places, places).

    `tables` are counts of nights before each place, by level: (K, places, levels). A stretch that is too short, or
    turned round, has 0.
    """
    levels = tables.shape[2]
    expected = places[:, None] * (_sizes(count, levels) / count)[None, :]
    bridges = (tables - expected).cumsum(axis=2)[:, :, :-1]
    squares = np.einsum("kpl,kpl->kp", bridges, bridges)
    splits = squares * count / (places * (count - places) * levels)
    apart = squares[:, :, None] + squares[:, None, :] - 2 * (bridges @ bridges.transpose(0, 2, 1))
    length = (places[None, :] - places[:, None]).astype(np.float64)
    allowed = length >= LEAST_SIDE
    length[~allowed] = 1.0
    return splits, apart * (allowed * count / (length * (count - length) * levels))


@functools.lru_cache(maxsize=1024)
def _null(count: int, stage: int, seed: int) -> tuple[Floats, Floats]:
    """Return the largest statistic of a split and of a stretch in each permutation of one stage."""
    rng = np.random.default_rng([seed, count, stage])
    places = candidate_places(count)
    sizes = np.diff(places, prepend=0, append=count)
    parts = []
    for begin in range(0, _STAGES[stage], _CHUNK):
        number = min(_CHUNK, _STAGES[stage] - begin)
        tables = _random_tables(sizes, _sizes(count, LEVELS), number, rng)[:, :-1]
        splits, stretches = _energies(tables.cumsum(axis=1), places, count)
        parts.append((splits.max(axis=1), stretches.max(axis=(1, 2))))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _random_tables(rows: Integers, columns: Integers, number: int, rng: np.random.Generator) -> Integers:
    """Return `number` random tables of counts with these sums, (number, rows, columns), as permutations give them.

    The table of all is split into the tables of two halves of the rows, and so on: each entry of one half is
    hypergeometric, given what those before it have left. All tables and all halves of one depth are drawn at once.
    """
    depth = max(1, int(len(rows) - 1).bit_length())
    padded = np.zeros(2**depth, dtype=np.int64)
    padded[: len(rows)] = rows
    tables = np.tile(columns, (number, 1, 1))
    for halvings in range(1, depth + 1):
        sizes = padded.reshape(2**halvings, -1).sum(axis=1)
        missing = np.tile(sizes[::2], (number, 1))
        others = tables.sum(axis=2)
        halves = np.empty((number, 2**halvings, len(columns)), dtype=np.int64)
        for column in range(len(columns) - 1):
            others -= tables[:, :, column]
            drawn = rng.hypergeometric(tables[:, :, column], others, missing)
            halves[:, ::2, column] = drawn
            missing -= drawn
        halves[:, ::2, -1] = missing
        halves[:, 1::2] = tables - halves[:, ::2]
        tables = halves
    return tables[:, : len(rows)]


def _p_value(
    observed: tuple[float, float], count: int, draws: int, seed: int, both: bool
) -> tuple[float, float, float]:
    """Return the p-value of the search, and those of its stretches and of its splits alone.

    Where both are searched the smaller of the two p-values is the statistic, compared with that of the same
    permutations: exact. A test ends at the first stage that finds it hopeless (after Besag, Clifford 1991); what is
    then returned misses no bound: it is at most `a` only where a whole stage said so.
    """
    slack = 1 - 1e-9  # equal statistics may differ in their last bit
    p = p_stretch = p_split = 1.0
    for stage in range(len(_STAGES)):
        splits, stretches, rank_splits, rank_stretches = _pooled(count, stage, seed)
        total = len(splits) + 1
        p_split = p = (1 + int((splits >= observed[0] * slack).sum())) / total
        if both:
            p_stretch = (1 + int((stretches >= observed[1] * slack).sum())) / total
            of_split = rank_splits + (observed[0] >= splits * slack)
            of_stretch = rank_stretches + (observed[1] >= stretches * slack)
            best = min(p_split, p_stretch) * total + 0.5
            p = (1 + int((np.minimum(of_split, of_stretch) <= best).sum())) / total
        if total > draws or (p > _HOPELESS if stage == 0 else p > max(10 / total, 0.01)):
            break
    return p, p_stretch, p_split


@functools.lru_cache(maxsize=512)
def _pooled(count: int, stage: int, seed: int) -> tuple[Floats, Floats, Integers, Integers]:
    """Return the statistics of all permutations up to `stage`, and how many of them are at least as large as each."""
    parts = [_null(count, each, seed) for each in range(stage + 1)]
    splits, stretches = (np.concatenate([part[which] for part in parts]) for which in (0, 1))
    return splits, stretches, _at_least(splits), _at_least(stretches)


def _at_least(null: Floats) -> Integers:
    return len(null) - np.searchsorted(np.sort(null), null * (1 - 1e-9), "left")


def _placed(data: Floats, coarse: list[int], places: Integers, seed: int) -> tuple[int, ...]:
    """Return the cuts to the night: the best place between the neighbouring candidates, given the other cut."""
    cuts = list(coarse)
    for which, cut in enumerate(coarse):
        start = cuts[which - 1] if which else 0
        end = cuts[which + 1] if which + 1 < len(cuts) else len(data)
        at = int(np.searchsorted(places, cut))
        low = int(places[at - 1]) if at else cut
        high = int(places[at + 1]) if at + 1 < len(places) else cut
        cuts[which] = _best_split(data, start, end, low, high, seed)
    return tuple(cuts)


def _best_split(data: Floats, start: int, end: int, low: int, high: int, seed: int) -> int:
    """Return the place between `low` and `high` that parts ``data[start:end]`` best; five nights a side."""
    low, high = max(low, start + LEAST_SIDE), min(high, end - LEAST_SIDE)
    if low >= high:
        return low
    count = end - start
    levels = min(FINE_LEVELS, count)
    codes = _levels(data[start:end], levels, seed)
    places = np.arange(low, high + 1) - start
    before = _counts(codes, places, levels).cumsum(axis=1)
    bridges = before - places[:, None] * (_sizes(count, levels).cumsum() / count)[None, :]
    return int(low + ((bridges**2).sum(axis=1) / (places * (count - places))).argmax())


def _confirmed(data: Floats, cuts: list[int], alpha: float, draws: int, seed: int) -> list[tuple[int, float]]:
    """Return the cuts, placed anew, that hold between their neighbours, with p-values; the weakest goes first."""
    while cuts:
        edges = [0, *cuts, len(data)]
        told = []
        for place in range(1, len(edges) - 1):
            start = max(edges[place - 1], edges[place] - CONFIRMING_NIGHTS)
            end = min(edges[place + 1], edges[place] + CONFIRMING_NIGHTS)
            told.append(search(data[start:end], draws, seed, epidemic=False, lengths=_INNER_LENGTHS).p)
        worst = int(np.argmax(told))
        if told[worst] <= alpha:
            return [(_near(data, edges[place : place + 3]), p) for place, p in enumerate(told)]
        del cuts[worst]
    return []


def _near(data: Floats, edges: Sequence[int]) -> int:
    """Return the middle one of three edges, placed where the nights lie nearest to the medians of both levels.

    Ranks cannot tell the highest night of a low level from the lowest of a high one; distances can, and since they are
    compared, no night weighs more than the step. Only nights around the step enter, as many on either side as matter.
    """
    start, cut, end = edges
    reach = 4 * max(LEAST_SIDE, min(cut - start, end - cut))
    start, end = max(start, cut - reach), min(end, cut + reach)
    before, after = np.median(data[start:cut]), np.median(data[cut:end])
    low, high = start + LEAST_SIDE, end - LEAST_SIDE
    if before == after or low >= high:
        return cut  # the spread changed, not the level
    saved = (np.abs(data[start:end] - before) - np.abs(data[start:end] - after)).cumsum()
    return int(low + saved[low - start - 1 : high - start].argmin())


def _with_sizes(data: Floats, kept: list[tuple[int, float]]) -> list[Change]:
    edges = [0, *(cut for cut, _ in kept), len(data)]
    levels = [float(np.median(data[start:end])) for start, end in itertools.pairwise(edges)]
    return [Change(cut, levels[place + 1] - levels[place], p) for place, (cut, p) in enumerate(kept)]
