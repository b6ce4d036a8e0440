"""Layouts: every vendor's way to write the same three bars is read as the same bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import polars as pl
import pytest

from stairways.errors import BarsRefusedError
from stairways.market import Options, load_bars, read_file


class WriteFile(Protocol):
    def __call__(self, name: str, lines: Sequence[str] | bytes, newline: str = "\n") -> Path: ...


BARS = (("2024-01-02", 10, 12, 9, 11, 1000), ("2024-01-03", 11, 13, 10, 12.5, 2000),
        ("2024-01-04", 12.5, 14, 12, 13, 3000))  # fmt: skip


def rows(template: str, dates: Sequence[str] = ()) -> list[str]:
    """Fill a template with ``{d}`` date, ``{o}{h}{l}{c}{v}`` values, one line a bar."""
    written = dates or [bar[0] for bar in BARS]
    return [
        template.format(d=day, o=o, h=h, l=low, c=c, v=v)
        for day, (_, o, h, low, c, v) in zip(written, BARS, strict=True)
    ]


OHLCV = "{d},{o},{h},{l},{c},{v}"
PLAIN = "open-high-low-close"
US = [f"01/0{day}/2024" for day in (2, 3, 4)]
WORDS = [f"Jan 0{day}, 2024" for day in (2, 3, 4)]
LAYOUTS: dict[str, tuple[str, list[str]]] = {
    "Yahoo": (
        "Yahoo",
        ["Date,Open,High,Low,Close,Adj Close,Volume", *rows("{d},{o},{h},{l},{c},{c},{v}")],
    ),
    "yfinance, one header line": (
        PLAIN,
        ["Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
         *rows("{d} 00:00:00-05:00,{o},{h},{l},{c},{v},0.0,0.0")],
    ),
    "yfinance, two header lines": (
        "yfinance, 2 header lines",
        ["Date,Adj Close,Close,High,Low,Open,Volume", ",XYZ,XYZ,XYZ,XYZ,XYZ,XYZ",
         *rows("{d},{c},{c},{h},{l},{o},{v}")],
    ),
    "yfinance, three header lines": (
        "yfinance, 3 header lines",
        ["Price,Close,High,Low,Open,Volume", "Ticker,XYZ,XYZ,XYZ,XYZ,XYZ", "Date,,,,,",
         *rows("{d},{c},{h},{l},{o},{v}")],
    ),
    "yfinance, tickers above fields": (
        "yfinance, 3 header lines",
        ["Ticker,XYZ,XYZ,XYZ,XYZ,XYZ", "Price,Open,High,Low,Close,Volume", "Date,,,,,",
         *rows(OHLCV)],
    ),
    "Stooq, web": (PLAIN, ["Date,Open,High,Low,Close,Volume", *rows(OHLCV)]),
    "Stooq, bulk": (
        "Stooq",
        ["<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
         *(line.replace("-", "") for line in rows("XYZ,D,{d},000000,{o},{h},{l},{c},{v},0"))],
    ),
    "Nasdaq": (
        "Nasdaq",
        ["Date,Close/Last,Volume,Open,High,Low",
         *reversed(rows("{d},${c},{v},${o},${h},${l}", US))],
    ),
    "Investing.com": (
        "Investing.com",
        ['\ufeff"Date","Price","Open","High","Low","Vol.","Change %"',
         *reversed(rows('"{d}","{c}","{o}","{h}","{l}","{v}.00","1.00%"', WORDS))],
    ),
    "Alpha Vantage": (
        PLAIN,
        ["timestamp,open,high,low,close,volume", *reversed(rows(OHLCV))],
    ),
    "Alpha Vantage, adjusted": (
        "Alpha Vantage",
        ["timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient",
         *reversed(rows("{d},{o},{h},{l},{c},{c},{v},0.0,1.0"))],
    ),
    "Alpha Vantage, numbered": (
        "Alpha Vantage",
        ["date,1. open,2. high,3. low,4. close,5. volume", *rows(OHLCV)],
    ),
    "Tiingo": (
        "Tiingo",
        ["date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor",
         *rows("{d}T00:00:00.000Z,{c},{h},{l},{o},{v},{c},{h},{l},{o},{v},0.0,1.0")],
    ),
    "Polygon": (
        "Polygon or Alpaca",
        ["v,vw,o,c,h,l,t,n", *rows("{v},{c},{o},{c},{h},{l},{d},7",
                                   ["1704171600000", "1704258000000", "1704344400000"])],
    ),
    "Polygon, flat files": (
        "Polygon or Alpaca",
        ["ticker,volume,open,close,high,low,window_start,transactions",
         *rows("XYZ,{v},{o},{c},{h},{l},{d},7",
               ["1704171600000000000", "1704258000000000000", "1704344400000000000"])],
    ),
    "Alpaca": (
        "Alpaca",
        ["symbol,timestamp,open,high,low,close,volume,trade_count,vwap",
         *rows("XYZ,{d}T05:00:00Z,{o},{h},{l},{c},{v},7,{c}")],
    ),
    "semicolons": (
        PLAIN,
        [line.replace(",", ";") for line in ("Date,Open,High,Low,Close,Volume", *rows(OHLCV))],
    ),
    "tabs": (
        PLAIN,
        [line.replace(",", "\t") for line in ("Date,Open,High,Low,Close,Volume", *rows(OHLCV))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("vendor", LAYOUTS)
def test_every_layout_holds_the_same_bars(vendor: str, write: WriteFile) -> None:
    name, lines = LAYOUTS[vendor]
    options = Options(dates="month-first")
    reading = read_file(write("XYZ.csv", lines), options)
    assert reading.layout == name
    (table,) = reading.bars.values()
    assert list(reading.bars) == ["XYZ"]
    digest = load_bars([write("XYZ.csv", lines)], adjustment="raw", dates="month-first").bars.digest
    plain = write("plain/XYZ.csv", LAYOUTS["Stooq, web"][1])
    assert digest == load_bars([plain], adjustment="raw").bars.digest
    assert sorted(table["volume"].to_list()) == [1000, 2000, 3000]


def test_the_digest_knows_nothing_of_the_file(write: WriteFile, tmp_path: Path) -> None:
    header, *body = LAYOUTS["Stooq, web"][1]
    other = "Volume,Close,Date,Low,High,Open"
    moved = rows("{v},{c},{d},{l},{h},{o}")
    parquet = tmp_path / "p" / "XYZ.parquet"
    parquet.parent.mkdir()
    typed = pl.read_csv(write("t/XYZ.csv", [header, *body]), try_parse_dates=True)
    typed.write_parquet(parquet)
    files = [
        write("a/XYZ.csv", [header, *body]),
        write("b/XYZ.csv", [header, *body], newline="\r\n"),
        write("c/XYZ.csv", [header, *body], newline="\r"),
        write("d/XYZ.csv.gz", [header, *body]),
        write("e/XYZ.csv", [other, *moved]),
        write("f/XYZ.csv", [header, *reversed(body)]),
        write("g/XYZ.csv", ("\n".join([header, *body])).encode()),
        write("h/XYZ.csv", [header, body[0], "", *body[1:], ""]),
        parquet,
    ]
    digests = {load_bars([file], adjustment="splits").bars.digest for file in files}
    assert len(digests) == 1
    changed = write("z/XYZ.csv", [header, *body[:-1], body[-1].replace("13", "13.000001")])
    assert load_bars([changed], adjustment="splits").bars.digest not in digests


def test_a_wide_table_holds_several_symbols_and_gaps(write: WriteFile) -> None:
    lines = [
        "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume",
        "Ticker,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB",
        "Date,,,,,,,,,,",
        "2024-01-02,11,21,12,22,9,19,10,20,100,200",
        "2024-01-03,12,,13,,10,,11,,100,",
        "2024-01-04,13,23,14,24,11,21,12,22,100,200",
    ]
    reading = read_file(write("wide.csv", lines))
    assert {symbol: len(table) for symbol, table in reading.bars.items()} == {"AAA": 3, "BBB": 2}
    aligned = load_bars([write("wide.csv", lines)], adjustment="raw")
    assert aligned.dropped == {"AAA": 1, "BBB": 0}
    assert aligned.bars.close[:, 1].tolist() == [21_000_000, 23_000_000]


def test_pandas_pairs_of_parquet_columns_are_understood(tmp_path: Path) -> None:
    fields = {"Open": [10.0, 11.0], "High": [12.0, 13.0], "Low": [9.0, 10.0], "Close": [11.0, 12.0]}
    table = pl.DataFrame({f"('{field}', 'AAA')": values for field, values in fields.items()})
    dates = pl.Series("Date", ["2024-01-02", "2024-01-03"]).str.to_datetime(time_unit="ns")
    path = tmp_path / "wide.parquet"
    table.with_columns(dates).write_parquet(path)
    assert list(read_file(path).bars) == ["AAA"]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("NVDA.csv", "NVDA"),
        ("daily_NVDA.csv", "NVDA"),
        ("NVDA_5min.csv", "NVDA"),
        ("nvda_us_d.csv", "NVDA"),
        ("aapl.us.txt", "AAPL"),
        ("0700.HK.csv", "0700.HK"),
        ("HistoricalData_msft.csv", "MSFT"),
    ],
)
def test_the_name_of_a_file_may_state_the_symbol(name: str, symbol: str, write: WriteFile) -> None:
    assert list(read_file(write(name, LAYOUTS["Stooq, web"][1])).bars) == [symbol]


@pytest.mark.parametrize("name", ["data.csv", "NVDA_MSFT.csv", "my pretty bars.csv"])
def test_a_file_that_does_not_say_its_symbol_is_asked_for_it(name: str, write: WriteFile) -> None:
    path = write(name, LAYOUTS["Stooq, web"][1])
    with pytest.raises(BarsRefusedError, match="give it as SYMBOL=PATH"):
        load_bars([path], adjustment="raw")
    assert load_bars([f"XYZ={path}"], adjustment="raw").bars.symbols == ("XYZ",)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("2024-01-02,10,12,9,11,1000", "line 1: the first line is no header"),
        ("a,b,c,d,e,f", "no column of the header can be the time"),
        ("Date,Open,High,Low,Volume,x", "can be the close"),
        ("Date,Open,High,Low,Close,Close", "two columns can be the close"),
        ("Date,Timestamp,Open,High,Low,Close", "2 columns of the header can be the time"),
        ("word", "no header of a table of prices"),
    ],
)
def test_headers_that_name_no_bars_are_refused(header: str, reason: str, write: WriteFile) -> None:
    with pytest.raises(BarsRefusedError, match=reason):
        read_file(write("XYZ.csv", [header, *rows(OHLCV)]))


def test_commas_in_numbers_group_thousands_and_are_never_decimal(write: WriteFile) -> None:
    header = "Date,Open,High,Low,Close,Volume"
    grouped = write("XYZ.csv", [header, '2024-01-02,"1,234.5","$1,300","1,200",1250,"1,000,000"'])
    (table,) = read_file(grouped).bars.values()
    assert table.row(0)[2:7] == (1234.5, 1300.0, 1200.0, 1250.0, 1_000_000.0)
    for line in ("2024-01-02;1,5;2;1;1;5", "2024-01-02;1,500;2;1;1;5"):
        with pytest.raises(BarsRefusedError, match=r"line 2: the open is '1,5.*not a number"):
            read_file(write("XYZ.csv", [header.replace(",", ";"), line]))
    with pytest.raises(BarsRefusedError, match="the open is '12,34', not a number"):
        read_file(write("XYZ.csv", [header, '2024-01-02,"12,34",2,1,1,5']))


def test_fractions_of_shares_are_rounded_and_reported(write: WriteFile) -> None:
    header = "Date,Open,High,Low,Close,Volume"
    aligned = load_bars([write("XYZ.csv", [header, "2024-01-02,10,12,9,11,2.6"])], adjustment="raw")
    assert aligned.bars.volume.tolist() == [[3]]
    assert [finding.kind for finding in aligned.findings] == ["fractional volume"]
