"""The dual-lane controller."""

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stairways.core.controller import (
    Controller,
    ControllerRules,
    clip,
    decision_margin,
    effectiveness,
    error_of,
    fast_lane,
    hold_bonus,
    is_saturated,
    margin_reach,
    performance,
    setpoint,
    slow_lane,
    target_in_force,
)
from stairways.errors import SettingsError

RULES = ControllerRules()
anything = st.floats(allow_nan=True, allow_infinity=True)


def after(
    controller: Controller,
    *,
    hold: bool,
    regime: float = 0.0,
    terms: float = 0.0,
    target: float = 0.7,
    rules: ControllerRules = RULES,
) -> Controller:
    return controller.after(hold=hold, regime=regime, other_terms=terms, target=target, rules=rules)


def test_effectiveness_and_performance_have_the_figures_of_the_earlier_system() -> None:
    assert round(effectiveness(0.0, 0.75), 3) == -1.143
    assert round(performance(0.0, 0.75), 3) == -0.586
    assert effectiveness(0.7, 0.7) == performance(0.7, 0.7) == 1.0


def test_the_error_is_positive_when_there_is_too_little_holding() -> None:
    assert error_of(0.75, 0.70, RULES) == pytest.approx(0.1)
    assert error_of(0.75, 0.0, RULES) == 1.0
    assert error_of(0.40, 1.0, RULES) == -1.0


def test_the_hold_rate_is_that_of_the_last_hundred_decisions() -> None:
    controller = Controller()
    for count in range(1, 251):
        controller = after(controller, hold=count % 4 == 0)
        expected = range(max(1, count - 99), count + 1)
        assert controller.hold_rate == sum(c % 4 == 0 for c in expected) / len(expected)


def test_the_regime_multiplies_only_the_fast_lane() -> None:
    calm, wild = Controller(), Controller()
    for count in range(300):
        calm = after(calm, hold=count % 3 == 0)
        wild = after(wild, hold=count % 3 == 0, regime=2.0)
        assert wild.slow == calm.slow
        assert wild.fast == pytest.approx(calm.fast * 1.6)


def test_the_slow_lane_accumulates_every_25_steps_and_clamps() -> None:
    slow = Controller()
    history = []
    for _ in range(400):
        slow = after(slow, hold=False)
        history.append(slow.slow)

    assert history[23] == 0.0
    assert history[24] == pytest.approx(0.05)
    assert history[48] == history[24]
    assert history[49] == pytest.approx(0.10)
    assert history[249:] == [pytest.approx(0.5)] * 151
    assert max(history) <= 0.5


def test_the_slow_lane_does_not_wind_up() -> None:
    """However long the actuator could do nothing, recovery takes as long as from the clamp."""

    def recovery(stuck: int) -> int:
        controller = Controller()
        for _ in range(stuck):
            controller = after(controller, hold=False)
        steps = 0
        while controller.output > 0:
            controller = after(controller, hold=True)
            steps += 1
        return steps

    assert recovery(1_000) == recovery(50_000)
    assert recovery(50_000) <= 100 + 25 * 20


@given(st.lists(st.tuples(st.booleans(), anything, anything, anything), min_size=1, max_size=200))
def test_every_value_stays_finite_and_bounded_under_any_input(
    path: list[tuple[bool, float, float, float]],
) -> None:
    controller = Controller()
    most = RULES.fast_gain * (1 + 3 * RULES.regime_weight) + RULES.slow_limit
    for hold, regime, terms, target in path:
        controller = after(controller, hold=hold, regime=regime, terms=terms, target=target)
        assert abs(controller.output) <= most
        assert abs(controller.owed) <= 0.1 * RULES.window
        assert 0.40 <= controller.target <= 0.75
        assert 0.0 <= controller.bonus <= 2 * RULES.base_multiple * controller.spread
        assert math.isfinite(controller.spread)


