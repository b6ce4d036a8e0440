"""The bars of one symbol: from its files, checked, adjusted, continued, judged by a calendar."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from stairways.core.values import MICROS_PER_DOLLAR, Digest
from stairways.errors import BarsRefusedError
from stairways.market.adjustment import Split, adjust, splits_in, volume_steps
from stairways.market.bars import Adjustment, Bars, Frequency
from stairways.market.calendars import (
    DAY,
    Sessions,
    calendar_of,
    midnight,
    sessions_around,
    timezone_of,
)
from stairways.market.canonical import SYMBOL
from stairways.market.continuing import continue_with
from stairways.market.findings import Finding
from stairways.market.health import clean, jumps, zero_volume
from stairways.market.layouts import PRICES
from stairways.market.options import Hours, Options
from stairways.market.reader import Reading, read_file
from stairways.market.sessioning import (
    as_dates,
    daily_findings,
    frequency_of,
    inside_session,
    intraday_findings,
    of_the_day,
    to_starts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What was declared about symbols rather than files.

    Without ``adjustment`` prices are looked at as they stand, which is enough for a check.
    ``calendar`` is an exchange's ISO 10383 code; without it the symbol's suffix says which.
    """

    adjustment: Adjustment | None = None
    calendar: str | None = None
    splits: tuple[Split, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """The checked bars of one symbol, and all that was found in its files.

    ``table`` is sorted, one row a time, every bar inside the range asked for. ``seen`` has
    the rows that cannot be used too.
    """

    symbol: str
    frequency: Frequency
    table: pl.DataFrame
    seen: pl.DataFrame
    findings: tuple[Finding, ...]


def read_all(paths: Iterable[Path | str], options: Options) -> list[tuple[Path, Reading]]:
    """Return what stands in each file, with its path; ``SYMBOL=PATH`` names the symbol."""
    targets = [_target(written) for written in paths]
    _refuse_repeated([path for _, path in targets])
    found = [(path, read_file(path, options, symbol)) for symbol, path in targets]
    if not found:
        raise BarsRefusedError("No file was named; name at least one.")
    return found


def _refuse_repeated(paths: Sequence[Path]) -> None:
    real = [path.resolve() for path in paths]
    for path, place in zip(paths, real, strict=True):
        if real.count(place) > 1:
            raise BarsRefusedError(f"{path} is named {real.count(place)} times; name it once.")


def symbols_in(readings: Sequence[tuple[Path, Reading]]) -> tuple[str, ...]:
    """Return the symbols of all files, in order of appearance."""
    return tuple(dict.fromkeys(symbol for _, reading in readings for symbol in reading.bars))


def sources_of(readings: Sequence[tuple[Path, Reading]]) -> Mapping[str, Digest]:
    """Return the digest of each file by its name, with its folder where names repeat."""
    names = [path.name for path, _ in readings]
    keys = [
        path.name if names.count(path.name) == 1 else f"{path.resolve().parent.name}/{path.name}"
        for path, _ in readings
    ]
    return {_ascii(key): reading.digest for key, (_, reading) in zip(keys, readings, strict=True)}


def load_series(
    symbol: str, readings: Sequence[tuple[Path, Reading]], basis: Basis, options: Options
) -> Series:
    """Return the bars of one symbol from every file that has it, and all that was found.

    Rows that make accounting wrong are left out and named by findings that are ``refused``:
    such a series may be looked at and not used.
    """
    own = [reading for _, reading in readings if symbol in reading.bars]
    if not own:
        raise BarsRefusedError(f"None of the files has bars of {symbol}.")
    if basis.adjustment == "splits+dividends" and len({r.has_adjusted for r in own}) > 1:
        raise BarsRefusedError(
            f"{symbol}: one file has adjusted closes and another has none; joined they would mix "
            "two kinds of prices."
        )
    basis = dataclasses.replace(basis, calendar=basis.calendar or calendar_of((symbol,)))
    whole, *later = [_prepared(symbol, reading, basis, options) for reading in own]
    for reading, part in zip(own[1:], later, strict=True):
        whole = _continued(_labelled(whole, own[0].name), _labelled(part, reading.name))
    name = own[0].name if len(own) == 1 else ""
    return _judged(whole, basis, options, name) if len(whole.table) else whole


def series_of(bars: Bars) -> list[Series]:
    """Return registered bars as series again, prices in dollars, rows counted from 1."""
    rows = pl.int_range(1, len(bars) + 1, dtype=pl.UInt32, eager=True).alias("row")
    found = []
    for column, symbol in enumerate(bars.symbols):
        table = pl.DataFrame([rows, pl.Series("time", bars.times)]).with_columns(
            *[
                pl.Series(name, getattr(bars, name)[:, column] / MICROS_PER_DOLLAR)
                for name in PRICES
            ],
            pl.Series("volume", bars.volume[:, column].astype(np.float64)),
        )
        found.append(
            Series(symbol=symbol, frequency=bars.frequency, table=table, seen=table, findings=())
        )
    return found


def _target(written: Path | str) -> tuple[str, Path]:
    """Return the symbol, if one was given, and the path."""
    symbol, mark, rest = str(written).partition("=")
    if mark and SYMBOL.fullmatch(symbol) and not Path(written).exists():
        return symbol, Path(rest)
    return "", Path(written)


def _ascii(name: str) -> str:
    return re.sub(r"[^ -~]", "?", name)


def _prepared(symbol: str, reading: Reading, basis: Basis, options: Options) -> Series:
    """Return the bars of one symbol in one file: clean, in range, on the basis asked for."""
    assert basis.calendar is not None  # noqa: S101 - load_series settled it
    table = reading.bars[symbol]
    timezone = timezone_of(basis.calendar)
    dates = as_dates(table["time"].to_numpy(), timezone) if reading.stamps == "instants" else None
    if dates is not None:
        table = table.with_columns(pl.Series("time", dates))
    daily = dates is not None or reading.stamps == "dates"
    findings = _about_file(symbol, reading, basis, daily=daily)
    table = _in_range(table, timezone, options, daily=daily)
    table, seen, found = clean(symbol, table, options)
    findings += found
    frequency: Frequency = "1d"
    if len(table):
        frequency = frequency_of(symbol, table["time"].to_numpy(), dates=daily)
        table = _started(symbol, table, frequency, basis.calendar, options)
        seen = _started(symbol, seen, frequency, basis.calendar, options)
        table, found = adjust(symbol, table, basis.adjustment, basis.splits)
        findings += found
    return Series(
        symbol=symbol,
        frequency=frequency,
        table=table,
        seen=seen,
        findings=_in_file(reading.name, findings),
    )


def _about_file(symbol: str, reading: Reading, basis: Basis, *, daily: bool) -> list[Finding]:
    """Return what concerns the file as a whole."""
    found = list(reading.notes)
    if _perhaps_adjusted(reading, basis) and daily:
        detail = (
            "yfinance of 2024 and later adjusts for dividends unless told not to, and writes no "
        )
        found.append(("label in doubt", detail + "adjusted close then; is this splits+dividends?"))
    if reading.dates:
        found.append(("date order", f"dates were read {reading.dates}"))
    if not reading.has_volume:
        found.append(("no volume", "there is no column of volume; it counts as zero"))
    return [
        Finding(kind=kind, symbol=symbol, row=0, time=None, detail=detail) for kind, detail in found
    ]


def _perhaps_adjusted(reading: Reading, basis: Basis) -> bool:
    """Say whether the layout is that of prices which are adjusted further than declared."""
    three = reading.layout.endswith("3 header lines")
    return three and not reading.has_adjusted and basis.adjustment in {"raw", "splits"}


def _in_file(name: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings with the name of the file where they have none."""
    return tuple(f if f.file else dataclasses.replace(f, file=name) for f in findings)


def _in_range(table: pl.DataFrame, timezone: str, options: Options, *, daily: bool) -> pl.DataFrame:
    """Return the rows whose session date is from ``first`` to ``last``."""
    for date, after in ((options.first, False), (options.last, True)):
        if date is None:
            continue
        bound = np.array([_day(date) + (DAY if after else 0)])
        limit = int(bound[0] if daily else midnight(bound, timezone)[0])
        table = table.filter(pl.col("time") < limit if after else pl.col("time") >= limit)
    return table


def _day(date: str) -> int:
    try:
        return int(np.datetime64(date, "D").astype(np.int64)) * DAY
    except ValueError as error:
        raise BarsRefusedError(f"{date!r} is no date like 2024-01-31.") from error


def _started(
    symbol: str, table: pl.DataFrame, frequency: Frequency, calendar: str, options: Options
) -> pl.DataFrame:
    if frequency == "1d":
        return table
    times = table["time"].to_numpy()
    known = sessions_around(times, calendar)
    starts = to_starts(symbol, times, frequency, known, options)
    return table if starts is times else table.with_columns(pl.Series("time", starts))


def _labelled(series: Series, name: str) -> Series:
    """Return the series with the file of each row, which several files make necessary."""
    if "file" in series.table.columns:
        return series
    file = pl.lit(name).alias("file")
    return dataclasses.replace(
        series, table=series.table.with_columns(file), seen=series.seen.with_columns(file)
    )


def _continued(whole: Series, part: Series) -> Series:
    if whole.frequency != part.frequency and len(whole.table) and len(part.table):
        raise BarsRefusedError(
            f"{whole.symbol}: one file has {whole.frequency} bars, another {part.frequency}."
        )
    table, found = continue_with(whole.symbol, whole.table, part.table)
    seen = pl.concat([whole.seen, part.seen], how="vertical_relaxed").unique("time").sort("time")
    return dataclasses.replace(
        whole, table=table, seen=seen, findings=(*whole.findings, *part.findings, *found)
    )


def _judged(series: Series, basis: Basis, options: Options, name: str) -> Series:
    """Return the series with everything found in it, without bars outside the sessions."""
    assert basis.calendar is not None  # noqa: S101 - load_series settled it
    symbol, table, frequency = series.symbol, series.table, series.frequency
    known = sessions_around(series.seen["time"].to_numpy(), basis.calendar)
    found = list(zero_volume(symbol, series.seen))
    found += jumps(symbol, table, frequency)
    found += splits_in(table, (symbol, frequency), basis.adjustment, basis.splits)
    if basis.adjustment != "raw":
        found += volume_steps(symbol, table)
    if frequency == "1d":
        found += daily_findings(symbol, series.seen, known)
    else:
        found += intraday_findings(symbol, series.seen, frequency, known)
        table = _kept(table, known, options.hours)
    return dataclasses.replace(
        series, table=table, findings=(*series.findings, *_in_file(name, found))
    )


def _kept(table: pl.DataFrame, known: Sessions, hours: Hours) -> pl.DataFrame:
    times = table["time"].to_numpy()
    inside = (
        inside_session(times, known)[1] if hours == "regular" else of_the_day(times, known) >= 0
    )
    return table.filter(pl.Series(inside))
