"""The regime score and the series it is made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stairways.core import series
from stairways.core.regime import divergence, first_scored, scores, trailing_start
from stairways.core.series import Float64


def wandering(rows: int, symbols: int, seed: int) -> Float64:
    moves = np.random.default_rng(seed).normal(0, 0.02, (rows, symbols))
    return np.asarray(100.0 * np.exp(np.cumsum(moves, axis=0)))


def plain_score(close: Float64, row: int) -> float:
    """Return the score of one daily bar, by the definition and without any running sums."""
    change = np.diff(np.log(close), axis=0, prepend=np.log(close[:1]))
    momentum, volatility, apart = [], [], []
    for day in range(row - 29, row + 1):
        momentum.append(np.log(close[day] / close[day - 20]).mean())
        ten = change[day - 9 : day + 1]
        volatility.append(ten.std(axis=0).mean())
        apart.append(1 - abs(np.corrcoef(ten[:, 0], ten[:, 1])[0, 1]))
    unusual = [
        (values[-1] - np.mean(values)) / np.std(values) for values in (momentum, volatility, apart)
    ]
    return float(np.clip(np.dot([0.4, 0.3, 0.3], unusual), -3, 3))


def test_the_score_is_what_its_definition_says() -> None:
    close = wandering(200, 2, 1)
    score = scores(close, np.arange(200))
    for row in (50, 51, 120, 199):
        assert score[row] == pytest.approx(plain_score(close, row), abs=1e-9)


def test_without_fifty_sessions_of_history_the_score_is_nil() -> None:
    close = wandering(200, 2, 1)
    daily, hourly = np.arange(200), np.arange(200) // 7
    assert first_scored(daily) == 50
    assert (scores(close, daily)[:50] == 0).all()
    assert (scores(close, daily)[50:] != 0).all()
    assert first_scored(hourly) == 200
    assert (scores(close, hourly) == 0).all()


def test_the_trailing_window_is_thirty_sessions_with_the_present_one() -> None:
    session = np.repeat(np.arange(60), 7)
    first = trailing_start(session)
    assert first[-1] == 30 * 7
    assert first[7 * 29] == 0
    assert first[7 * 30] == 7


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 10]))
def test_the_score_is_bounded_and_never_looks_ahead(seed: int, symbols: int) -> None:
    close, session = wandering(160, symbols, seed), np.arange(160)
    score = scores(close, session)
    assert np.abs(score).max() <= 3
    invented = close.copy()
    invented[120:] *= 1.5
    assert scores(invented, session)[:120].tobytes() == score[:120].tobytes()
    assert scores(close[:120], session[:120]).tobytes() == score[:120].tobytes()


def test_the_score_does_not_know_the_price_level() -> None:
    close, session = wandering(200, 2, 3), np.arange(200)
    assert scores(close * 10, session) == pytest.approx(scores(close, session), abs=1e-6)


@pytest.mark.parametrize("jump", [1.0, 100.0, 1e-4])
def test_prices_that_stand_still_or_jump_give_plain_numbers(jump: float) -> None:
    close = np.full((200, 2), 50.0)
    close[100:] *= jump
    score = scores(close, np.arange(200))
    assert np.isfinite(score).all()
    assert (score[190:] == 0).all()


def test_series_that_move_alike_do_not_diverge() -> None:
    moves = np.random.default_rng(1).normal(0, 1, (50, 1))
    assert divergence(np.hstack([moves, 2 * moves]))[20:] == pytest.approx(np.zeros(30))
    assert divergence(np.hstack([moves, -moves]))[20:] == pytest.approx(np.zeros(30))
    assert (divergence(np.hstack([moves, 0 * moves])) == 1).all()
    assert (divergence(moves) == 0).all()


def test_moving_statistics_are_those_of_their_windows() -> None:
    values = np.random.default_rng(2).normal(0, 1, (60, 2))
    for row in (0, 3, 19, 59):
        window = values[max(0, row - 9) : row + 1]
        assert series.moving_mean(values, 10)[row] == pytest.approx(window.mean(axis=0))
        assert series.moving_deviation(values, 10)[row] == pytest.approx(window.std(axis=0))
        assert series.expanding_mean(values)[row] == pytest.approx(values[: row + 1].mean(axis=0))


def test_the_exponential_average_is_its_recursion() -> None:
    values = np.random.default_rng(3).normal(0, 1, (500, 2))
    expected = values[0]
    average = series.exponential(values, 0.1)
    for row in range(1, 500):
        expected = 0.1 * values[row] + 0.9 * expected
        assert average[row] == pytest.approx(expected)
