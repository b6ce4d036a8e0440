"""Trading sessions of an exchange: dates, opening and closing times, early closes.

They come from exchange_calendars, which is imported when first asked, since it takes pandas
with it.
"""

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stairways.errors import BarsRefusedError
from stairways.market.bars import Int64

DAY = 86_400_000_000_000  # nanoseconds

_A_WEEK = ("2024-01-01", "2024-01-12")
_BY_SUFFIX = {
    "": "XNYS",
    "US": "XNYS",
    "HK": "XHKG",
    "T": "XTKS",
    "L": "XLON",
    "DE": "XETR",
    "PA": "XPAR",
    "TO": "XTSE",
    "AX": "XASX",
    "SS": "XSHG",
    "KS": "XKRX",
    "SW": "XSWX",
}
"""Yahoo's suffix of a symbol to the exchange's ISO 10383 code."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sessions:
    """The sessions of ``calendar`` in a range, in order; all times in nanoseconds UTC.

    ``first`` is the first day that was asked for and that the calendar knows. ``dates`` are
    midnights UTC of the session's date, ``midnights`` those of its time zone.
    """

    calendar: str
    timezone: str
    first: int
    dates: Int64
    midnights: Int64
    opens: Int64
    closes: Int64
    early: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.dates)


def calendar_of(symbols: tuple[str, ...]) -> str:
    """Return the calendar that the symbols' suffixes mean; refuse when they mean several."""
    found = {_BY_SUFFIX.get(_suffix(symbol), "?") for symbol in symbols}
    if found == {"?"} or len(found) != 1 or any(symbol.startswith("^") for symbol in symbols):
        listed = ", ".join(symbols)
        raise BarsRefusedError(f"{listed}: say which exchange's calendar applies, such as XNYS.")
    return found.pop()


def _suffix(symbol: str) -> str:
    """Return what follows the dot, unless it is a class of shares such as BRK.B."""
    tail = symbol.rpartition(".")[2] if "." in symbol else ""
    return "" if tail in {"A", "B", "C"} else tail


@functools.lru_cache(maxsize=16)
def sessions(calendar: str, first: int, last: int) -> Sessions:
    """Return the sessions with dates from the day of ``first`` to that of ``last``, UTC.

    Days before the calendar's own first one have no sessions. Raises ``BarsRefusedError``
    for an unknown calendar, and for days after its last.
    """
    earliest = max(first // DAY, _earliest(calendar))
    start, end = np.datetime64(earliest, "D"), np.datetime64(max(last // DAY, earliest), "D")
    known = _calendar(calendar, str(start), str(end + 10))
    dates = _nanoseconds(known.sessions)
    inside = (dates >= first // DAY * DAY) & (dates <= last)
    return Sessions(
        calendar=calendar,
        timezone=str(known.tz),
        first=earliest * DAY,
        dates=dates[inside],
        midnights=_midnights(dates[inside], str(known.tz)),
        opens=_nanoseconds(known.opens)[inside],
        closes=_nanoseconds(known.closes)[inside],
        early=np.isin(dates, _nanoseconds(known.early_closes))[inside],
    )


def _calendar(calendar: str, start: str, end: str) -> Any:  # noqa: ANN401 - the library is untyped
    import exchange_calendars  # noqa: PLC0415 - it brings pandas, needed here only

    try:
        with warnings.catch_warnings():  # exchange_calendars 4.13 with pandas 3.1
            warnings.simplefilter("ignore", DeprecationWarning)
            return exchange_calendars.get_calendar(calendar, start=start, end=end, side="left")
    except exchange_calendars.errors.CalendarError as error:
        raise BarsRefusedError(f"No calendar {calendar!r}: {error}") from error
    except ValueError as error:  # a day outside the range that the calendar covers
        raise BarsRefusedError(f"Calendar {calendar}: {error}") from error


@functools.cache
def _earliest(calendar: str) -> int:
    """Return the first day, counted from 1970, of which the calendar knows the holidays.

    None is earlier than 1970: pandas, which expands the rules of the holidays, begins there.
    """
    bound = type(_calendar(calendar, *_A_WEEK)).bound_min()
    return 0 if bound is None else max(0, int(_nanoseconds(bound)) // DAY)


def sessions_around(times: Int64, calendar: str) -> Sessions:
    """Return the sessions around sorted times, a day more on either side."""
    return sessions(calendar, int(times[0]) // DAY * DAY - DAY, int(times[-1]) // DAY * DAY + DAY)


@functools.cache
def timezone_of(calendar: str) -> str:
    """Return the IANA time zone of an exchange."""
    return str(_calendar(calendar, *_A_WEEK).tz)


def midnight(date: Int64, timezone: str) -> Int64:
    """Return the nanoseconds UTC at which dates, as midnights UTC, begin in ``timezone``."""
    return _midnights(date, timezone)


def _nanoseconds(values: object) -> Int64:
    """Return pandas times, whatever their unit, as nanoseconds UTC."""
    return np.asarray(values, dtype="datetime64[ns]").astype(np.int64)


def _midnights(dates: Int64, timezone: str) -> Int64:
    import polars as pl  # noqa: PLC0415 - importing this module stays cheap

    local = pl.Series(dates).cast(pl.Datetime("ns"))
    utc = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return utc.dt.timestamp("ns").fill_null(strategy="backward").to_numpy()
