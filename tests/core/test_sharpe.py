"""The Sharpe ratio and what is left of it, against purgedcv and scipy.

purgedcv takes deviations over n and moments without bias; the formulas are held to its own with
moments of that kind, and ours to scipy's.
"""

import itertools
import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stairways.core.sharpe import (
    Moments,
    annual,
    best_by_chance,
    deflated_sharpe,
    moments,
    probabilistic_sharpe,
    trial_spread,
)
from stairways.core.statistics import annual_sharpe, bars_a_year
from stairways.core.values import Micros

stats = pytest.importorskip("scipy.stats", reason="the extra 'test' is not installed")
DAY = 86_400.0
shapes = st.tuples(st.integers(0, 2**32 - 1), st.integers(20, 400), st.floats(-0.3, 0.3))


@pytest.fixture(scope="module")
def purgedcv() -> ModuleType:
    found: ModuleType = pytest.importorskip("purgedcv", reason="the extra 'test' is not installed")
    return found


def unbiased(returns: list[float]) -> Moments:
    """Return moments as purgedcv takes them."""
    return Moments(
        count=len(returns),
        mean=float(np.mean(returns)),
        deviation=float(np.std(returns)),
        skewness=float(stats.skew(returns, bias=False)),
        kurtosis=float(stats.kurtosis(returns, bias=False, fisher=False)),
    )


def wild(seed: int, count: int, ratio: float) -> list[float]:
    """Return skewed returns with fat tails."""
    generator = np.random.default_rng(seed)
    drawn = generator.standard_t(5, count) + np.abs(generator.normal(0, 0.5, count)) + ratio
    return [float(one) for one in 0.01 * drawn]


@settings(deadline=None, max_examples=40)
@given(shape=shapes, benchmark=st.floats(-0.2, 0.2))
def test_the_probabilistic_ratio_is_that_of_purgedcv(
    purgedcv: ModuleType, shape: tuple[int, int, float], benchmark: float
) -> None:
    returns = wild(*shape)
    ours = probabilistic_sharpe(unbiased(returns), benchmark)
    assume(ours > 0)  # theirs refuses moments that are too wild
    theirs = purgedcv.probabilistic_sharpe_ratio(np.array(returns), benchmark)
    assert ours == pytest.approx(theirs, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(shape=shapes, trials=st.integers(1, 5_000), spread=st.floats(0.001, 0.3))
def test_the_deflated_ratio_is_that_of_purgedcv(
    purgedcv: ModuleType, shape: tuple[int, int, float], trials: int, spread: float
) -> None:
    returns = wild(*shape)
    ours = deflated_sharpe(unbiased(returns), trials, spread)
    assume(ours > 0)
    theirs = purgedcv.deflated_sharpe_ratio(np.array(returns), trials, spread**2)
    assert ours == pytest.approx(theirs, rel=1e-8)


@settings(deadline=None, max_examples=40)
@given(shape=shapes)
def test_moments_are_those_of_scipy(shape: tuple[int, int, float]) -> None:
    returns = wild(*shape)
    found = moments(returns)
    assert found.mean == pytest.approx(np.mean(returns))
    assert found.deviation == pytest.approx(np.std(returns, ddof=1))
    assert found.skewness == pytest.approx(stats.skew(returns), abs=1e-9)
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))


def test_the_best_by_chance_is_what_simulated_trials_without_skill_reach() -> None:
    """Equation 9 of Bailey and López de Prado against the maximum of so many normal draws."""
    drawn = np.random.default_rng(1).normal(0, 0.05, (20_000, 40)).max(axis=1)
    assert best_by_chance(40, 0.05) == pytest.approx(drawn.mean(), rel=0.02)


@given(trials=st.integers(1, 1_000), spread=st.floats(0.001, 1.0))
def test_more_trials_never_make_a_result_look_better(trials: int, spread: float) -> None:
    found = moments(wild(3, 200, 0.1))
    assert deflated_sharpe(found, trials + 1, spread) <= deflated_sharpe(found, trials, spread)


def test_trials_close_together_count_as_far_apart_as_chance_puts_them() -> None:
    assert trial_spread([0.05, 0.0501, 0.0499], 401) == pytest.approx(1 / 20)
    assert trial_spread([0.5, -0.5], 401) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("returns", [[], [0.01], [0.001] * 50, [1e-12, -1e-12] * 30])
def test_returns_that_do_not_vary_are_no_evidence(returns: list[float]) -> None:
    found = moments(returns)
    assert (found.sharpe, probabilistic_sharpe(found)) == (0.0, 0.0)


def test_an_account_in_cash_has_no_sharpe_ratio_from_rounding_to_micros() -> None:
    rate = 0.05 / 365
    equity = [Micros(10**11)]
    for _ in range(300):
        equity.append(Micros(round(equity[-1] * (1 + rate))))
    assert annual_sharpe(equity, [rate] * 300, 300 * DAY) == 0.0


def test_the_annual_ratio_is_that_of_the_bar_times_the_root_of_bars_a_year() -> None:
    equity = [Micros(100_000_000 + 700_000 * (step % 3) + 90_000 * step) for step in range(100)]
    returns = [b / a - 1.0 for a, b in itertools.pairwise(equity)]
    by_hand = np.mean(returns) / np.std(returns, ddof=1) * math.sqrt(365.25)
    assert bars_a_year(99, 99 * DAY) == pytest.approx(365.25)
    assert annual_sharpe(equity, [0.0] * 99, 99 * DAY) == pytest.approx(by_hand)
    assert annual(0.1, 256.0) == pytest.approx(1.6)


@pytest.mark.parametrize("last", [0, -5])
def test_a_ruined_account_has_no_sharpe_ratio(last: int) -> None:
    assert annual_sharpe([Micros(100), Micros(last)], [0.0], DAY) == 0.0
