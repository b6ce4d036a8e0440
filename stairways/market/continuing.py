"""Two files of one symbol that continue each other, joined where they agree."""

import numpy as np
import polars as pl

from stairways.errors import BarsRefusedError
from stairways.market.findings import Finding, time_text

AGREEMENT = 0.001
"""How far two closes of the same bar may differ, as a share of the price."""

DISAGREEING = 0.02
"""The share of common bars that may differ by more than that before the files are refused."""


def continue_with(
    symbol: str, whole: pl.DataFrame, part: pl.DataFrame
) -> tuple[pl.DataFrame, list[Finding]]:
    """Return ``whole`` and those bars of ``part`` whose times it lacks, in order.

    Raises ``BarsRefusedError`` when they tell different stories of their common bars: other
    split basis, other adjustment, another share.
    """
    common = whole.select("time", "close").join(part.select("time", "close", "row"), on="time")
    away = (common["close_right"] / common["close"] - 1.0).abs()
    differing = int((away > AGREEMENT).sum())
    if differing > DISAGREEING * len(common):
        place = int(away.arg_max() or 0)
        raise BarsRefusedError(
            f"{symbol}: the files disagree on {differing:,} of {len(common):,} common closes, most "
            f"on {time_text(common['time'][place])} ({common['close'][place]:.6g} and "
            f"{common['close_right'][place]:.6g}); are they on different split bases?"
        )
    added = part.join(whole.select("time"), on="time", how="anti")
    joined = pl.concat([whole, added], how="vertical_relaxed").sort("time")
    return joined, [_seam(symbol, common, away, added)]


def _seam(symbol: str, common: pl.DataFrame, away: pl.Series, added: pl.DataFrame) -> Finding:
    worst = float(np.asarray(away).max()) if len(away) else 0.0
    agreement = (
        f"{len(common):,} common closes differ by at most {worst:.2%}"
        if len(common)
        else "they have no bar in common, so nothing proves that they are on one basis"
    )
    return Finding(
        kind="continued" if len(common) else "continued without overlap",
        symbol=symbol,
        row=0,
        time=added["time"][0] if len(added) else None,
        detail=f"another file adds {len(added):,} bars; {agreement}",
        count=len(added),
    )
