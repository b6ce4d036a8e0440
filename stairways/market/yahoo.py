"""Yahoo's chart answers: the request that asks for daily bars, and reading what came back.

Prices and volume in an answer are adjusted for splits up to the day of asking; the adjusted
close is adjusted for dividends too. Both change with every later split and dividend.

While a session is open, and for some minutes after it, the answer ends with a row for the
day so far, stamped with the time of the last trade; the row stamped with the opening of that
day may then be there without a close. Neither is a daily bar before the session is over.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from stairways.core.values import digest_of
from stairways.errors import BarsRefusedError
from stairways.market.canonical import SYMBOL
from stairways.market.layouts import PRICES
from stairways.market.reader import VALUES, Reading

URL = "https://query2.finance.yahoo.com/v8/finance/chart/"
LARGEST_ANSWER = 64 << 20  # bytes; a century of daily bars takes 3 MB


def request(symbol: str, start: str, end: str) -> tuple[str, dict[str, str | int]]:
    """Return address and parameters that ask for the sessions from ``start`` to ``end``."""
    if not SYMBOL.fullmatch(symbol):
        raise BarsRefusedError(f"{symbol!r} is no symbol.")
    return URL + symbol, {
        "period1": _seconds(start),
        "period2": _seconds(end) + 86_400,
        "interval": "1d",
        "events": "div,splits",
    }


def read_answer(content: bytes, symbol: str) -> Reading:
    """Return the daily bars in an answer.

    Raises ``BarsRefusedError`` with Yahoo's own reason, or when it is no such answer.
    """
    name = f"yahoo {symbol}"
    if len(content) > LARGEST_ANSWER:
        raise BarsRefusedError(f"{name}: the answer is larger than {LARGEST_ANSWER:,} bytes.")
    try:
        result = _result(name, json.loads(content))
        table, notes = _finished(_table(result), result["meta"])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise BarsRefusedError(f"{name}: this is no chart answer ({error}).") from error
    except pl.exceptions.PolarsError as error:
        raise BarsRefusedError(f"{name}: the answer holds no table of numbers.") from error
    if not len(table):
        raise BarsRefusedError(f"{name}: the answer has no bars.")
    return Reading(
        name=name,
        digest=digest_of(content),
        layout="Yahoo chart answer",
        stamps="dates",
        dates="",
        has_volume=True,
        has_adjusted=True,
        bars={symbol: table},
        notes=notes,
    )


def _result(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    chart = answer["chart"]
    if chart.get("error"):
        raise BarsRefusedError(f"{name}: Yahoo says: {chart['error']['description']}")
    result: dict[str, Any] = chart["result"][0]
    return result


def _table(result: dict[str, Any]) -> pl.DataFrame:
    """Return the columns of ``Reading.bars``; stamps become dates in the exchange's zone."""
    stamps = pl.Series(result.get("timestamp", []), dtype=pl.Int64, strict=True)
    zone = str(result["meta"]["exchangeTimezoneName"])
    local = (stamps * 1000).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(zone)
    quote = {**result["indicators"]["quote"][0]}
    quote["adjusted"] = result["indicators"]["adjclose"][0]["adjclose"]
    columns = [pl.Series(n, quote[n], dtype=pl.Float64, strict=False) for n in (*PRICES, "volume")]
    table = pl.DataFrame(
        [
            pl.int_range(1, len(stamps) + 1, dtype=pl.UInt32, eager=True).alias("row"),
            stamps.alias("stamp"),
            local.dt.date().cast(pl.Datetime("ns")).dt.timestamp("ns").alias("time"),
            *columns,
            pl.Series("adjusted", quote["adjusted"], dtype=pl.Float64, strict=False),
        ]
    )
    return table.select("row", "stamp", "time", *VALUES)


def _finished(
    table: pl.DataFrame, meta: dict[str, Any]
) -> tuple[pl.DataFrame, tuple[tuple[str, str], ...]]:
    """Return the rows of sessions that are over, and what was left out."""
    replaced = pl.col("close").is_null() & (pl.col("time") == pl.col("time").shift(-1))
    opened = _still_open(meta)
    running = pl.lit(value=False) if opened is None else pl.col("stamp") >= opened
    told = (
        ("placeholder", "a row without a close, written again below, was left out", replaced),
        ("unfinished session", "the session was not over when Yahoo answered; left out", running),
    )
    notes = tuple((kind, why) for kind, why, rows in told if table.select(rows.any()).item())
    return table.filter(~replaced.fill_null(value=False) & ~running).drop("stamp"), notes


def _still_open(meta: dict[str, Any]) -> int | None:
    """Return when the session opened that was under way at the time of the answer, if one was."""
    session = meta.get("currentTradingPeriod", {}).get("regular", {})
    opened, closes = session.get("start"), session.get("end")
    last_trade = meta.get("regularMarketTime")
    if None in (opened, closes, last_trade) or not opened <= last_trade < closes:
        return None
    return int(opened)


def _seconds(date: str) -> int:
    try:
        day = datetime.fromisoformat(date).replace(tzinfo=UTC)
    except ValueError as error:
        raise BarsRefusedError(f"{date!r} is no date like 2024-01-31.") from error
    return int((day - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
