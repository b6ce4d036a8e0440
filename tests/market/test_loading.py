"""Loading: real pairs of the shared files, continued, adjusted and joined."""

from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from stairways.errors import BarsRefusedError
from stairways.market import Aligned, Split, decode_bars, encode_bars, load_bars

MONEY_TREE = "gcfc__money-tree"
JINIT = "jinit2000__stock-analyzer-ml-v2"
BLUEFIN = "Bluefin-Tuna__Yahoo-Finance-Historical-Data"
STOCKS = Path(str(files("bokeh_sampledata"))) / "_data" / "stocks.csv.gz"


def counts(aligned: Aligned) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for finding in aligned.findings:
        found[finding.symbol, finding.kind] += finding.count
    return found


def pair(folder: Path, source: str, ending: str) -> list[Path]:
    return [folder / source / f"{symbol}{ending}" for symbol in ("NVDA", "MSFT")]


def test_nvda_and_msft_from_1999_to_2026_come_from_two_sources(real_files: Path) -> None:
    paths = [*pair(real_files, MONEY_TREE, "_1d.csv.gz"), *pair(real_files, JINIT, ".parquet")]
    aligned = load_bars(paths, adjustment="splits")
    bars = aligned.bars
    assert bars.symbols == ("NVDA", "MSFT")
    assert len(bars) == 6442 + 340
    assert (
        str(bars.times[[0, -1]].astype("M8[ns]").astype("M8[D]")) == "['1999-01-22' '2026-01-07']"
    )
    assert aligned.dropped == {"NVDA": 0, "MSFT": 9693 - 6442}
    assert counts(aligned)["NVDA", "continued"] == 340
    assert len(aligned.sources) == 4


def test_files_on_different_split_bases_are_not_joined(real_files: Path) -> None:
    paths = [real_files / MONEY_TREE / "NVDA_1d.csv.gz", real_files / BLUEFIN / "NVDA.csv.gz"]
    with pytest.raises(BarsRefusedError, match=r"disagree on 5,510 of 5,510.*split bases"):
        load_bars(paths, adjustment="splits")


def test_aapl_and_msft_of_the_demo_follow_the_vendors_adjusted_close() -> None:
    aligned = load_bars([STOCKS], symbols=["AAPL", "MSFT"], adjustment="splits+dividends")
    bars, found = aligned.bars, counts(aligned)
    assert len(bars) == 3270
    assert bars.adjustment == "splits+dividends"
    assert bars.close[0, 0] == 4_186_663  # Adj Close 4.186662803811
    assert found["AAPL", "vendor adjustment"] == found["MSFT", "vendor adjustment"] == 3270
    assert found["MSFT", "split in adjusted data"] == 0
    assert bars.volume[0, 0] == 4 * 9_616_100  # two splits 2:1 lie ahead


def test_declared_splits_and_the_vendors_factor_tell_the_same_returns() -> None:
    splits = [Split("AAPL", "2000-06-21", 2), Split("AAPL", "2005-02-28", 2)]
    declared = load_bars([STOCKS], symbols=["AAPL"], adjustment="splits", splits=splits).bars
    vendor = load_bars([STOCKS], symbols=["AAPL"], adjustment="splits+dividends").bars
    ours, theirs = (np.diff(np.log(bars.close[:, 0].astype(float))) for bars in (declared, vendor))
    assert np.abs(ours - theirs).max() < 0.01  # dividends
    assert np.array_equal(declared.volume, vendor.volume)


def test_raw_data_report_their_splits_and_take_no_factors() -> None:
    aligned = load_bars([STOCKS], symbols=["MSFT"], adjustment="raw")
    (split,) = [finding for finding in aligned.findings if finding.kind == "split"]
    assert "2:1" in split.detail
    assert np.datetime64(split.time or 0, "ns").astype("M8[D]") == np.datetime64("2003-02-18")
    with pytest.raises(BarsRefusedError, match="declare adjustment 'splits'"):
        load_bars(
            [STOCKS], symbols=["MSFT"], adjustment="raw", splits=[Split("MSFT", "2003-02-18", 2)]
        )


def test_loaded_bars_read_back_from_their_canonical_content() -> None:
    bars = load_bars([STOCKS], symbols=["AAPL", "MSFT"], adjustment="raw").bars
    again = decode_bars(encode_bars(bars))
    assert again.digest == bars.digest
    assert np.array_equal(again.close, bars.close)


@pytest.mark.parametrize(
    ("source", "ending", "expected"),
    [
        ("otaboyevsardorbek1__quantumflow_ai_trading", "_1h.csv.gz", ("1h", 4284, 616)),
        ("jeffreymalkus__alert_overlay", "_5min.csv.gz", ("5m", 12840, 166)),
        ("jmroyal__stockbot-fails", ".csv.gz", ("1m", 17160, 44)),
    ],
)
def test_intraday_pairs_lie_inside_the_sessions_of_their_exchange(
    real_files: Path, source: str, ending: str, expected: tuple[str, int, int]
) -> None:
    paths = pair(real_files, source, ending)
    bars = load_bars(paths, adjustment="splits", timezone="America/New_York").bars
    assert (bars.frequency, len(bars), int(bars.session[-1]) + 1) == expected
    assert ((bars.session_open <= bars.times) & (bars.times < bars.session_close)).all()
    opens = np.unique(bars.session_open % 86_400_000_000_000) // 60_000_000_000
    assert set(opens.tolist()) <= {13 * 60 + 30, 14 * 60 + 30}  # summer and winter in UTC
