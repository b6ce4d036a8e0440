"""Cells of text as numbers and times, whole columns at once."""

import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from stairways.market.options import DateOrder

EMPTY = ("", "null", "nan", "n/a", "na", "none", "nil", "-", "--")
"""What vendors write where there is no number; compared in lower case."""

_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_GROUPED = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?[KMBT]?$"
_PLAIN_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"

# RFC 5322 section 4.3 (obs-zone); others are ambiguous and stay unknown.
_ZONES = {
    "UTC": "+0000",
    "UT": "+0000",
    "GMT": "+0000",
    "Z": "+0000",
    "EST": "-0500",
    "EDT": "-0400",
    "CST": "-0600",
    "CDT": "-0500",
    "MST": "-0700",
    "MDT": "-0600",
    "PST": "-0800",
    "PDT": "-0700",
}

Kind = Literal["date", "naive", "instant"]


def numbers(text: pl.Series, *, commas: bool = True) -> pl.Series:
    """Return ``text`` as Float64: null where it says there is none, NaN where it is no number.

    Understands ``$1,234.50``, ``382.46M`` and ``1e3``; anything else, a formula for example,
    is no number. Without ``commas`` neither is 1,234: where semicolons part the cells it may
    be a decimal comma. Too large a number becomes infinite, which health checks refuse.
    """
    if text.dtype.is_numeric():
        return text.cast(pl.Float64).fill_nan(None)
    quick = text.cast(pl.Float64, strict=False)
    odd = quick.is_null() | quick.is_nan() | quick.is_infinite()
    if not (odd & text.is_not_null()).any():
        return quick
    return quick.set(odd, None).zip_with(~odd, _slow_numbers(text, commas=commas))


def _slow_numbers(text: pl.Series, *, commas: bool) -> pl.Series:
    clean = text.str.strip_chars()
    empty = clean.is_null() | clean.str.to_lowercase().is_in(EMPTY)
    bare = clean.str.replace(r"^([+-]?)\$", "${1}")
    if commas:
        bare = bare.str.replace_all(",", "").zip_with(
            bare.str.contains(_GROUPED).fill_null(value=False), bare
        )
    suffix = bare.str.extract(r"([KMBT]?)$")
    digits = bare.str.strip_suffix("K").str.strip_suffix("M").str.strip_suffix("B")
    digits = digits.str.strip_suffix("T")
    fits = digits.str.contains(_PLAIN_NUMBER).fill_null(value=False)
    value = digits.cast(pl.Float64, strict=False) * suffix.replace_strict(
        _SCALE, default=1.0, return_dtype=pl.Float64
    )
    nan = pl.repeat(float("nan"), len(text), dtype=pl.Float64, eager=True)
    none = pl.repeat(None, len(text), dtype=pl.Float64, eager=True)
    return value.zip_with(fits, nan).zip_with(~empty, none)


@dataclass(frozen=True, slots=True)
class Stamp:
    """One way to write a time. ``read`` returns microseconds, null where it does not fit."""

    kind: Kind
    read: Callable[[pl.Series], pl.Series]
    ordered: bool = True  # False: day and month could be exchanged


def stamp_of(sample: str, order: DateOrder | None) -> Stamp | None:
    """Return how the time ``sample`` is written, or None if nobody writes it so.

    ``order`` decides a date like 3/4/2024.
    """
    for pattern, make in _FORMS:
        found = re.fullmatch(pattern, sample.strip())
        if found:
            return make(found, order)
    return None


def to_utc(naive: pl.Series, timezone: str) -> pl.Series:
    """Return naive microseconds in ``timezone`` as UTC, null where the hour is doubtful."""
    local = naive.cast(pl.Datetime("us")).dt.replace_time_zone(
        timezone, ambiguous="null", non_existent="null"
    )
    return local.dt.convert_time_zone("UTC").dt.timestamp("us")


def known_zone(timezone: str) -> bool:
    """Say whether ``timezone`` is the name of an IANA zone."""
    return timezone in zoneinfo.available_timezones()


