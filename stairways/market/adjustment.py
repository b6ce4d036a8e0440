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
from stairways.market.bars import Adjustment, Float64, Frequency, Int64
from stairways.market.findings import Finding
from stairways.market.gaps import RATIOS, split_gaps
from stairways.market.health import at_places, listed
from stairways.market.layouts import PRICES

DAY = 86_400_000_000_000  # nanoseconds
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
    gaps, ratio = split_gaps(table["open"].to_numpy(), table["close"].to_numpy(), times, frequency)
    none = [s.time // DAY for s in splits if s.symbol == symbol and s.new == s.old]
    if none:
        ratio[np.isin(times // DAY, none)] = 0.0
    kind = "split in adjusted data" if adjustment in {"splits", "splits+dividends"} else "split"
    yield from at_places(
        kind, symbol, table, np.flatnonzero(ratio), lambda i: _ratio_text(ratio[i], gaps[i])
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
