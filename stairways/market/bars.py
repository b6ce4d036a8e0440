"""Aligned bars of N symbols on one clock: the only market data the rest of Stairways knows.

Prices are whole micros from here on; ``to_micros`` is the one place that rounds.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from stairways.core.values import MICROS_PER_DOLLAR, Digest

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Frequency = Literal["1m", "5m", "1h", "1d"]
Adjustment = Literal["raw", "splits", "splits+dividends"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Bars of N symbols at T common times, sorted, without duplicates, every price positive.

    ``times`` are nanoseconds since 1970 UTC at which a bar starts (daily bars: midnight
    UTC of the session's date). Prices are micros and volume whole shares, all ``(T, N)``.
    ``session`` counts trading sessions from 0 (for daily bars 0, 1, 2 …);
    ``session_open`` and ``session_close`` are the nanoseconds at which that session opens
    and closes, equal to ``times`` for daily bars. ``digest`` names the canonical content.
    """

    symbols: tuple[str, ...]
    frequency: Frequency
    adjustment: Adjustment
    timezone: str
    calendar: str
    simulated: bool
    times: Int64
    open: Int64
    high: Int64
    low: Int64
    close: Int64
    volume: Int64
    session: Int64
    session_open: Int64
    session_close: Int64
    digest: Digest

    def __len__(self) -> int:
        """Return T, the number of bars of each symbol."""
        return len(self.times)


def to_micros(prices: Float64) -> Int64:
    """Return dollar prices as whole micros, rounded half to even."""
    return np.rint(prices * MICROS_PER_DOLLAR).astype(np.int64)


def among(values: Int64, known: Int64) -> npt.NDArray[np.bool_]:
    """Return for each of ``values`` whether it is one of ``known``, which is sorted.

    ``np.isin`` hashes; on millions of sorted times a binary search is many times faster.
    """
    if not len(known):
        return np.zeros(len(values), dtype=np.bool_)
    place = np.searchsorted(known, values)
    place[place == len(known)] = 0
    found: npt.NDArray[np.bool_] = known[place] == values
    return found
