"""Files in, aligned bars out: every symbol's series joined on one clock and digested."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stairways.core.values import Digest
from stairways.errors import BarsRefusedError
from stairways.market.adjustment import Split
from stairways.market.aligned import Aligned
from stairways.market.bars import Adjustment, Bars, Frequency, Int64, among, to_micros
from stairways.market.calendars import calendar_of, sessions_around, timezone_of
from stairways.market.canonical import sealed
from stairways.market.findings import REFUSED, time_text
from stairways.market.layouts import PRICES
from stairways.market.options import DateOrder, Duplicates, EmptyRows, Hours, Options, Stamps
from stairways.market.reader import Reading
from stairways.market.series import (
    Basis,
    Series,
    load_series,
    read_all,
    sources_of,
    symbols_in,
)
from stairways.market.sessioning import of_the_day


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
    basis = Basis(adjustment=adjustment, calendar=calendar, splits=tuple(splits))
    return load_declared(paths, symbols, basis, options)


def load_declared(
    paths: Iterable[Path | str], symbols: Sequence[str], basis: Basis, options: Options
) -> Aligned:
    """Return the bars of ``symbols`` on one clock; as ``load_bars``, from ready declarations."""
    return load_read(read_all(paths, options), symbols, basis, options)


def load_read(
    readings: Sequence[tuple[Path, Reading]],
    symbols: Sequence[str],
    basis: Basis,
    options: Options,
) -> Aligned:
    """Return the bars of ``symbols`` on one clock from what was read already."""
    if basis.adjustment is None:
        raise BarsRefusedError("Nobody said what the prices are adjusted for.")
    names = tuple(symbols) or symbols_in(readings)
    series = [load_series(symbol, readings, basis, options) for symbol in names]
    refuse_first(series)
    return align(
        series,
        adjustment=basis.adjustment,
        calendar=basis.calendar or calendar_of(names),
        sources=sources_of(readings),
    )


def refuse_first(series: Sequence[Series]) -> None:
    """Raise ``BarsRefusedError`` for the first finding that spoils accounting."""
    for one in series:
        faults = [finding for finding in one.findings if finding.refused]
        if faults:
            fault = faults[0]
            count = sum(f.count for f in faults if f.kind == fault.kind)
            when = f" ({time_text(fault.time)})" if fault.time is not None else ""
            raise BarsRefusedError(
                f"{fault.place}: {one.symbol}: {fault.detail}{when}; rows like it: {count:,}. "
                f"{REFUSED[fault.kind]}."
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
        lambda left, right: left[among(left, right)],
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


def _clock(times: Int64, frequency: Frequency, calendar: str) -> dict[str, Int64]:
    """Return times, session number, opening and closing of each common bar."""
    if frequency == "1d":
        count = np.arange(len(times), dtype=np.int64)
        return {"times": times, "session": count, "session_open": times, "session_close": times}
    known = sessions_around(times, calendar)
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
