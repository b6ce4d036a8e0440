"""Two looks at bars: what a join leaves out and why, and where two vintages disagree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from stairways.market.bars import Float64, Int64, among
from stairways.market.layouts import PRICES
from stairways.market.series import Series

TOLERANCE = 0.001
"""How far two prices of the same bar may be apart, as a share, and still agree."""

SPLIT_STEP = 0.25
"""The change of the ratio between two bars, as a log, that is another split basis."""

SHORTEST_BASIS = 5  # bars

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

    ``bases`` lists from which time on (nanoseconds UTC) b's prices are how many times a's;
    one entry of about 1 means one split basis. ``apart`` counts by field the common bars
    that differ by more than ``TOLERANCE`` after a is brought to b's basis; ``worst`` lists
    time, a's close brought so, and b's close, the furthest apart first.
    """

    symbol: str
    common: int
    only_a: int
    only_b: int
    bases: tuple[tuple[int, float], ...]
    apart: dict[str, int]
    worst: tuple[tuple[int, float, float], ...]

    @property
    def same(self) -> bool:
        """Whether both vintages tell the same story, bar for bar."""
        one_basis = all(abs(factor - 1.0) <= TOLERANCE for _, factor in self.bases)
        return one_basis and not (self.only_a or self.only_b or any(self.apart.values()))


def left_out(series: Sequence[Series]) -> list[LeftOut]:
    """Return every bar that the inner join of ``series`` leaves out, by symbol and time."""
    times = {one.symbol: one.table["time"].to_numpy() for one in series}
    found = []
    for one in series:
        own, rows = times[one.symbol], one.table["row"]
        absent = {s: ~among(own, other) for s, other in times.items() if s != one.symbol}
        anywhere = np.logical_or.reduce([*absent.values(), np.zeros(len(own), dtype=np.bool_)])
        for place in np.flatnonzero(anywhere).tolist():
            lacking = tuple(symbol for symbol, gone in absent.items() if gone[place])
            found.append(LeftOut(one.symbol, int(own[place]), rows[place], lacking))
    return found


def difference(a: Series, b: Series, *, listed: int = 20) -> Difference:
    """Return where two vintages of the same symbol disagree."""
    both = a.table.join(b.table, on="time", suffix="_b").sort("time")
    factor = _factors((both["close_b"] / both["close"]).to_numpy())
    scale = pl.Series(factor)
    scaled = both.with_columns(pl.col(PRICES) * scale, pl.col("volume") / scale)
    away = {name: _apart(scaled, name) for name in _FIELDS}
    return Difference(
        symbol=a.symbol,
        common=len(both),
        only_a=len(a.table) - len(both),
        only_b=len(b.table) - len(both),
        bases=tuple((both["time"][int(i)], float(factor[i])) for i in _starts(factor)),
        apart={name: int((gap > TOLERANCE).sum()) for name, gap in away.items()},
        worst=_worst(scaled, away["close"], listed),
    )


def _factors(ratio: Float64) -> Float64:
    """Return the basis of each bar: the median ratio of the stretch between two splits.

    A stretch of few bars is a disagreement and no basis; it takes that of its neighbour.
    """
    edges = np.flatnonzero(np.abs(np.diff(np.log(ratio))) > SPLIT_STEP) + 1
    stretches = [part for part in np.split(ratio, edges) if len(part)]
    factors = [float(np.median(part)) if len(part) >= SHORTEST_BASIS else 0.0 for part in stretches]
    known = [factor for factor in factors if factor]
    last = known[0] if known else float(np.median(ratio)) if len(ratio) else 1.0
    for place, factor in enumerate(factors):
        last = factors[place] = factor or last
    return np.repeat(np.array(factors), [len(part) for part in stretches])


def _starts(factor: Float64) -> Int64:
    """Return where another basis begins."""
    return np.flatnonzero(np.abs(np.diff(factor, prepend=0.0)) > TOLERANCE * factor)


def _apart(both: pl.DataFrame, name: str) -> pl.Series:
    """Return how far the two values are apart, as a share of the larger."""
    mine, theirs = both[name].fill_null(0.0), both[f"{name}_b"].fill_null(0.0)
    larger = pl.select(pl.max_horizontal(mine.abs(), theirs.abs())).to_series()
    return ((mine - theirs).abs() / larger).fill_nan(0.0)


def _worst(both: pl.DataFrame, gap: pl.Series, listed: int) -> tuple[tuple[int, float, float], ...]:
    order = [int(i) for i in gap.arg_sort(descending=True).head(listed) if gap[int(i)] > TOLERANCE]
    return tuple((both["time"][i], both["close"][i], both["close_b"][i]) for i in order)
