"""Yahoo's chart answers: the request that asks for daily bars, and reading what came back.

Prices and volume in an answer are adjusted for splits up to the day of asking; the adjusted
close is adjusted for dividends too. Both change with every later split and dividend.
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
        table = _table(_result(name, json.loads(content)))
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
            local.dt.date().cast(pl.Datetime("ns")).dt.timestamp("ns").alias("time"),
            *columns,
            pl.Series("adjusted", quote["adjusted"], dtype=pl.Float64, strict=False),
        ]
    )
    return table.select("row", "time", *VALUES)


def _seconds(date: str) -> int:
    try:
        day = datetime.fromisoformat(date).replace(tzinfo=UTC)
    except ValueError as error:
        raise BarsRefusedError(f"{date!r} is no date like 2024-01-31.") from error
    return int((day - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