def test_an_input_that_is_not_a_number_counts_as_zero_and_is_counted() -> None:
    fine = after(Controller(), hold=True, regime=0.0, terms=0.0)
    odd = after(Controller(), hold=True, regime=math.nan, terms=math.nan)
    assert odd.output == fine.output
    assert fine.faults == 0
    assert odd.faults == 2
    assert clip(math.nan, -1.0, 1.0) == 0.0
    assert clip(math.inf, -1.0, 1.0) == 1.0


@given(anything, st.floats(0, 1))
def test_any_target_is_clamped(regime: float, target: float) -> None:
    for rules in (RULES, ControllerRules(dynamic_target=True)):
        assert 0.40 <= target_in_force(target, regime, rules) <= 0.75


def test_a_dynamic_target_follows_the_regime() -> None:
    dynamic = ControllerRules(dynamic_target=True)
    assert target_in_force(0.7, 0.0, dynamic) == 0.55
    assert target_in_force(0.7, 1.0, dynamic) == pytest.approx(0.65)
    assert target_in_force(0.7, 3.0, dynamic) == 0.75
    assert target_in_force(0.7, -3.0, dynamic) == 0.40


def test_the_bonus_is_a_multiple_of_the_spread_of_the_other_terms() -> None:
    controller = Controller()
    terms = [1.0, 5.0, -3.0, 8.0, 0.5]
    for value in terms:
        controller = after(controller, hold=False, terms=value)
    mean = sum(terms) / 5
    spread = math.sqrt(sum((value - mean) ** 2 for value in terms) / 5)
    assert controller.spread == pytest.approx(spread)
    assert controller.bonus == pytest.approx(spread * (1 + controller.output))
    assert hold_bonus(-1.5, spread, RULES) == 0.0
    assert hold_bonus(1.5, spread, RULES) == 2 * spread


def test_the_margin_moves_with_the_output_in_spreads_of_the_policy() -> None:
    rules = ControllerRules(authority=2.0)
    assert decision_margin(0.3, 0.5, 0.0, rules) == 0.3
    assert decision_margin(0.3, 0.5, -0.4, rules) == pytest.approx(-0.1)


@example(target=0.4, guard=1.192093825675878e-12)  # rounds up to a little more
@given(st.floats(0.40, 0.75), st.floats(0.0, 0.1))
def test_the_setpoint_is_the_target_but_for_a_guard_at_the_ends(
    target: float, guard: float
) -> None:
    rules = ControllerRules(guard=guard)
    aim = setpoint(target, rules)
    assert 0.40 + guard <= aim <= 0.75 - guard
    assert abs(aim - target) <= guard + math.ulp(1.0)  # what rounding may add


@given(st.lists(st.booleans(), max_size=300), st.booleans())
def test_what_is_owed_is_counted_up_to_a_tenth_of_the_window(
    path: list[bool],
    stuck: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    controller, owed = Controller(), 0.0
    for hold in [*path, *[stuck] * 200]:
        controller = after(controller, hold=hold)
        owed = min(max(owed + 0.7 - hold, -10.0), 10.0)
        assert controller.owed == pytest.approx(owed)
    assert controller.owed == (-10.0 if stuck else 10.0)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=2_000))
def test_the_slow_lane_is_the_clamped_sum_of_every_25th_error(errors: list[float]) -> None:
    slow = expected = 0.0
    for steps, error in enumerate(errors, start=1):
        slow = slow_lane(slow, error, steps, RULES)
        if steps % 25 == 0:
            expected = min(max(expected + 0.05 * error, -0.5), 0.5)
        assert slow == expected


@given(st.lists(st.tuples(st.booleans(), anything), min_size=1, max_size=120))
def test_whatever_the_regime_the_slow_lane_is_the_same(path: list[tuple[bool, float]]) -> None:
    calm, wild = Controller(), Controller()
    for hold, regime in path:
        calm, wild = after(calm, hold=hold), after(wild, hold=hold, regime=regime)
        firmness = 1.0 + 0.3 * clip(regime, -3.0, 3.0)
        assert (wild.slow, wild.error, wild.owed) == (calm.slow, calm.error, calm.owed)
        assert wild.fast == pytest.approx(calm.fast * firmness)


