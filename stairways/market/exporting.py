"""Bars as files that other programs read, and that import again to the same digest."""

import io
from collections.abc import Iterator
from typing import BinaryIO

import polars as pl

from stairways.core.values import MICROS_PER_DOLLAR
from stairways.market.bars import Bars, Int64
from stairways.market.layouts import PRICES

CHUNK = 100_000  # bars at a time


def as_table(bars: Bars, first: int = 0, last: int | None = None) -> pl.DataFrame:
    """Return bars ``first`` to ``last`` in long form: time, symbol, prices in dollars, volume.

    Times are dates for daily bars and UTC otherwise. Prices are decimals with six places,
    so that nothing is rounded a second time. Simulated bars have a column that says so.
    """
    part = slice(first, len(bars) if last is None else last)
    times = pl.Series("timestamp", bars.times[part]).cast(pl.Datetime("ns", "UTC"))
    times = times.cast(pl.Date) if bars.frequency == "1d" else times
    tables = []
    for place, symbol in enumerate(bars.symbols):
        names = pl.repeat(symbol, len(times), dtype=pl.String, eager=True).alias("symbol")
        prices = [_dollars(name, getattr(bars, name)[part, place]) for name in PRICES]
        volume = pl.Series("volume", bars.volume[part, place])
        table = pl.DataFrame([times, names, *prices, volume])
        tables.append(table.with_columns(pl.lit(place).alias("place")))
    whole = pl.concat(tables).sort("timestamp", "place").drop("place")
    return whole.with_columns(pl.lit("true").alias("simulated")) if bars.simulated else whole


def write_csv(bars: Bars, file: BinaryIO) -> None:
    """Write ``bars`` as CSV, UTF-8, LF line ends, a header first."""
    file.writelines(_csv(bars))


def write_parquet(bars: Bars, file: BinaryIO) -> None:
    """Write ``bars`` as Parquet, prices as decimals, their digest and labels in the footer."""
    about = {
        "stairways.digest": bars.digest,
        "stairways.adjustment": bars.adjustment,
        "stairways.calendar": bars.calendar,
    }
    as_table(bars).write_parquet(file, compression="zstd", metadata=about)


def _csv(bars: Bars) -> Iterator[bytes]:
    for first in range(0, len(bars), CHUNK):
        written = io.BytesIO()
        table = as_table(bars, first, min(first + CHUNK, len(bars)))
        table.write_csv(written, include_header=not first, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        yield written.getvalue()


def _dollars(name: str, micros: Int64) -> pl.Series:
    whole = pl.Series(name, micros).cast(pl.Decimal(38, 6))
    return (whole / MICROS_PER_DOLLAR).cast(pl.Decimal(38, 6)).alias(name)
