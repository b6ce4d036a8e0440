"""Health of one symbol's bars: what is odd, each with its row, and what cannot be used.

Everything here works on whole columns. A table has the columns of ``Reading.bars``.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import polars as pl

from stairways.market.bars import Float64, Frequency, Int64
from stairways.market.findings import Finding
from stairways.market.layouts import PRICES
from stairways.market.options import Options

LISTED = 100
"""How many findings of one kind and symbol are listed by row; the last one counts the rest."""

LARGEST_PRICE = 1e9  # dollars
LARGEST_VOLUME = 9e15  # shares
JUMP_FLOOR = {"1d": 0.25, "1h": 0.12, "5m": 0.10, "1m": 0.10}  # log return
JUMP_SPREADS = 15.0  # median absolute log returns

_UNUSABLE: tuple[tuple[str, Callable[[pl.DataFrame], pl.Series], str], ...] = (
    ("empty price", lambda t: _any(t, lambda c: c.is_null()), "a price is empty"),
    (
        "price not finite",
        lambda t: _any(t, lambda c: c.abs() > LARGEST_PRICE),
        f"a price is beyond {LARGEST_PRICE:.0e} dollars",
    ),
    (
        "price not positive",
        lambda t: _any(t, lambda c: c < 0.5e-6),  # noqa: PLR2004 - it would round to no micros
        "a price is zero or below",
    ),
    (
        "negative volume",
        lambda t: (t["volume"] < 0).fill_null(value=False),
        "the volume is below zero",
    ),
    (
        "price not finite",
        lambda t: (t["volume"] > LARGEST_VOLUME).fill_null(value=False),
        f"the volume is beyond {LARGEST_VOLUME:.0e} shares",
    ),
)
_ODD: tuple[tuple[str, Callable[[pl.DataFrame], pl.Series], str], ...] = (
    ("high below low", lambda t: t["high"] < t["low"], "the high is below the low"),
    (
        "high too low",
        lambda t: (t["high"] < t["open"]) | (t["high"] < t["close"]),
        "the high is below the open or the close",
    ),
    (
        "low too high",
        lambda t: (t["low"] > t["open"]) | (t["low"] > t["close"]),
        "the low is above the open or the close",
    ),
    (
        "fractional volume",
        lambda t: ((t["volume"] - t["volume"].round()).abs() > 1e-3).fill_null(value=False),  # noqa: PLR2004 - less is the float's own error
        "the volume is no whole number of shares and is rounded",
    ),
)


def clean(
    symbol: str, table: pl.DataFrame, options: Options
) -> tuple[pl.DataFrame, pl.DataFrame, list[Finding]]:
    """Return the table sorted, without unusable and repeated rows; with them; what was found.

    A finding that is ``refused`` means that rows were left out without anybody's consent, so
    that the table may be looked at and must not be used.
    """
    findings = list(_order(symbol, table))
    table = table if table["time"].is_sorted() else table.sort("time", maintain_order=True)
    if options.empty_rows == "drop":
        empty = _any(table, lambda c: c.is_null())
        findings += listed("empty row", symbol, table, empty, "left out: it has no price")
        table = table.filter(~empty)
    seen, unusable = table, pl.repeat(value=False, n=len(table), dtype=pl.Boolean, eager=True)
    for kind, mask, detail in _ODD:
        findings += listed(kind, symbol, table, mask(table), detail)
    for kind, mask, detail in _UNUSABLE:
        marked = mask(table).fill_null(value=False)
        findings += listed(kind, symbol, table, marked, detail)
        unusable |= marked
    if unusable.any():
        table = table.filter(~unusable)
    table, repeated = _without_repeats(symbol, table, options)
    return table, seen, findings + repeated


def zero_volume(symbol: str, table: pl.DataFrame) -> Iterator[Finding]:
    """Yield one finding for each run of bars in which nothing was traded.

    At most ``LISTED`` of them; the last counts the rest.
    """
    none = (table["volume"].fill_null(0.0) == 0).to_numpy()
    edges = np.flatnonzero(np.diff(none, prepend=False, append=False))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    for number, (start, length) in enumerate(
        zip(starts[:LISTED].tolist(), lengths[:LISTED].tolist(), strict=True), 1
    ):
        rest = int(lengths[LISTED:].sum()) if number == LISTED else 0
        text = "no share was traded" + (f" in {length:,} bars from here" if length > 1 else "")
        yield Finding(
            kind="zero volume",
            symbol=symbol,
            row=table["row"][start],
            time=table["time"][start],
            detail=text + (f"; nor in {rest:,} later bars" if rest else ""),
            count=length + rest,
            file=table["file"][start] if "file" in table.columns else "",
        )


def jumps(symbol: str, table: pl.DataFrame, frequency: Frequency) -> Iterator[Finding]:
    """Yield a finding for each close that is extremely far from the one before."""
    close = table["close"].to_numpy()
    moves: Float64 = np.diff(np.log(close), prepend=np.log(close[:1]))
    typical = float(np.median(np.abs(moves)))
    limit = max(JUMP_FLOOR[frequency], JUMP_SPREADS * typical)
    places = np.flatnonzero(np.abs(moves) > limit)
    yield from at_places(
        "jump", symbol, table, places, lambda i: f"{np.expm1(moves[i]):+.1%} from the close before"
    )


def listed(
    kind: str, symbol: str, table: pl.DataFrame, mask: pl.Series, detail: str
) -> Iterator[Finding]:
    """Yield a finding for each marked row, at most ``LISTED``; the last counts the rest."""
    places = mask.arg_true().to_numpy().astype(np.int64)
    yield from at_places(kind, symbol, table, places, lambda _: detail)


def at_places(
    kind: str, symbol: str, table: pl.DataFrame, places: Int64, detail: Callable[[int], str]
) -> Iterator[Finding]:
    """Yield a finding for each place in the table, at most ``LISTED``; the last counts the rest."""
    rows, times = table["row"], table["time"]
    files = table["file"] if "file" in table.columns else None
    for number, place in enumerate(places[:LISTED].tolist(), 1):
        rest = len(places) - LISTED if number == LISTED else 0
        yield Finding(
            kind=kind,
            symbol=symbol,
            row=rows[place],
            time=times[place],
            detail=detail(place) + (f"; and {rest:,} more like it" if rest else ""),
            count=1 + rest,
            file="" if files is None else files[place],
        )


def _any(table: pl.DataFrame, wrong: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    return table.select(pl.any_horizontal(wrong(pl.col(PRICES)))).to_series()


def _order(symbol: str, table: pl.DataFrame) -> Iterator[Finding]:
    steps = np.diff(table["time"].to_numpy())
    if not len(steps) or not (steps < 0).any():
        return
    newest_first = bool((steps <= 0).all())
    place = int(np.flatnonzero(steps < 0)[0]) + 1
    detail = "the newest row comes first" if newest_first else "the rows are in no order"
    yield from at_places("unsorted", symbol, table, np.array([place]), lambda _: detail)


def _without_repeats(
    symbol: str, table: pl.DataFrame, options: Options
) -> tuple[pl.DataFrame, list[Finding]]:
    """Return the table with one row a time; which one, ``options.duplicates`` says."""
    times = table["time"].to_numpy()
    again = np.flatnonzero(np.diff(times, prepend=times[:1] - 1) == 0)
    if not len(again):
        return table, []
    values = [*PRICES, "volume"]
    here, before = table[again].select(values), table[again - 1].select(values)
    same = pl.all_horizontal(pl.col(v).eq_missing(before[v]) for v in values)
    equal = here.select(same).to_series().to_numpy()
    findings = list(at_places("duplicate", symbol, table, again[equal], _repeats("left out")))
    rule = options.duplicates
    kind = "conflicting duplicate" if rule == "refuse" else "settled duplicate"
    which = "says otherwise" if rule == "refuse" else f"says otherwise; the {rule} one counts"
    findings += at_places(kind, symbol, table, again[~equal], _repeats(which))
    keep: Literal["first", "last"] = "last" if rule == "last" else "first"
    return table.unique("time", keep=keep, maintain_order=True), findings


def _repeats(what: str) -> Callable[[int], str]:
    return lambda _: f"the row before has the same time and {what}"