def _iso(found: re.Match[str], _: DateOrder | None) -> Stamp:
    separator, clock = found["separator"] or "", found["clock"] or ""
    dash = found["dash"]
    day = f"%Y{dash}%m{dash}%d"
    if not clock:
        return Stamp("date", lambda text: _parse(text, day))
    form = day + separator + _clock_form(clock)
    if found["zone"]:
        return Stamp("instant", lambda text: _instants(text, form))
    return Stamp("naive", lambda text: _parse(text, form))


def _clock_form(clock: str) -> str:
    if ":" not in clock:
        return "%H%M%S"
    return "%H:%M:%S%.f" if clock.count(":") > 1 else "%H:%M"


def _parse(text: pl.Series, form: str) -> pl.Series:
    clean = text.str.strip_chars()
    return clean.str.to_datetime(form, time_unit="us", strict=False, exact=True).dt.timestamp("us")


def _instants(text: pl.Series, form: str) -> pl.Series:
    """Return UTC microseconds of stamps with an offset or a zone's abbreviation."""
    clean = text.str.strip_chars()
    zone = clean.str.extract(r"\s?([A-Z]{1,3})$")
    named = zone.is_not_null()
    if named.any():
        offset = zone.replace_strict(_ZONES, default=None, return_dtype=pl.String)
        stem = clean.str.replace(r"\s?[A-Z]{1,3}$", "")
        clean = (stem + offset).zip_with(named, clean)
    parsed = clean.str.to_datetime(form + "%z", time_unit="us", strict=False, exact=True)
    return parsed.dt.timestamp("us")


def local_of(text: pl.Series, utc: pl.Series) -> pl.Series:
    """Return the wall clock of stamps with an offset, as microseconds without a zone."""
    clean = text.str.strip_chars()
    shift = clean.str.extract_groups(r"([+-])(\d{2}):?(\d{2})$")
    sign = shift.struct.field("1").replace_strict({"+": 1, "-": -1}, default=0)
    minutes = shift.struct.field("2").cast(pl.Int64) * 60 + shift.struct.field("3").cast(pl.Int64)
    return utc + (sign * minutes.fill_null(0)) * 60_000_000


def _slashed(found: re.Match[str], order: DateOrder | None) -> Stamp:
    mark, clock = found["mark"], found["clock"] or ""
    day = f"%d{mark}%m{mark}%Y" if order == "day-first" else f"%m{mark}%d{mark}%Y"
    form = f"{day} {_clock_form(clock)}" if clock else day
    kind: Kind = "naive" if clock else "date"
    return Stamp(kind, lambda text: _parse(text, form), ordered=order is not None)


def _worded(_: re.Match[str], __: DateOrder | None) -> Stamp:
    return Stamp("date", lambda text: _parse(text, "%b %d, %Y"))


def _epoch(found: re.Match[str], _: DateOrder | None) -> Stamp:
    """Whole seconds, milli-, micro- or nanoseconds since 1970, by their number of digits."""
    digits = len(found[0])
    factor = {10: 10**6, 13: 10**3, 16: 1, 19: 1}[digits]
    divisor = 1000 if digits == 19 else 1  # noqa: PLR2004 - nanoseconds have 19 digits

    def read(text: pl.Series) -> pl.Series:
        whole = text.cast(pl.String).str.strip_chars()
        fits = whole.str.contains(rf"^[0-9]{{{digits}}}$")
        value = whole.set(~fits, None).cast(pl.Int64, strict=False)
        return (value // divisor) * factor

    return Stamp("instant", read)


_CLOCK = r"(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?|\d{6})"
_ZONE = r"(?P<zone>Z|[+-]\d{2}:?\d{2}|\s?[A-Z]{2,3})?"
_FORMS: tuple[tuple[str, Callable[[re.Match[str], DateOrder | None], Stamp]], ...] = (
    (r"\d{10}|\d{13}|\d{16}|\d{19}", _epoch),
    (
        rf"\d{{4}}(?P<dash>[-/.]?)\d{{2}}(?P=dash)\d{{2}}(?:(?P<separator>[ T]){_CLOCK}{_ZONE})?",
        _iso,
    ),
    (rf"\d{{1,2}}(?P<mark>[/.-])\d{{1,2}}(?P=mark)\d{{4}}(?: {_CLOCK})?", _slashed),
    (r"[A-Z][a-z]{2} \d{1,2}, \d{4}", _worded),
)
