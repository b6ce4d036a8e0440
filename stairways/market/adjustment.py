"""Splits and dividends: finding them, applying them where that was declared, never silently.

A split n:1 on its ex date turns one share into n. Bars before that date are brought to the
later basis by dividing prices by n and multiplying volume by n.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from stairways.errors import BarsRefusedError
from stairways.market.bars import Adjustment, Bars, Float64, Frequency, Int64
from stairways.market.findings import Finding
from stairways.market.health import at_places, listed, time_text
from stairways.market.layouts import PRICES

DAY = 86_400_000_000_000  # nanoseconds
RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0)
"""New shares for an old one, in the splits that occur; reverse splits are their inverses."""

CLOSENESS = 0.08  # how far, as a log, the gap may be from a ratio of 2:1 or more
CLOSENESS_SMALL = 0.03  # and from 3:2, which an ordinary crash comes near
FACTOR_CLOSENESS = 0.02  # how far a step of the vendor's factor, a dividend included, may be off
VOLUME_WINDOW = 20  # sessions before and after that are compared
VOLUME_STEP = 4.0


@dataclass(frozen=True, slots=True, order=True)
class Split:
    """A split of ``symbol``: ``old`` shares became ``new`` ones at the open of ``date``.

    ``prices`` is False where a vendor adjusted the prices and left the volume as traded.
    """

    symbol: str
    date: str
    new: int
    old: int = 1
    prices: bool = True

    @property
    def ratio(self) -> float:
        """Return how many new shares one old share became."""
        return self.new / self.old

    @property
    def time(self) -> int:
        """Return midnight UTC of the ex date in nanoseconds."""
        return int(datetime.fromisoformat(self.date).replace(tzinfo=UTC).timestamp()) * 10**9


def split_of(text: str) -> Split:
    """Return the split written ``NVDA:2024-06-10:10/1``; ``:volume`` after it spares the prices."""
    found = re.fullmatch(r"([^:]+):(\d{4}-\d{2}-\d{2}):(\d{1,4})[/:](\d{1,4})(:volume)?", text)
    if not found or "0" in (found[3].lstrip("0") or "0", found[4].lstrip("0") or "0"):
        raise BarsRefusedError(f"{text!r} is no split; write it like NVDA:2024-06-10:10/1.")
    split = Split(found[1], found[2], int(found[3]), int(found[4]), not found[5])
    try:
        _ = split.time
    except ValueError as error:
        raise BarsRefusedError(f"{text!r} has no date: {error}.") from error
    return split


def adjust(
    symbol: str, table: pl.DataFrame, adjustment: Adjustment | None, splits: Sequence[Split]
) -> tuple[pl.DataFrame, list[Finding]]:
    """Return the table on the basis that ``adjustment`` declares, and what was done to it.

    Declared splits are applied to ``splits`` data, the vendor's adjusted close (as a factor on
    all four prices) to ``splits+dividends`` data; ``raw`` data stay as they are. ``table`` is
    sorted and clean.
    """
    own = [split for split in splits if split.symbol == symbol and split.new != split.old]
    if own and adjustment == "raw":
        raise BarsRefusedError(
            f"{symbol}: raw data stay as traded; declare adjustment 'splits' to apply splits."
        )
    findings: list[Finding] = []
    for split in own:
        table, done = _apply(symbol, table, split)
        findings += done
    if adjustment == "splits+dividends" and table["adjusted"].count():
        table, done = _follow_vendor(symbol, table)
        findings += done
    return table, findings


def splits_in(
    table: pl.DataFrame,
    series: tuple[str, Frequency],
    adjustment: Adjustment | None,
    splits: Sequence[Split],
) -> Iterator[Finding]:
    """Yield a finding for each opening that is about a split away from the close before.

    In ``raw`` data that is a split to be declared; in adjusted data the label is in doubt.
    Days of which a 1:1 split was declared are known to be none. ``series`` is the symbol and
    its frequency.
    """
    symbol, frequency = series
    times = table["time"].to_numpy()
    gaps, ratio = _gaps(table["open"].to_numpy(), table["close"].to_numpy(), times, frequency)
    none = [s.time // DAY for s in splits if s.symbol == symbol and s.new == s.old]
    if none:
        ratio[np.isin(times // DAY, none)] = 0.0
    kind = "split in adjusted data" if adjustment in {"splits", "splits+dividends"} else "split"
    yield from at_places(
        kind, symbol, table, np.flatnonzero(ratio), lambda i: _ratio_text(ratio[i], gaps[i])
    )


def refuse_unadjusted(bars: Bars) -> None:
    """Raise ``BarsRefusedError`` if raw bars have a split in them: no account survives one."""
    if bars.adjustment != "raw":
        return
    for column, symbol in enumerate(bars.symbols):
        prices = (bars.open[:, column].astype(float), bars.close[:, column].astype(float))
        _, ratio = _gaps(*prices, bars.times, bars.frequency)
        for place in np.flatnonzero(ratio)[:1]:
            raise BarsRefusedError(
                f"{symbol}: raw bars with what looks like a split on "
                f"{time_text(int(bars.times[place]), '1d')} cannot be trained on; import them with "
                "adjustment splits and declare the split, or 1/1 if there was none."
            )


def volume_steps(symbol: str, table: pl.DataFrame) -> Iterator[Finding]:
    """Yield a finding where the volume of sessions multiplies, and stays so, like in a split.

    Vendors that adjust prices sometimes leave the volume as traded.
    """
    day = table["time"].to_numpy() // DAY
    starts = np.flatnonzero(np.diff(day, prepend=day[:1] - 1))
    if len(starts) < 2 * VOLUME_WINDOW:
        return
    daily = np.add.reduceat(table["volume"].fill_null(0.0).to_numpy(), starts)
    windows = np.lib.stride_tricks.sliding_window_view(daily, VOLUME_WINDOW)
    before, after = windows[:-VOLUME_WINDOW], windows[VOLUME_WINDOW:]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.abs(np.log(np.median(after, axis=1) / np.median(before, axis=1)))
    apart = (after.min(axis=1) > before.max(axis=1)) | (after.max(axis=1) < before.min(axis=1))
    step[~np.isfinite(step) | ~apart] = 0.0
    places = _peaks(step, float(np.log(VOLUME_STEP)))
    yield from at_places(
        "volume step",
        symbol,
        table,
        starts[places + VOLUME_WINDOW],
        lambda _: f"volume is over {VOLUME_STEP:g} times higher or lower from here on",
    )


def _peaks(step: Float64, limit: float) -> Int64:
    """Return the highest place of each stretch above ``limit``."""
    above = step > limit
    edges = np.flatnonzero(np.diff(above, prepend=False, append=False))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return np.array([a + int(step[a:b].argmax()) for a, b in pairs], dtype=np.int64)


def _gaps(
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


def _ratio_text(ratio: float, gap: float) -> str:
    name = f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}"
    if ratio in {1.5, 1 / 1.5}:
        name = "3:2" if ratio > 1 else "2:3"
    return f"the open is 1/{np.exp(gap):.4g} of the close before, like a split of {name}"


def _apply(symbol: str, table: pl.DataFrame, split: Split) -> tuple[pl.DataFrame, list[Finding]]:
    before = pl.col("time") < split.time
    ratio = split.ratio
    names = [*PRICES, "adjusted"] if split.prices else []
    table = table.with_columns(
        *[pl.when(before).then(pl.col(n) / ratio).otherwise(pl.col(n)).alias(n) for n in names],
        pl.when(before).then(pl.col("volume") * ratio).otherwise(pl.col("volume")).alias("volume"),
    )
    what = "prices and volume" if split.prices else "volume only"
    finding = Finding(
        kind="split applied",
        symbol=symbol,
        row=0,
        time=split.time,
        detail=f"declared: {split.new}:{split.old}, {what} of the bars before",
        count=int(table.select(before.sum()).item()),
    )
    return table, [finding]


def _follow_vendor(symbol: str, table: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """Multiply the four prices by adjusted close / close, and take splits out of the volume."""
    wrong = (table["adjusted"].is_null() | ~(table["adjusted"] > 0)).fill_null(value=True)
    missing = list(listed("empty price", symbol, table, wrong, "the adjusted close is empty"))
    if missing:
        return table, missing
    factor = (table["adjusted"] / table["close"]).alias("factor")
    steps = np.diff(factor.log().to_numpy(), prepend=float(np.log(factor[0])))
    splits = _factor_splits(steps)
    later = np.cumsum(np.log(splits)[::-1])[::-1] - np.log(splits)
    changed = table.with_columns(
        *[(pl.col(name) * factor).alias(name) for name in PRICES[:3]],
        pl.col("adjusted").alias("close"),
        (pl.col("volume") * pl.Series(np.exp(later))).round().alias("volume"),
    )
    finding = Finding(
        kind="vendor adjustment",
        symbol=symbol,
        row=0,
        time=None,
        detail="open, high, low and close were multiplied by adjusted close / close; "
        f"{int((splits != 1.0).sum())} splits were taken out of the volume",
        count=len(table),
    )
    return changed, [finding]


def _factor_splits(steps: Float64) -> Float64:
    """Return the split ratio at each step of the vendor's factor, 1 where there is none."""
    logs = np.log(np.array(RATIOS))
    found = np.ones(len(steps))
    for place in np.flatnonzero(np.abs(steps) > logs[0] - 0.1):
        away = np.abs(logs - abs(steps[place]))
        best = int(away.argmin())
        if away[best] < FACTOR_CLOSENESS:
            found[place] = RATIOS[best] ** np.sign(steps[place])
    return found
