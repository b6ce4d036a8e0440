"""How sure a figure is: the bootstrap over blocks of bars, over seeds, and over both.

Chance comes from outside as numbers in [0, 1). Only sums, products and roots occur, in an
order that does not depend on the processor, so that the same draws give the same bits.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stairways.core.sharpe import NO_SPREAD

MOST = 1e15
"""Products are cut to this, a thousand billion times the capital."""

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class Interval(NamedTuple):
    """A figure between its confidence bounds."""

    low: float
    value: float
    high: float


class Blocks(NamedTuple):
    """Resamples of ``bars`` bars as blocks that follow on each other, round the end.

    ``starts`` ``(k, B)`` has the first bar of each block of each of B resamples. Every block is
    ``length`` bars long but the last, which has what is left. (Circular block bootstrap, Politis
    and Romano 1992: neighbouring bars stay together, so that volatility that comes in clusters
    makes the interval as wide as it should be.)
    """

    starts: Int64
    length: int
    bars: int


def block_length(count: int) -> int:
    """Return how many bars a block has: the cube root of their number, rounded.

    That rate has the least error for the variance of a mean (Hall, Horowitz and Jing 1995).
    """
    return max(1, round(math.cbrt(count)))


def blocks_needed(count: int, length: int) -> int:
    """Return how many blocks make one resample."""
    return -(-count // length)


def blocks_of(uniforms: Float64, count: int, length: int) -> Blocks:
    """Return the resamples that draws ``(k, B)`` in [0, 1) stand for, see ``blocks_needed``."""
    return Blocks(picked(uniforms, count), length, count)


def picked(uniforms: Float64, count: int) -> Int64:
    """Return whole numbers from 0 to ``count - 1``, each as likely, from draws in [0, 1)."""
    return np.minimum(np.floor(uniforms * count).astype(np.int64), count - 1)


def resampled_sums(values: Float64, blocks: Blocks) -> Float64:
    """Return the sum of ``(n,)`` values in each resample, ``(B,)``."""
    length, last = blocks.length, blocks.bars - (len(blocks.starts) - 1) * blocks.length
    running = np.concatenate(([0.0], np.cumsum(_round_the_end(values, length))))
    full, rest = (running[size:] - running[:-size] for size in (length, last))
    total: Float64 = rest[blocks.starts[-1]].copy()
    for row in blocks.starts[:-1]:
        total += full[row]
    return total


def resampled_products(values: Float64, blocks: Blocks) -> Float64:
    """Return the product of ``(n,)`` values in each resample, ``(B,)``, within ±``MOST``.

    A jump that is drawn again and again may otherwise leave what numbers can hold.
    """
    length, last = blocks.length, blocks.bars - (len(blocks.starts) - 1) * blocks.length
    full, rest = (_products(values, size) for size in (length, last))
    total: Float64 = rest[blocks.starts[-1]].copy()
    for row in blocks.starts[:-1]:
        total = np.clip(total * full[row], -MOST, MOST)
    return total


def resampled_sharpes(values: Float64, blocks: Blocks) -> Float64:
    """Return mean over standard deviation of ``(n,)`` values in each resample, ``(B,)``."""
    count = blocks.bars
    centre = math.fsum(values.tolist()) / count
    around = values - centre  # else squares would lose what distinguishes them
    means = resampled_sums(around, blocks) / count
    squares = resampled_sums(around * around, blocks)
    variances = np.maximum(squares - count * means * means, 0.0) / max(1, count - 1)
    deviations = np.sqrt(variances)
    varied = deviations > NO_SPREAD
    found: Float64 = np.zeros_like(means)
    np.divide(means + centre, deviations, out=found, where=varied)
    return found


def interval(value: float, resampled: Float64, confidence: float) -> Interval:
    """Return the percentile interval of a figure: order statistics of its resamples."""
    ordered, tail = np.sort(resampled), (1.0 - confidence) / 2.0
    place = max(1, math.floor((len(ordered) + 1) * tail))
    return Interval(float(ordered[place - 1]), value, float(ordered[-place]))


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half of ``values``, which a single lucky seed cannot move.

    A quarter, rounded down, is left out at each end (Agarwal et al. 2021).
    """
    ordered = sorted(values)
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return math.fsum(middle) / len(middle)


def interval_over_seeds(values: Sequence[float], uniforms: Float64, confidence: float) -> Interval:
    """Return the interquartile mean of one value a seed, from draws ``(B, n)`` of seeds."""
    rows = np.asarray(values, np.float64)[picked(uniforms, len(values))]
    resampled = np.array([interquartile_mean(row) for row in rows.tolist()])
    return interval(interquartile_mean(values), resampled, confidence)


def interval_over_seeds_and_bars(
    values: Sequence[float], resampled: Float64, uniforms: Float64, confidence: float
) -> Interval:
    """Return the interquartile mean of one value a seed, with bars and seeds left to chance.

    ``resampled`` ``(n, B)`` is the figure of each seed in each resample of the bars, the same
    resamples for all of them because they saw one market; ``uniforms`` ``(B, n)`` draw seeds.
    """
    rows = np.take_along_axis(resampled.T, picked(uniforms, len(values)), axis=1)
    middles = np.array([interquartile_mean(row) for row in rows.tolist()])
    return interval(interquartile_mean(values), middles, confidence)


def _round_the_end(values: Float64, length: int) -> Float64:
    return np.concatenate((values, values[: length - 1]))


def _products(values: Float64, size: int) -> Float64:
    """Return the product of ``size`` values from each place on, round the end."""
    around = _round_the_end(values, size)
    found: Float64 = np.ones(len(values))
    for step in range(size):
        found = np.clip(found * around[step : step + len(values)], -MOST, MOST)
    return found
