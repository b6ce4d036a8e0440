"""Two vintages compared, a join explained, an export read back."""

import io
from pathlib import Path

import numpy as np
import pytest

from stairways.errors import BarsRefusedError
from stairways.market import load_bars, simulate
from stairways.market.comparing import difference, left_out
from stairways.market.exporting import as_table, write_csv, write_parquet
from stairways.market.options import Options
from stairways.market.series import Basis, Series, load_series, read_all, series_of

YIFAN = "YifanWang2002__Stock-Visulize-and-Predict"
MONEY_TREE = "gcfc__money-tree"
ALERT = "jeffreymalkus__alert_overlay"


def series(path: Path, symbol: str, options: Options | None = None) -> Series:
    options = options or Options()
    return load_series(symbol, read_all([path], options), Basis(), options)


@pytest.mark.parametrize(
    ("symbol", "factors", "apart", "worst"),
    [
        ("NVDA", [480, 240, 120, 60, 40, 10], 12, ("2000-07-24", -0.0235)),
        ("MSFT", [2, 1], 5, ("2007-05-01", -0.0068)),
    ],
)
def test_a_raw_vintage_differs_by_its_splits_and_by_what_the_vendors_disagree_on(
    real_files: Path, symbol: str, factors: list[int], apart: int, worst: tuple[str, float]
) -> None:
    """The figures are those of the shared README, which were taken with other tools."""
    adjusted = series(real_files / MONEY_TREE / f"{symbol}_1d.csv.gz", symbol)
    raw = series(real_files / YIFAN / f"daily_{symbol}.csv.gz", symbol)
    found = difference(adjusted, raw)
    assert found.common == 6080
    assert [round(factor) for _, factor in found.bases] == factors
    assert found.apart["close"] == apart
    time, mine, theirs = found.worst[0]
    assert str(time // 86_400_000_000_000) == str(_days(worst[0]))
    assert theirs / mine - 1 == pytest.approx(worst[1], abs=5e-5)
    assert not found.same


def _days(date: str) -> int:
    return int(np.datetime64(date, "D").astype(int))


def test_a_vintage_does_not_differ_from_itself() -> None:
    bars = simulate(("A", "B"), 300, 1).bars
    for one in series_of(bars):
        assert difference(one, one).same


def test_one_changed_close_is_the_difference() -> None:
    bars = simulate(("A",), 300, 1).bars
    (one,) = series_of(bars)
    changed = bars.close.copy()
    changed[123] = changed[123] * 3 // 2
    other = series_of(simulate(("A",), 300, 1).bars)[0]
    table = other.table.with_columns(
        close=other.table["close"].scatter(123, float(changed[123, 0]) / 1e6)
    )
    found = difference(
        one, Series(symbol="A", frequency="1d", table=table, seen=table, findings=())
    )
    assert (found.apart["close"], len(found.bases), found.same) == (1, 1, False)
    assert found.worst[0][0] == bars.times[123]


def test_the_join_of_two_symbols_names_every_bar_it_leaves_out(real_files: Path) -> None:
    options = Options(timezone="America/New_York", hours="all")
    pair = [series(real_files / ALERT / f"{s}_5min.csv.gz", s, options) for s in ("NVDA", "MSFT")]
    gone = left_out(pair)
    assert [sum(g.symbol == s for g in gone) for s in ("NVDA", "MSFT")] == [481, 65]
    assert {(g.symbol, g.lacking) for g in gone} == {("NVDA", ("MSFT",)), ("MSFT", ("NVDA",))}
    joined = load_bars(
        [real_files / ALERT / f"{s}_5min.csv.gz" for s in ("NVDA", "MSFT")],
        adjustment="splits",
        timezone="America/New_York",
        hours="all",
    )
    assert joined.dropped == {"NVDA": 481, "MSFT": 65}
    assert len(joined.bars) == 12_873


@pytest.mark.parametrize(
    ("source", "ending", "options"),
    [
        (MONEY_TREE, "_1d.csv.gz", {"adjustment": "splits"}),
        ("otaboyevsardorbek1__quantumflow_ai_trading", "_1h.csv.gz", {"adjustment": "splits"}),
    ],
)
def test_exported_bars_come_back_with_the_same_digest(
    real_files: Path, tmp_path: Path, source: str, ending: str, options: dict[str, str]
) -> None:
    files = [real_files / source / f"{symbol}{ending}" for symbol in ("NVDA", "MSFT")]
    bars = load_bars(files, **options).bars  # type: ignore[arg-type]
    for name, write in (("all.csv", write_csv), ("all.parquet", write_parquet)):
        path = tmp_path / name
        with path.open("wb") as file:
            write(bars, file)
        assert load_bars([path], **options).bars.digest == bars.digest  # type: ignore[arg-type]


def test_an_export_of_simulated_bars_says_so_and_never_becomes_real(tmp_path: Path) -> None:
    bars = simulate(("A", "B"), 5, 1).bars
    assert as_table(bars)["simulated"].to_list() == ["true"] * 10
    for name, write in (("a.csv", write_csv), ("a.parquet", write_parquet)):
        written = io.BytesIO()
        write(bars, written)
        (tmp_path / name).write_bytes(written.getvalue())
        with pytest.raises(BarsRefusedError, match="these bars are simulated"):
            load_bars([tmp_path / name], adjustment="raw")
