"""Two looks at bars: what a join leaves out and why, and where two vintages disagree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from stairways.market.layouts import PRICES
from stairways.market.series import Series

TOLERANCE = 0.001
"""How far two prices of the same bar may be apart, as a share, and still agree."""

_FIELDS = (*PRICES, "volume")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A bar that the join leaves out, and the symbols that have none at its time."""

    symbol: str
    time: int
    row: int
    lacking: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where two vintages ``a`` and ``b`` of one symbol disagree.

    ``factor`` is the median of b's closes over a's: 1 where they are on one basis.
    ``apart`` counts by field the common bars that differ by more than ``TOLERANCE`` after
    a's prices are multiplied by ``factor``; ``worst`` lists times, a's and b's closes (in
    dollars as they stand) where closes are furthest apart, the worst first.
    """

    symbol: str
    common: int
    only_a: int
    only_b: int
    factor: float
    apart: dict[str, int]
    worst: tuple[tuple[int, float, float], ...]

    @property
    def same(self) -> bool:
        """Whether both vintages tell the same story, bar for bar."""
        one_basis = abs(self.factor - 1.0) <= TOLERANCE
        return one_basis and not (self.only_a or self.only_b or any(self.apart.values()))


def left_out(series: Sequence[Series]) -> list[LeftOut]:
    """Return every bar that the inner join of ``series`` leaves out, by symbol and time."""
    times = {one.symbol: one.table["time"].to_numpy() for one in series}
    found = []
    for one in series:
        own, rows = times[one.symbol], one.table["row"]
        absent = {s: ~np.isin(own, other) for s, other in times.items() if s != one.symbol}
        anywhere = np.logical_or.reduce([*absent.values(), np.zeros(len(own), dtype=np.bool_)])
        for place in np.flatnonzero(anywhere).tolist():
            lacking = tuple(symbol for symbol, gone in absent.items() if gone[place])
            found.append(LeftOut(one.symbol, int(own[place]), rows[place], lacking))
    return found


def difference(a: Series, b: Series, *, listed: int = 20) -> Difference:
    """Return where two vintages of the same symbol disagree."""
    both = a.table.join(b.table, on="time", suffix="_b").sort("time")
    ratio = both["close_b"] / both["close"]
    factor = float(np.median(ratio.to_numpy())) if len(both) else 1.0
    scaled = both.with_columns(pl.col(PRICES) * factor, pl.col("volume") / factor)
    away = {name: _apart(scaled, name) for name in _FIELDS}
    return Difference(
        symbol=a.symbol,
        common=len(both),
        only_a=len(a.table) - len(both),
        only_b=len(b.table) - len(both),
        factor=factor,
        apart={name: int((gap > TOLERANCE).sum()) for name, gap in away.items()},
        worst=_worst(both, away["close"], listed),
    )


def _apart(both: pl.DataFrame, name: str) -> pl.Series:
    """Return how far the two values are apart, as a share of the larger."""
    mine, theirs = both[name].fill_null(0.0), both[f"{name}_b"].fill_null(0.0)
    larger = pl.select(pl.max_horizontal(mine.abs(), theirs.abs())).to_series()
    return ((mine - theirs).abs() / larger).fill_nan(0.0)


def _worst(both: pl.DataFrame, gap: pl.Series, listed: int) -> tuple[tuple[int, float, float], ...]:
    order = [int(i) for i in gap.arg_sort(descending=True).head(listed) if gap[int(i)] > TOLERANCE]
    return tuple((both["time"][i], both["close"][i], both["close_b"][i]) for i in order)
