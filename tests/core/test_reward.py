"""The reward and its logarithm."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stairways.core.ledger import TradingRules
from stairways.core.reward import drawdown_penalty, ln, log_return


@given(st.floats(1e-300, 1e300))
def test_ln_is_the_natural_logarithm_to_the_last_places(value: float) -> None:
    assert math.isclose(ln(value), math.log(value), rel_tol=1e-15, abs_tol=1e-15)


@given(st.floats(0.5, 2.0))
def test_ln_near_one_is_as_exact_as_a_double_can_be(value: float) -> None:
    assert abs(ln(value) - math.log(value)) <= 4 * math.ulp(math.log(value))


def test_ln_of_one_is_nothing_and_of_two_is_ln_2() -> None:
    assert ln(1.0) == 0.0
    assert ln(2.0) == math.log(2)
    assert ln(0.5) == -math.log(2)


def test_rewards_of_a_path_add_up_to_the_change_of_equity() -> None:
    path = [10**11, 12 * 10**10, 9 * 10**10, 10**11]
    total = sum(log_return(before, after) for before, after in pairwise(path))
    assert abs(total) < 1e-9
    assert math.isclose(log_return(10**11, 2 * 10**11), 6931.471805599453)


@pytest.mark.parametrize("after", [0, -(10**12), 1])
def test_ruin_has_a_finite_reward(after: int) -> None:
    assert math.isclose(log_return(10**11, after), 1e4 * math.log(1e-4))


def test_the_drawdown_penalty_grows_from_the_soft_limit_on() -> None:
    rules = TradingRules(soft_limit=0.02, drawdown_weight=0.5)
    assert drawdown_penalty(100, 100, rules) == 0.0
    assert drawdown_penalty(99, 100, rules) == 0.0
    assert math.isclose(drawdown_penalty(90, 100, rules), 0.5 * 1e4 * 0.08)
