"""The feature matrix."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.features import WARM_UP, features, regime_from, regime_scores
from stairways.market.bars import Bars, Frequency
from stairways.market.simulation import simulate

ROWS = 200
FEATURES = 12


def bars_of(seed: int, symbols: int = 2, *, frequency: Frequency = "1d", rows: int = ROWS) -> Bars:
    names = [f"S{number}" for number in range(symbols)]
    return simulate(names, rows, seed, frequency=frequency).bars


def column(bars: Bars, name: str, symbol: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    seen = features(bars)
    raw = seen.matrix[:, seen.names.index(f"{bars.symbols[symbol]}.{name}")].astype(np.float64)
    return raw / seen.scales[name]


def test_there_are_twelve_columns_for_each_symbol_in_order() -> None:
    for symbols in (1, 2, 3, 10):
        seen = features(bars_of(1, symbols))
        assert seen.matrix.shape == (ROWS, 12 * symbols)
        assert seen.matrix.dtype == np.float32
        assert [name.split(".")[0] for name in seen.names[::12]] == [
            f"S{n}" for n in range(symbols)
        ]
        assert len(set(seen.names)) == 12 * symbols
        assert len(seen.scales) == FEATURES


def test_returns_and_volatility_are_those_of_the_closes() -> None:
    bars = bars_of(2)
    close = bars.close[:, 0] / 1e6
    row = 150
    change = np.diff(np.log(close))
    assert column(bars, "return_1")[row] == pytest.approx(change[row - 1], rel=1e-4)
    assert column(bars, "return_3")[row] == pytest.approx(
        np.log(close[row] / close[row - 3]), rel=1e-4
    )
    assert column(bars, "momentum_10")[row] == pytest.approx(
        np.log(close[row] / close[row - 10]), rel=1e-4
    )
    assert column(bars, "volatility_20")[row] == pytest.approx(
        change[row - 20 : row].std(), rel=1e-4
    )


def test_the_relative_strength_index_is_wilders() -> None:
    bars = bars_of(3)
    change = np.diff(bars.close[:, 0].astype(float), prepend=float(bars.close[0, 0]))
    up = down = 0.0
    for move in change:
        up, down = (13 * up + max(move, 0.0)) / 14, (13 * down + max(-move, 0.0)) / 14
    index = 100 - 100 / (1 + up / down)
    assert column(bars, "rsi_14")[-1] == pytest.approx((index - 50) / 50, rel=1e-4)


def test_averages_and_volume_are_relative_to_their_windows() -> None:
    bars = bars_of(4)
    close, volume = bars.close[:, 0] / 1e6, bars.volume[:, 0].astype(float)
    average = close[0]
    for price in close[1:]:
        average += (price - average) * 2 / 13
    assert column(bars, "close_over_ema_12")[-1] == pytest.approx(close[-1] / average - 1, rel=1e-3)
    typical = (bars.high[:, 0] + bars.low[:, 0] + bars.close[:, 0]) / 3e6
    vwap = (typical * volume)[-20:].sum() / volume[-20:].sum()
    assert column(bars, "close_over_vwap_20")[-1] == pytest.approx(close[-1] / vwap - 1, rel=1e-3)
    assert column(bars, "volume_over_mean_20")[-1] == pytest.approx(
        np.log(volume[-1] / volume[-20:].mean()), rel=1e-4
    )
    assert column(bars, "volume_over_mean")[-1] == pytest.approx(
        np.log(volume[-1] / volume.mean()), rel=1e-4
    )


def test_time_is_that_of_the_year_on_daily_bars_and_of_the_session_within_one() -> None:
    daily = column(bars_of(5, rows=600), "sine_of_time")
    assert 1 <= np.sum((daily[1:] >= 0) & (daily[:-1] < 0)) <= 3
    hourly = column(bars_of(5, frequency="1h"), "cosine_of_time")
    assert hourly[:7] == pytest.approx(hourly[7:14])
    assert hourly[0] == pytest.approx(1.0)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1), symbols=st.sampled_from([1, 2, 3, 10]), split=st.integers(2, 20)
)
def test_a_split_or_another_price_level_never_shows(seed: int, symbols: int, split: int) -> None:
    bars = bars_of(seed, symbols)
    prices = {name: getattr(bars, name) * split for name in ("open", "high", "low", "close")}
    other = replace(bars, **prices, volume=bars.volume * 7)
    assert features(other).matrix == pytest.approx(features(bars).matrix, abs=2e-5)


@pytest.mark.parametrize("frequency", ["1d", "1h", "5m", "1m"])
def test_values_are_roughly_within_five_at_every_frequency(frequency: Frequency) -> None:
    traded = features(bars_of(6, frequency=frequency, rows=3_000)).matrix[WARM_UP:]
    assert np.abs(traded).max() <= 5
    assert np.mean(np.abs(traded) == 5) < 0.02
    assert (traded.std(axis=0) > 0.05).all()


def strange(kind: str) -> Bars:
    bars = bars_of(7)
    flat = np.full_like(bars.close, 50_000_000)
    jumps = flat.copy()
    jumps[100:] *= 101
    jumps[150:] //= 101 * 50
    stops = bars.volume.copy()
    stops[80:, 1] = 0
    prices = {"constant": flat, "jumps": jumps}.get(kind)
    volume = {"no volume": 0 * bars.volume, "stops": stops}.get(kind, bars.volume)
    if prices is None:
        return replace(bars, volume=volume)
    return replace(bars, open=prices, high=prices, low=prices, close=prices, volume=volume)


@pytest.mark.parametrize("kind", ["constant", "jumps", "no volume", "stops"])
def test_strange_bars_give_plain_numbers(kind: str) -> None:
    bars = strange(kind)
    assert np.isfinite(features(bars).matrix).all()
    assert np.isfinite(regime_scores(bars)).all()


@pytest.mark.parametrize("rows", [1, 2, 9, 21])
def test_few_bars_give_few_rows(rows: int) -> None:
    bars = bars_of(8, rows=rows)
    assert features(bars).matrix.shape == (rows, 24)
    assert np.isfinite(features(bars).matrix).all()
    assert regime_from(bars) == rows


def test_the_digest_names_the_content() -> None:
    assert features(bars_of(1)).digest == features(bars_of(1)).digest
    assert features(bars_of(1)).digest != features(bars_of(2)).digest
