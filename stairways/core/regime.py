"""The regime score: how unusual momentum, volatility and divergence are just now.

It uses numpy, which core avoids elsewhere: a score is a statistic over thousands of bars,
computed once for all of them, and enters the log as data.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from stairways.core.controller import LARGEST_REGIME
from stairways.core.series import (
    Float64,
    log_change,
    moving_deviation,
    moving_product,
    ratio,
)

MOMENTUM_BARS = 20
VOLATILITY_BARS = 10
MOMENTUM_WEIGHT, VOLATILITY_WEIGHT, DIVERGENCE_WEIGHT = 0.4, 0.3, 0.3
TRAILING_SESSIONS = 30
NEEDED_SESSIONS = 50
LEAST_DEVIATION = 1e-6
"""A deviation below this is rounding, not movement: its z-score is 0."""


def first_scored(session: npt.NDArray[np.int64]) -> int:
    """Return the first row with 50 sessions of history before its own; T when there is none."""
    return int(np.searchsorted(session - session[:1], NEEDED_SESSIONS))


def scores(close: Float64, session: npt.NDArray[np.int64]) -> Float64:
    """Return the score of every bar, in [-3, 3], and 0 where history is too short.

    0.4 z(momentum) + 0.3 z(volatility) + 0.3 z(divergence) of ``close``, ``(T, N)``
    prices in any unit; ``session`` counts trading sessions, ``(T,)``.
    """
    change = log_change(close, 1)
    first = trailing_start(session)
    score = (
        MOMENTUM_WEIGHT * _unusual(log_change(close, MOMENTUM_BARS).mean(axis=1), first)
        + VOLATILITY_WEIGHT
        * _unusual(moving_deviation(change, VOLATILITY_BARS).mean(axis=1), first)
        + DIVERGENCE_WEIGHT * _unusual(divergence(change), first)
    )
    score[: first_scored(session)] = 0.0
    return np.clip(score, -LARGEST_REGIME, LARGEST_REGIME)


def divergence(change: Float64) -> Float64:
    """Return 1 - |correlation| of the last bars' returns, the mean over all pairs of symbols.

    A series that does not move correlates with nothing; a single symbol diverges from none.
    """
    pairs = list(combinations(range(change.shape[1]), 2))
    if not pairs:
        return np.zeros(len(change))
    correlated = np.stack([_correlated(change[:, a], change[:, b]) for a, b in pairs])
    apart: Float64 = 1.0 - correlated.mean(axis=0)
    return apart


def _correlated(first: Float64, second: Float64) -> Float64:
    spread = moving_deviation(first, VOLATILITY_BARS) * moving_deviation(second, VOLATILITY_BARS)
    spread[spread < LEAST_DEVIATION**2] = 0.0
    return np.minimum(
        np.abs(ratio(moving_product(first, second, VOLATILITY_BARS), spread, 0.0)), 1.0
    )


def trailing_start(session: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each row the first row of the 30 sessions that end with its own."""
    return np.searchsorted(session, session - (TRAILING_SESSIONS - 1))


def _unusual(values: Float64, first: npt.NDArray[np.int64]) -> Float64:
    """Return the z-score of each value among those from row ``first`` to its own."""
    count = np.arange(1, len(values) + 1) - first
    mean = _since(values, first) / count
    variance = _since(values * values, first) / count - mean * mean
    deviation = np.sqrt(np.maximum(variance, 0.0))
    deviation[deviation < LEAST_DEVIATION] = 0.0
    return ratio(values - mean, deviation, 0.0)


def _since(values: Float64, first: npt.NDArray[np.int64]) -> Float64:
    total = np.concatenate(([0.0], np.cumsum(values)))
    return total[1:] - total[first]