def quantile_tracker(
    target: float, shift: Callable[[int], float], steps: int, rules: ControllerRules
) -> tuple[list[float], list[bool]]:
    """Steer a policy whose margins are even in [-1, 1] and move with the market.

    Returns the hold rates, each over the last decisions, and the decisions themselves.
    """
    controller, rates, held = Controller(), [], []
    base = 2 * setpoint(target, rules) - 1
    for count in range(steps):
        policy = 2 * (count * 0.6180339887498949 % 1.0) - 1 + shift(count)
        hold = policy + decision_margin(base, 1.0, controller.output, rules) >= 0
        controller = after(controller, hold=hold, target=target, rules=rules)
        rates.append(controller.hold_rate)
        held.append(hold)
    return rates, held


def step_change(size: float) -> Callable[[int], float]:
    return lambda count: size * (count >= 1_000)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.40, 0.75), st.floats(-1.5, 1.5))
def test_after_a_step_change_of_the_market_the_hold_rate_recovers(
    target: float, change: float
) -> None:
    """Within two windows, and what was missed meanwhile is made up within five."""
    aim = setpoint(target, RULES)
    rates, held = quantile_tracker(target, step_change(change), 1_500, RULES)
    assert max(abs(rate - aim) for rate in rates[500:1_000]) <= 0.03
    assert max(abs(rate - aim) for rate in rates[1_200:]) <= 0.05
    assert abs(sum(held) - aim * len(held)) <= 5


@settings(max_examples=15, deadline=None)
@given(st.floats(0.40, 0.75), st.integers(5, 400), st.floats(0.0, 1.0))
def test_oscillation_does_not_grow(target: float, period: int, size: float) -> None:
    """Whatever the rhythm of the market, late swings of the hold rate are no wider than early."""
    rates, _ = quantile_tracker(target, lambda n: size * (n // period % 2), 6_000, RULES)
    swings = [
        max(rates[start : start + 1_600]) - min(rates[start : start + 1_600])
        for start in range(1_200, 6_000, 1_600)
    ]
    assert all(late <= swings[0] + 0.03 for late in swings[1:])


def test_the_margin_reaches_as_far_as_both_lanes_can() -> None:
    rules = ControllerRules(authority=2.0)
    assert margin_reach(0.5, rules) == pytest.approx(0.75)
    most = Controller(fast=0.25, slow=0.5).output
    assert decision_margin(0.3, 0.5, most, rules) - 0.3 == pytest.approx(margin_reach(0.5, rules))


def test_an_actuator_is_spent_when_a_lane_or_the_bonus_is_at_its_limit() -> None:
    wide = ControllerRules(slow_limit=2.0)
    assert is_saturated(0.1, 0.5, RULES)
    assert is_saturated(-0.1, -0.5, RULES)
    assert not is_saturated(0.25, 0.49, RULES)
    assert is_saturated(0.2, 0.8, wide)  # the bonus is at twice its base
    assert not is_saturated(0.2, 0.7, wide)


def test_the_lanes_are_the_rules_that_the_domain_states() -> None:
    assert fast_lane(0.5, 1.0, RULES) == 0.25 * 0.5 * 1.3
    assert slow_lane(0.2, 0.5, 24, RULES) == 0.2
    assert slow_lane(0.2, 0.5, 25, RULES) == 0.2 + 0.05 * 0.5


@pytest.mark.parametrize("weight", [0.34, -0.1, math.nan])
def test_a_regime_that_could_turn_the_sign_is_refused(weight: float) -> None:
    with pytest.raises(SettingsError, match=r"controller\.regime_weight"):
        ControllerRules(regime_weight=weight)
