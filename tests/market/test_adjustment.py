"""Splits and dividends: found, applied as declared, checked where files are joined."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.errors import BarsRefusedError
from stairways.market import Aligned, Split, load_bars
from stairways.market.adjustment import split_of
from stairways.market.gaps import refuse_unadjusted
from stairways.market.options import Options
from stairways.market.series import Basis, load_series, read_all

YIFAN = "YifanWang2002__Stock-Visulize-and-Predict"
QUANTUM = "otaboyevsardorbek1__quantumflow_ai_trading"
SPLITS = {  # from the shared README: new shares for old by ex date
    "NVDA": [("2000-06-27", 2, 1), ("2001-09-17", 2, 1), ("2006-04-07", 2, 1),
             ("2007-09-11", 3, 2), ("2021-07-20", 4, 1)],
    "MSFT": [("2003-02-18", 2, 1)],
    "AAPL": [("2000-06-21", 2, 1), ("2005-02-28", 2, 1), ("2014-06-09", 7, 1),
             ("2020-08-31", 4, 1)],
}  # fmt: skip
CRASHES = {"AAPL": {"2000-09-29"}}  # half the price gone overnight, and no split


class WriteFile(Protocol):
    def __call__(self, name: str, lines: Sequence[str] | bytes) -> Path: ...


def dates_of(aligned: Aligned, kind: str) -> set[str]:
    times = [finding.time or 0 for finding in aligned.findings if finding.kind == kind]
    return {str(np.datetime64(time, "ns").astype("M8[D]")) for time in times}


@pytest.mark.parametrize("symbol", SPLITS)
def test_every_split_of_raw_data_is_found(symbol: str, real_files: Path) -> None:
    path = real_files / YIFAN / f"daily_{symbol}.csv.gz"
    found = dates_of(load_bars([path], adjustment="raw"), "split")
    assert found == {date for date, _, _ in SPLITS[symbol]} | CRASHES.get(symbol, set())


@pytest.mark.parametrize("symbol", SPLITS)
def test_declared_splits_leave_no_step_and_agree_with_adjusted_data(
    symbol: str, real_files: Path
) -> None:
    splits = [Split(symbol, *split) for split in SPLITS[symbol]]
    none = [Split(symbol, date, 1) for date in CRASHES.get(symbol, set())]
    path = real_files / YIFAN / f"daily_{symbol}.csv.gz"
    aligned = load_bars([path], adjustment="splits", splits=splits + none)
    assert not dates_of(aligned, "split in adjusted data")
    assert dates_of(aligned, "split applied") == {split.date for split in splits}
    refuse_unadjusted(aligned.bars)


def test_raw_bars_with_a_split_are_refused_for_training(real_files: Path) -> None:
    raw = load_bars([real_files / YIFAN / "daily_MSFT.csv.gz"], adjustment="raw").bars
    with pytest.raises(BarsRefusedError, match=r"MSFT: raw bars .* split on 2003-02-18"):
        refuse_unadjusted(raw)
    later = load_bars(
        [real_files / YIFAN / "daily_MSFT.csv.gz"], adjustment="raw", first="2003-02-18"
    )
    refuse_unadjusted(later.bars)


def test_volume_that_was_left_as_traded_is_found_and_adjusted_alone(real_files: Path) -> None:
    path = real_files / QUANTUM / "NVDA_1h.csv.gz"
    found = load_bars([path], adjustment="splits")
    assert dates_of(found, "volume step") == {"2024-06-10"}
    split = split_of("NVDA:2024-06-10:10/1:volume")
    settled = load_bars([path], adjustment="splits", splits=[split])
    assert not dates_of(settled, "volume step")
    assert np.array_equal(settled.bars.close, found.bars.close)
    assert settled.bars.volume[0, 0] == 10 * found.bars.volume[0, 0]


def test_files_of_one_symbol_are_joined_where_they_agree(write: WriteFile) -> None:
    header = "Date,Open,High,Low,Close,Volume"
    early = [f"2024-01-0{n},10,12,9,{n + 8},100" for n in (2, 3, 4)]
    late = [f"2024-01-0{n},10,12,9,{n + 8},100" for n in (4, 5, 8)]
    a, b = write("a/XYZ.csv", [header, *early]), write("b/XYZ.csv", [header, *late])
    joined = load_bars([a, b], adjustment="raw")
    assert joined.bars.close[:, 0].tolist() == [n * 10**6 for n in (10, 11, 12, 13, 16)]
    assert joined.bars.digest == load_bars([b, a], adjustment="raw").bars.digest
    assert set(joined.sources) == {"a/XYZ.csv", "b/XYZ.csv"}
    (seam,) = [f for f in joined.findings if f.kind == "continued"]
    assert seam.count == 2
    other = write("c/XYZ.csv", [header, *(line.replace(",12,9,", ",24,9,") for line in late[1:])])
    apart = load_bars([a, other], adjustment="raw")
    assert "continued without overlap" in {finding.kind for finding in apart.findings}
    wrong = write("d/XYZ.csv", [header, late[0].replace(",12,100", ",24,100"), *late[1:]])
    with pytest.raises(BarsRefusedError, match="disagree on 1 of 1 common closes"):
        load_bars([a, wrong], adjustment="raw")


def test_adjusted_closes_that_are_missing_are_not_made_up(write: WriteFile) -> None:
    header = "Date,Open,High,Low,Close,Adj Close,Volume"
    lines = [header, "2024-01-02,10,12,9,11,5.5,100", "2024-01-03,10,12,9,11,,100"]
    path = write("XYZ.csv", lines)
    with pytest.raises(BarsRefusedError, match="line 3: XYZ: the adjusted close is empty"):
        load_bars([path], adjustment="splits+dividends")
    assert load_bars([path], adjustment="splits").bars.close[0, 0] == 11_000_000


@given(
    ratio=st.sampled_from([(2, 1), (3, 2), (10, 1), (1, 10)]),
    place=st.integers(5, 25),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_a_vendor_split_moves_neither_money_nor_turnover(
    ratio: tuple[int, int], place: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new, old = ratio
    chance = np.random.default_rng(seed)
    close = 100 * np.cumprod(1 + chance.normal(0, 0.01, 40))
    later = np.arange(40) >= place
    traded = np.where(later, close * old / new, close)
    volume = np.where(later, 6000 * new / old, 6000)
    days = np.busday_offset("2024-01-02", np.arange(60), roll="forward")
    lines = ["Date,Open,High,Low,Close,Adj Close,Volume"]
    for date, raw, adjusted, shares in zip(days, traded, close * old / new, volume, strict=False):
        lines.append(f"{date},{raw},{raw},{raw},{raw},{adjusted},{shares:.0f}")
    path = tmp_path_factory.mktemp("split") / "XYZ.csv"
    path.write_text("\n".join(lines))
    bars = load_bars([path], adjustment="splits+dividends").bars
    turnover = bars.close[:, 0] * bars.volume[:, 0] / 1e6
    assert np.allclose(turnover, close * 6000, rtol=1e-4)


@pytest.mark.parametrize(
    "text", ["NVDA", "NVDA:2024-06-10", "NVDA:2024-13-10:2/1", "A:2024-01-02:0/1", ""]
)
def test_a_split_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BarsRefusedError, match=r"no split|no date"):
        split_of(text)


def test_conflicting_duplicates_are_settled_only_by_declaration(real_files: Path) -> None:
    path = real_files / "gcfc__money-tree" / "SPY_1d.csv.gz"
    with pytest.raises(
        BarsRefusedError, match=r"SPY_1d\.csv\.gz, line 7935: SPY: .* says otherwise"
    ):
        load_bars([path], adjustment="splits")
    first = load_bars([path], adjustment="splits", duplicates="first").bars
    last = load_bars([path], adjustment="splits", duplicates="last").bars
    assert len(first) == len(last) == 7952
    assert (first.volume != last.volume).sum() == 2


def test_a_check_goes_on_where_loading_stops(real_files: Path) -> None:
    path = real_files / "Bluefin-Tuna__Yahoo-Finance-Historical-Data" / "AMD.csv.gz"
    with pytest.raises(BarsRefusedError, match=r"a price is zero or below .*rows like it: 760"):
        load_bars([path], adjustment="splits")
    series = load_series("AMD", read_all([path], Options()), Basis(), Options())
    assert len(series.seen) - len(series.table) == 760


def test_prices_with_and_without_dividends_are_never_mixed(write: WriteFile) -> None:
    plain = ["Date,Open,High,Low,Close,Volume", "2024-01-02,10,12,9,11,100"]
    both = ["Date,Open,High,Low,Close,Adj Close,Volume", "2024-01-03,10,12,9,11,5.5,100"]
    files = [write("a/XYZ.csv", plain), write("b/XYZ.csv", both)]
    with pytest.raises(BarsRefusedError, match="one file has adjusted closes and another has none"):
        load_bars(files, adjustment="splits+dividends")
    assert len(load_bars(files, adjustment="splits").bars) == 2


def test_a_close_that_yfinance_may_have_adjusted_is_doubted(real_files: Path) -> None:
    folder = "AkshayJha22__Cross-Sectional-Momentum-Strategy-Replication-Backtesting-Framework"
    doubted, sure = (real_files / folder / f"{symbol}_daily.csv.gz" for symbol in ("AAPL", "NVDA"))
    assert [f.kind for f in load_bars([doubted], adjustment="splits").findings] == [
        "label in doubt"
    ]
    assert not load_bars([doubted], adjustment="splits+dividends").findings
    assert not load_bars([sure], adjustment="splits").findings
