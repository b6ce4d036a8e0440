"""Files in, aligned bars out: read, checked, adjusted, continued, joined, digested."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from stairways.core.values import Digest
from stairways.errors import BarsRefusedError
from stairways.market.adjustment import Split, adjust, splits_in, volume_steps
from stairways.market.aligned import Aligned
from stairways.market.bars import Adjustment, Bars, Frequency, Int64, to_micros
from stairways.market.calendars import DAY, Sessions, calendar_of, midnight, sessions, timezone_of
from stairways.market.canonical import SYMBOL, sealed
from stairways.market.continuing import continue_with
from stairways.market.findings import REFUSED, Finding
from stairways.market.health import clean, jumps, time_text, zero_volume
from stairways.market.layouts import PRICES
from stairways.market.options import DateOrder, Duplicates, EmptyRows, Hours, Options, Stamps
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """The checked bars of one symbol, and all that was found in its files.

    ``table`` is sorted, one row a time, every bar inside the range asked for.
    """

    symbol: str
    frequency: Frequency
    table: pl.DataFrame
    findings: tuple[Finding, ...]


def load_bars(
    paths: Iterable[Path | str],
    *,
    adjustment: Adjustment,
    symbols: Sequence[str] = (),
    calendar: str | None = None,
    splits: Sequence[Split] = (),
    timezone: str | None = None,
    dates: DateOrder | None = None,
    stamps: Stamps | None = None,
    duplicates: Duplicates = "refuse",
    empty_rows: EmptyRows = "refuse",
    hours: Hours = "regular",
    first: str | None = None,
    last: str | None = None,
) -> Aligned:
    """Return the bars of ``symbols`` (all of them by default) on one clock.

    A path may be written ``SYMBOL=PATH``. Several files of one symbol continue each other:
    where they overlap they must agree, and the one named first counts. The other arguments
    are the declarations of ``Options``. Raises ``BarsRefusedError`` with file, row and reason
    for whatever would make accounting wrong or could be understood in two ways.
    """
    options = Options(
        timezone=timezone,
        dates=dates,
        stamps=stamps,
        duplicates=duplicates,
        empty_rows=empty_rows,
        hours=hours,
        first=first,
        last=last,
    )
    readings = read_all(paths, options)
    names = tuple(symbols) or symbols_in(readings)
    series = [
        load_series(
            symbol,
            readings,
            adjustment=adjustment,
            calendar=calendar,
            splits=splits,
            options=options,
        )
        for symbol in names
    ]
    refuse_first(series)
    return align(
        series,
        adjustment=adjustment,
        calendar=calendar or calendar_of(names),
        sources=sources_of(readings),
    )


def read_all(paths: Iterable[Path | str], options: Options) -> list[tuple[Path, Reading]]:
    """Return what stands in each file, with its path; ``SYMBOL=PATH`` names the symbol."""
    found = []
    for written in paths:
        symbol, path = _target(written)
        found.append((path, read_file(path, options, symbol)))
    if not found:
        raise BarsRefusedError("No file was named; name at least one.")
    return found


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
    symbol: str,
    readings: Sequence[tuple[Path, Reading]],
    *,
    adjustment: Adjustment,
    calendar: str | None,
    splits: Sequence[Split],
    options: Options,
) -> Series:
    """Return the checked bars of one symbol from every file that has it."""
    own = [reading for _, reading in readings if symbol in reading.bars]
    if not own:
        raise BarsRefusedError(f"None of the files has bars of {symbol}.")
    calendar = calendar or calendar_of((symbol,))
    prepare = functools.partial(
        _prepared, symbol, adjustment=adjustment, calendar=calendar, splits=splits, options=options
    )
    whole, *later = [prepare(reading) for reading in own]
    for part in later:
        whole = _continued(whole, part)
    if any(finding.refused for finding in whole.findings) or not len(whole.table):
        return whole
    return _judged(whole, calendar, adjustment, options)


def refuse_first(series: Sequence[Series]) -> None:
    """Raise ``BarsRefusedError`` for the first finding that spoils accounting."""
    for one in series:
        faults = [finding for finding in one.findings if finding.refused]
        if faults:
            fault = faults[0]
            count = sum(f.count for f in faults if f.kind == fault.kind)
            when = f" ({time_text(fault.time)})" if fault.time is not None else ""
            raise BarsRefusedError(
                f"{fault.detail}{when}; {count:,} in all: {fault.kind}. Then {REFUSED[fault.kind]}."
            )
        if not len(one.table):
            raise BarsRefusedError(f"{one.symbol}: no bars are left in the range asked for.")


def align(
    series: Sequence[Series],
    *,
    adjustment: Adjustment,
    calendar: str,
    sources: Mapping[str, Digest],
) -> Aligned:
    """Return the inner join of ``series`` on their times."""
    frequencies = {one.symbol: one.frequency for one in series}
    if len(set(frequencies.values())) > 1:
        listed = ", ".join(f"{s} {f}" for s, f in frequencies.items())
        raise BarsRefusedError(f"The files have different frequencies: {listed}.")
    times = functools.reduce(
        lambda left, right: np.intersect1d(left, right, assume_unique=True),
        [one.table["time"].to_numpy() for one in series],
    )
    if not len(times):
        listed = ", ".join(one.symbol for one in series)
        raise BarsRefusedError(f"{listed} have no time in common.")
    clock = _clock(times, series[0].frequency, calendar)
    bars = Bars(
        symbols=tuple(one.symbol for one in series),
        frequency=series[0].frequency,
        adjustment=adjustment,
        timezone=timezone_of(calendar),
        calendar=calendar,
        simulated=False,
        digest=Digest(""),
        **clock,
        **_tables(series, times),
    )
    return Aligned(
        bars=sealed(bars),
        dropped={one.symbol: len(one.table) - len(times) for one in series},
        sources=sources,
        findings=tuple(finding for one in series for finding in one.findings),
    )


def _target(written: Path | str) -> tuple[str, Path]:
    """Return the symbol, if one was given, and the path."""
    symbol, mark, rest = str(written).partition("=")
    if mark and SYMBOL.fullmatch(symbol) and not Path(written).exists():
        return symbol, Path(rest)
    return "", Path(written)


def _ascii(name: str) -> str:
    return re.sub(r"[^ -~]", "?", name)


def _prepared(
    symbol: str,
    reading: Reading,
    *,
    adjustment: Adjustment,
    calendar: str,
    splits: Sequence[Split],
    options: Options,
) -> Series:
    """Return the bars of one symbol in one file: clean, in range, on the basis asked for."""
    table, findings = reading.bars[symbol], list(_about_file(symbol, reading))
    timezone = timezone_of(calendar)
    dates = as_dates(table["time"].to_numpy(), timezone) if reading.stamps == "instants" else None
    if dates is not None:
        table = table.with_columns(pl.Series("time", dates))
    daily = dates is not None or reading.stamps == "dates"
    table = _in_range(table, timezone, options, daily=daily)
    table, found = clean(symbol, table, options)
    findings += found
    frequency: Frequency = "1d"
    if len(table):
        frequency = frequency_of(symbol, table["time"].to_numpy(), dates=daily)
        if frequency != "1d":
            table = _started(symbol, table, frequency, calendar, options)
    if not any(finding.refused for finding in findings):
        table, found = adjust(symbol, table, adjustment, splits)
        findings += found
    named = tuple(_in_file(reading.name, finding) for finding in findings)
    return Series(symbol=symbol, frequency=frequency, table=table, findings=named)


def _about_file(symbol: str, reading: Reading) -> list[Finding]:
    """Return what concerns the file as a whole."""
    found = []
    if reading.dates:
        found.append(("date order", f"dates were read {reading.dates}"))
    if not reading.has_volume:
        found.append(("no volume", "there is no column of volume; it counts as zero"))
    return [
        Finding(kind=kind, symbol=symbol, row=0, time=None, detail=detail) for kind, detail in found
    ]


def _in_file(name: str, finding: Finding) -> Finding:
    place = f"{name}, line {finding.row}" if finding.row else name
    return dataclasses.replace(finding, detail=f"{place}: {finding.symbol}: {finding.detail}")


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
    times = table["time"].to_numpy()
    known = _sessions(times, calendar)
    starts = to_starts(symbol, times, frequency, known, options)
    return table if starts is times else table.with_columns(pl.Series("time", starts))


def _sessions(times: Int64, calendar: str) -> Sessions:
    """Return the sessions around sorted times, a day more on either side."""
    return sessions(calendar, int(times[0]) // DAY * DAY - DAY, int(times[-1]) // DAY * DAY + DAY)


def _continued(whole: Series, part: Series) -> Series:
    if whole.frequency != part.frequency and len(whole.table) and len(part.table):
        raise BarsRefusedError(
            f"{whole.symbol}: one file has {whole.frequency} bars, another {part.frequency}."
        )
    table, found = continue_with(whole.symbol, whole.table, part.table)
    return dataclasses.replace(
        whole, table=table, findings=(*whole.findings, *part.findings, *found)
    )


def _judged(series: Series, calendar: str, adjustment: Adjustment, options: Options) -> Series:
    """Return the series with everything found in it, without bars outside the sessions."""
    symbol, table, frequency = series.symbol, series.table, series.frequency
    known = _sessions(table["time"].to_numpy(), calendar)
    found = list(zero_volume(symbol, table))
    found += jumps(symbol, table, frequency)
    found += splits_in(symbol, table, frequency, adjustment)
    if adjustment != "raw":
        found += volume_steps(symbol, table)
    if frequency == "1d":
        found += daily_findings(symbol, table, known)
    else:
        found += intraday_findings(symbol, table, frequency, known)
        table = _kept(table, known, options.hours)
    return dataclasses.replace(series, table=table, findings=(*series.findings, *found))


def _kept(table: pl.DataFrame, known: Sessions, hours: Hours) -> pl.DataFrame:
    times = table["time"].to_numpy()
    inside = (
        inside_session(times, known)[1] if hours == "regular" else of_the_day(times, known) >= 0
    )
    return table.filter(pl.Series(inside))


def _clock(times: Int64, frequency: Frequency, calendar: str) -> dict[str, Int64]:
    """Return times, session number, opening and closing of each common bar."""
    if frequency == "1d":
        count = np.arange(len(times), dtype=np.int64)
        return {"times": times, "session": count, "session_open": times, "session_close": times}
    known = _sessions(times, calendar)
    place = of_the_day(times, known)
    number = np.cumsum(np.diff(place, prepend=place[:1]) != 0).astype(np.int64)
    return {
        "times": times,
        "session": number,
        "session_open": known.opens[place],
        "session_close": known.closes[place],
    }


def _tables(series: Sequence[Series], times: Int64) -> dict[str, Int64]:
    """Return open, high, low, close in micros and volume in shares, each ``(T, N)``."""
    tables = {
        name: np.empty((len(times), len(series)), dtype=np.int64) for name in (*PRICES, "volume")
    }
    for column, one in enumerate(series):
        rows = np.searchsorted(one.table["time"].to_numpy(), times)
        for name in PRICES:
            tables[name][:, column] = to_micros(one.table[name].to_numpy()[rows])
        volume = one.table["volume"].fill_null(0.0).to_numpy()[rows]
        tables["volume"][:, column] = np.rint(volume).astype(np.int64)
    return tables
