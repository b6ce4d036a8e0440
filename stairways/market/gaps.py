"""Openings that are about a split away from the close before. Needs numpy only."""

import numpy as np

from stairways.errors import BarsRefusedError
from stairways.market.bars import Bars, Float64, Frequency, Int64
from stairways.market.findings import time_text

RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0)
"""New shares for an old one, in the splits that occur; reverse splits are their inverses."""

CLOSENESS = 0.08  # how far, as a log, the gap may be from a ratio of 2:1 or more
CLOSENESS_SMALL = 0.03  # and from 3:2, which an ordinary crash comes near


def refuse_unadjusted(bars: Bars) -> None:
    """Raise ``BarsRefusedError`` if raw bars have a split in them: no account survives one."""
    if bars.adjustment != "raw":
        return
    for column, symbol in enumerate(bars.symbols):
        prices = (bars.open[:, column].astype(float), bars.close[:, column].astype(float))
        _, ratio = split_gaps(*prices, bars.times, bars.frequency)
        for place in np.flatnonzero(ratio)[:1]:
            raise BarsRefusedError(
                f"{symbol}: raw bars with what looks like a split on "
                f"{time_text(int(bars.times[place]), '1d')} cannot be trained on; import them with "
                "adjustment splits and declare the split, or 1/1 if there was none."
            )


def split_gaps(
    opening: Float64, close: Float64, times: Int64, frequency: Frequency
) -> tuple[Float64, Float64]:
    """Return the log gap from the close before to each open, and the split ratio it is near."""
    gaps: Float64 = np.zeros(len(times))
    gaps[1:] = np.log(close[:-1]) - np.log(opening[1:])
    if frequency != "1d":  # splits happen between sessions
        gaps[1:][np.diff(times) < 4 * 3600 * 10**9] = 0.0
    return gaps, _nearest(gaps, held=_held(close, gaps))


def _held(close: Float64, gaps: Float64) -> Float64:
    """Return the part of the gap that the close of the same bar still shows, as a log."""
    moves = np.zeros(len(gaps))
    moves[1:] = np.log(close[:-1]) - np.log(close[1:])
    return moves


def _nearest(gaps: Float64, held: Float64) -> Float64:
    """Return the split ratio that each gap is near to, 0 where none; below 1 for reverse ones."""
    logs = np.log(np.array(RATIOS))
    room = np.where(np.array(RATIOS) < 2.0, CLOSENESS_SMALL, CLOSENESS)  # noqa: PLR2004 - see there
    size = np.abs(gaps)
    found = np.zeros(len(gaps))
    for place in np.flatnonzero(size > logs[0] - room[0]):
        away = np.abs(logs - size[place])
        best = int((away / room).argmin())
        kept = np.sign(gaps[place]) * held[place] > logs[best] / 2
        if away[best] < room[best] and kept:
            found[place] = RATIOS[best] ** np.sign(gaps[place])
    return found
