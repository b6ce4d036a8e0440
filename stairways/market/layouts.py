"""Recognising the layout of a table from its first lines, by content and not by file name."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stairways.errors import BarsRefusedError

PRICES = ("open", "high", "low", "close")

_ROLES: dict[str, str] = {
    **dict.fromkeys(("date", "datetime", "timestamp", "t", "windowstart", "dt"), "time"),
    **dict.fromkeys(("tod", "timeofday"), "clock"),
    **dict.fromkeys(("open", "o", "1open"), "open"),
    **dict.fromkeys(("high", "h", "2high"), "high"),
    **dict.fromkeys(("low", "l", "3low"), "low"),
    **dict.fromkeys(("close", "c", "4close", "closelast", "last"), "close"),
    **dict.fromkeys(("volume", "v", "vol", "5volume", "6volume"), "volume"),
    **dict.fromkeys(("adjclose", "adjustedclose", "closeadj", "5adjustedclose"), "adjusted"),
    **dict.fromkeys(("ticker", "symbol", "sticker"), "symbol"),
}
_PANDAS_PAIR = re.compile(r"""^\('?([^',]*)'?, '?([^',]*)'?\)$""")
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where in a row everything stands; columns are counted from 0.

    ``series`` lists, for each symbol that has columns of its own, the column of each role;
    a single one named ``None`` when the symbol stands in ``symbol`` or in no column at all.
    """

    name: str
    delimiter: str
    header_lines: int
    width: int
    time: int
    clock: int | None
    symbol: int | None
    series: tuple[tuple[str | None, Mapping[str, int]], ...]


def recognise(lines: Sequence[str]) -> Layout:
    """Return the layout of a text table that begins with ``lines`` (up to four are enough).

    Raises ``BarsRefusedError`` with the reason, without the file's name.
    """
    delimiter = max(DELIMITERS, key=lines[0].count)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise BarsRefusedError(f"this is no table ({error})") from error
    if not rows or len(rows[0]) < len(PRICES):
        raise BarsRefusedError("the first line is no header of a table of prices")
    if any(_is_number(cell) for cell in rows[0]):
        raise BarsRefusedError("the first line is no header; the columns need names")
    pairs, header_lines = _pairs(rows)
    return layout_of(pairs, delimiter=delimiter, header_lines=header_lines)


def layout_of(
    pairs: Sequence[tuple[str, str]], *, delimiter: str = "", header_lines: int = 0
) -> Layout:
    """Return the layout of columns given as (field name, ticker or nothing)."""
    if any(_plain(field) == "simulated" for field, _ in pairs):
        raise BarsRefusedError("these bars are simulated; make them with `data simulate` instead")
    roles = _roles([field for field, _ in pairs])
    time = _only(roles, "time")
    series = _series(pairs, roles)
    return Layout(
        name=_name([_plain(field) for field, _ in pairs], header_lines),
        delimiter=delimiter,
        header_lines=header_lines,
        width=len(pairs),
        time=time,
        clock=_first(roles, "clock"),
        symbol=_first(roles, "symbol"),
        series=series,
    )


def parquet_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return (field, ticker) of Parquet columns; pandas writes pairs as ``('Close', 'NVDA')``."""
    found = [_PANDAS_PAIR.match(name) for name in names]
    pairs = [(m[1], m[2]) if m else (n, "") for m, n in zip(found, names, strict=True)]
    pairs = [("Date" if f.startswith("__index_level_") else f, t) for f, t in pairs]
    return pairs if _knows(pairs) else [(t, f) for f, t in pairs]


def _pairs(rows: Sequence[Sequence[str]]) -> tuple[list[tuple[str, str]], int]:
    """Return (field, ticker) of each column and how many lines the header has.

    yfinance writes one line, two (fields; tickers), or three (fields; tickers; the name of
    the index), and either order of the first two.
    """
    first, second = list(rows[0]), list(rows[1]) if len(rows) > 1 else []
    if second[:1] not in ([""], ["Ticker"], ["Price"]) or len(second) != len(first):
        return [(field, "") for field in first], 1
    if any(_is_number(cell) for cell in second[1:]):
        return [(field, "") for field in first], 1
    third = list(rows[2]) if len(rows) > 2 else []  # noqa: PLR2004 - the third header line
    three = bool(third) and bool(third[0]) and not any(third[1:])
    index = third[0] if three else first[0]
    pairs = [(index if _plain(index) in _ROLES else "Date", "")]
    body = list(zip(first[1:], second[1:], strict=True))
    pairs += body if _knows(body) else [(field, ticker) for ticker, field in body]
    return pairs, 3 if three else 2


def _knows(pairs: Sequence[tuple[str, str]]) -> bool:
    """Say whether the first of each pair names fields."""
    return sum(_plain(field) in _ROLES for field, _ in pairs) >= len(PRICES)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _roles(names: Sequence[str]) -> list[str | None]:
    """Return the role of each column; two names mean different things in different company."""
    plain = [_plain(name) for name in names]
    roles = [_ROLES.get(name) for name in plain]
    if "time" in plain:  # the time of day beside a date, the whole stamp otherwise
        roles[plain.index("time")] = "clock" if "time" in roles else "time"
    if "price" in plain and "close" not in roles:  # Investing.com
        roles[plain.index("price")] = "close"
    if "per" in plain and "ticker" in plain:  # Stooq: <PER> and <OPENINT> mean nothing to us
        roles[plain.index("per")] = None
    return roles


def _first(roles: Sequence[str | None], role: str) -> int | None:
    return roles.index(role) if role in roles else None


def _only(roles: Sequence[str | None], role: str) -> int:
    count = roles.count(role)
    if count != 1:
        what = "no column" if not count else f"{count} columns"
        raise BarsRefusedError(f"{what} of the header can be the {role}")
    return roles.index(role)


def _series(
    pairs: Sequence[tuple[str, str]], roles: Sequence[str | None]
) -> tuple[tuple[str | None, Mapping[str, int]], ...]:
    series: dict[str | None, dict[str, int]] = {}
    for place, ((field, ticker), role) in enumerate(zip(pairs, roles, strict=True)):
        if role not in (*PRICES, "volume", "adjusted"):
            continue
        own = series.setdefault(ticker or None, {})
        if role in own:
            raise BarsRefusedError(f"two columns can be the {role}: {field!r} is the second")
        own[role] = place
    for own in series.values():
        missing = [price for price in PRICES if price not in own]
        if missing:
            raise BarsRefusedError(f"no column of the header can be the {missing[0]}")
    if not series:
        raise BarsRefusedError("no column of the header can be the open")
    return tuple(series.items())


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[$+-]?[0-9][0-9.,eE+-]*", cell) is not None


def _name(plain: Sequence[str], header_lines: int) -> str:
    names = set(plain)
    known = (
        ("closelast" in names, "Nasdaq"),
        ({"change", "price"} <= names, "Investing.com"),
        ({"per", "ticker"} <= names, "Stooq"),
        ("windowstart" in names or {"o", "h", "l", "c", "t"} <= names, "Polygon or Alpaca"),
        ({"tradecount", "vwap"} <= names, "Alpaca"),
        ("adjopen" in names, "Tiingo"),
        ("splitcoefficient" in names or "4close" in names, "Alpha Vantage"),
        (header_lines > 1, f"yfinance, {header_lines} header lines"),
        ("adjclose" in names, "Yahoo"),
    )
    return next((name for fits, name in known if fits), "open-high-low-close")
