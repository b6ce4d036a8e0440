"""Bars against the exchange's calendar: frequency, sessions, what is missing or outside."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from stairways.errors import BarsRefusedError
from stairways.market.bars import Frequency, Int64, among
from stairways.market.calendars import DAY, Sessions
from stairways.market.findings import Finding, time_text
from stairways.market.health import LISTED, at_places
from stairways.market.options import Options

STEP: dict[Frequency, int] = {
    "1m": 60_000_000_000,
    "5m": 300_000_000_000,
    "1h": 3_600_000_000_000,
    "1d": DAY,
}
"""Nanoseconds from one bar to the next inside a session."""

_DAYS = ((5, "1d"), (13, "weekly"), (45, "monthly"), (10**6, "yearly"))


def frequency_of(symbol: str, times: Int64, *, dates: bool) -> Frequency:
    """Return the frequency that the times themselves show; refuse one that is not supported."""
    if len(times) < 2:  # noqa: PLR2004 - one bar has no distance
        if dates:
            return "1d"
        raise BarsRefusedError(f"{symbol}: one intraday bar alone has no frequency.")
    steps = np.diff(times)
    if dates:
        days = float(np.median(steps)) / DAY
        found = next(name for limit, name in _DAYS if days < limit)
    else:
        step = int(pl.Series(steps).mode().min())  # type: ignore[arg-type]  # of whole numbers
        found = next((f for f, s in STEP.items() if s == step), f"{step / 60e9:g}-minute")
    if found not in STEP:
        raise BarsRefusedError(f"{symbol}: these are {found} bars; known are {', '.join(STEP)}.")
    return found


def as_dates(times: Int64, timezone: str) -> Int64 | None:
    """Return the dates of instants that are all midnights in ``timezone``, else None."""
    local = (
        pl.Series(times)
        .cast(pl.Datetime("ns"))
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(timezone)
        .dt.replace_time_zone(None)
        .dt.timestamp("ns")
        .to_numpy()
    )
    return local if not np.any(local % DAY) else None


def to_starts(
    symbol: str, times: Int64, frequency: Frequency, known: Sessions, options: Options
) -> Int64:
    """Return the times at which intraday bars start, when they bear that or their end.

    Bars that end at their stamp have one at the close of a session and none at its open.
    Asks for ``stamps`` when most sessions with the former lack the latter.
    """
    rule = options.stamps
    if rule is None:
        at_open, at_close = (int(among(e, times).sum()) for e in (known.opens, known.closes))
        if at_close > 2 * at_open:
            raise BarsRefusedError(
                f"{symbol}: {at_close} sessions have a bar at the close and {at_open} one at the "
                "open, as if the stamps were the ends of the bars; say stamps start or end."
            )
    if rule != "end":
        return times
    step = STEP[frequency]
    place = np.clip(np.searchsorted(known.opens, times, side="left") - 1, 0, None)
    opening = known.opens[place]
    inside = (times > opening) & (times <= known.closes[place])
    return np.where(inside, opening + (-(-(times - opening) // step) - 1) * step, times - step)


def daily_findings(symbol: str, table: pl.DataFrame, known: Sessions) -> Iterator[Finding]:
    """Yield the sessions without a bar and the bars without a session."""
    times = table["time"].to_numpy()
    yield from _unknown(symbol, known, times)
    yield from _missing(symbol, known, times)
    extra = np.flatnonzero(~among(times, known.dates) & (times >= known.first))
    yield from at_places(
        "extra session", symbol, table, extra, lambda _: f"{known.calendar} had no session"
    )


def intraday_findings(
    symbol: str, table: pl.DataFrame, frequency: Frequency, known: Sessions
) -> Iterator[Finding]:
    """Yield missing sessions, early closes, gaps, and bars outside of the sessions."""
    times = table["time"].to_numpy()
    place, inside = inside_session(times, known)
    held = place[inside]
    first = np.flatnonzero(np.diff(held, prepend=-1))
    present, counts = held[first], np.diff(first, append=len(held))
    yield from _missing(symbol, known, known.dates[present])
    where = np.flatnonzero(inside)[first]
    early = known.early[present]
    yield from at_places(
        "early close", symbol, table, where[early], lambda _: f"{known.calendar} closed early"
    )
    length = known.closes[present] - known.opens[present]
    due = -(-length // STEP[frequency])
    short = np.flatnonzero(counts < due)
    text = {int(where[i]): f"{counts[i]} of {due[i]} bars of this session" for i in short}
    yield from at_places("gap", symbol, table, where[short], text.__getitem__)
    yield from _outside(symbol, table, inside, known)


def inside_session(
    times: Int64, known: Sessions
) -> tuple[Int64, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return for each time the last session that has begun, and whether it is still open."""
    place = np.searchsorted(known.opens, times, side="right").astype(np.int64) - 1
    inside = (place >= 0) & (times < known.closes[np.maximum(place, 0)])
    return place, inside


def of_the_day(times: Int64, known: Sessions) -> Int64:
    """Return the session on whose date, in the exchange's zone, each time falls; -1 if none."""
    place = np.searchsorted(known.midnights, times, side="right").astype(np.int64) - 1
    on_day = (place >= 0) & (times - known.midnights[np.maximum(place, 0)] < DAY)
    return np.where(on_day, place, -1)


def _missing(symbol: str, known: Sessions, present: Int64) -> Iterator[Finding]:
    if not len(present):
        return
    inside = (known.dates >= present.min()) & (known.dates <= present.max())
    missing = known.dates[inside & ~among(known.dates, present)]
    for number, date in enumerate(missing[:LISTED].tolist(), 1):
        rest = len(missing) - LISTED if number == LISTED else 0
        detail = f"{known.calendar} had a session and there is no bar"
        yield Finding(
            kind="missing session",
            symbol=symbol,
            row=0,
            time=date,
            detail=detail + (f"; and {rest:,} more" if rest else ""),
            count=1 + rest,
        )


def _unknown(symbol: str, known: Sessions, times: Int64) -> Iterator[Finding]:
    """Yield one finding for the bars from before the calendar's first day."""
    before = int((times < known.first).sum())
    if before:
        day = time_text(known.first)
        yield Finding(
            kind="calendar unknown",
            symbol=symbol,
            row=0,
            time=int(times[0]),
            detail=f"{known.calendar} is known from {day} on; {before:,} bars are older",
            count=before,
        )


def _outside(
    symbol: str,
    table: pl.DataFrame,
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]],
    known: Sessions,
) -> Iterator[Finding]:
    """Yield one finding for the bars before the open, after the close and on other days."""
    outside = np.flatnonzero(~inside)
    if len(outside):
        place = int(outside[0])
        yield Finding(
            kind="outside session",
            symbol=symbol,
            row=table["row"][place],
            time=table["time"][place],
            detail=f"{len(outside):,} bars are outside the hours of {known.calendar}",
            count=len(outside),
            file=table["file"][place] if "file" in table.columns else "",
        )
