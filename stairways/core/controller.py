"""The dual-lane controller that steers the hold rate to its target.

A fast lane answers the present error, a slow lane accumulates it; their sum ``u`` drives
two actuators: the bonus that holding earns in training, and the margin added to the logit
of hold (conformal PID control, Angelopoulos et al. 2023; PID Lagrangian methods, Stooke
et al. 2020). The rules are functions over plain numbers, so that the environment can run
the very same functions, compiled; ``Controller`` folds them, one decision after another.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stairways.errors import SettingsError

LOWEST_TARGET, HIGHEST_TARGET = 0.40, 0.75
LARGEST_REGIME = 3.0
MOST_REWARD = 1e9
"""Basis points beyond which a reward term is cut before it enters the running spread."""
MOST_OWED = 0.1
"""The most holds that can be owed, as a share of the window the hold rate is measured over."""
SATURATED_FOR_LONG = 0.1
"""The share of decisions at a limit of the actuators from which a summary speaks of it."""
EFFECTIVE_RANGE = 0.35
"""The error of the hold rate at which effectiveness is nil: the width of the targets' range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerRules:
    """The gains and limits of the controller; a run records the value of each."""

    window: int = 100  # decisions the hold rate is measured over
    error_gain: float = 2.0
    fast_gain: float = 0.25
    regime_weight: float = 0.3
    slow_gain: float = 0.05
    slow_period: int = 25  # environment steps
    slow_limit: float = 0.5
    base_multiple: float = 1.0  # bonus at u = 0, in standard deviations of the other terms
    authority: float = 40.0  # kappa: spreads of the policy's margins that u = 1 reaches
    training_authority: float = 0.25  # kappa where the margin stands still for a whole rollout
    use_margin: bool = True  # without it the policy's own logits decide
    dynamic_target: bool = False  # the target follows the regime instead of the cycle
    guard: float = 0.01  # how far inside [0.40, 0.75] the hold rate is steered to at least
    make_up: float = 4.0  # holds asked for in the window for each one owed; 0 while training

    def __post_init__(self) -> None:
        for complaint in _complaints(self):
            raise SettingsError(complaint)


def _complaints(rules: ControllerRules) -> Iterator[str]:
    """Say what is wrong with ``rules``, in the words of the setting."""
    for name, least, most in _RANGES:
        value = getattr(rules, name)
        if not least <= value <= most:  # NaN is in no range
            yield f"controller.{name} is {value}; it must be from {least} to {most}"


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("window", 1, 1_000_000),
    ("error_gain", 0.0, 1_000.0),
    ("fast_gain", 0.0, 1_000.0),
    ("regime_weight", 0.0, 1.0 / LARGEST_REGIME),  # beyond, a regime would turn the sign
    ("slow_gain", 0.0, 1_000.0),
    ("slow_period", 1, 1_000_000),
    ("slow_limit", 0.0, 1_000.0),
    ("base_multiple", 0.0, 1_000.0),
    ("authority", 0.0, 1_000.0),
    ("training_authority", 0.0, 1_000.0),
    ("make_up", 0.0, 1_000.0),
    ("guard", 0.0, (HIGHEST_TARGET - LOWEST_TARGET) / 2),
)


def clip(value: float, least: float, most: float) -> float:
    """Return ``value`` moved into [least, most]; NaN counts as 0."""
    if math.isnan(value):
        value = 0.0
    if value < least:
        return least
    return min(value, most)


def target_in_force(target: float, regime: float, rules: ControllerRules) -> float:
    """Return the target within [0.40, 0.75], moved by the regime if it is dynamic."""
    if rules.dynamic_target:
        target = 0.55 + 0.1 * clip(regime, -LARGEST_REGIME, LARGEST_REGIME)
    return clip(target, LOWEST_TARGET, HIGHEST_TARGET)


def setpoint(target: float, rules: ControllerRules) -> float:
    """Return the hold rate to steer to: the target, kept a guard away from [0.40, 0.75]'s ends.

    A rate steered to the very end of the range would lie outside of it half of the time. The
    cycle's error and its effectiveness are measured from the target all the same.
    """
    return clip(target, LOWEST_TARGET + rules.guard, HIGHEST_TARGET - rules.guard)


def owed_after(owed: float, aim: float, held: int, rules: ControllerRules) -> float:
    """Return by how many holds the decisions so far stay behind the setpoint ``aim``.

    ``held`` is 1 or 0. A long debt does not wind up: it ends at ``MOST_OWED`` of the window.
    """
    most = MOST_OWED * rules.window
    return clip(owed + aim - held, -most, most)


def made_up(aim: float, owed: float, rules: ControllerRules) -> float:
    """Return the setpoint ``aim`` moved to make up for the holds that are owed.

    The last hundred decisions forget what went before them; a candidate is judged by all.
    """
    return aim + rules.make_up * owed / rules.window


def error_of(aim: float, hold_rate: float, rules: ControllerRules) -> float:
    """Return the error in [-1, 1] from the setpoint ``aim``; positive means too little holding."""
    return clip(rules.error_gain * (aim - hold_rate), -1.0, 1.0)


def fast_lane(error: float, regime: float, rules: ControllerRules) -> float:
    """Return the immediate answer to the error; the regime makes it firmer or softer."""
    firmness = 1.0 + rules.regime_weight * clip(regime, -LARGEST_REGIME, LARGEST_REGIME)
    return rules.fast_gain * error * firmness


def slow_lane(slow: float, error: float, steps: int, rules: ControllerRules) -> float:
    """Return the accumulated answer after environment step ``steps``, counted from 1."""
    if steps % rules.slow_period != 0:
        return slow
    return clip(slow + rules.slow_gain * error, -rules.slow_limit, rules.slow_limit)


def hold_bonus(output: float, spread: float, rules: ControllerRules) -> float:
    """Return the basis points that holding earns: never negative, at most twice the base."""
    return rules.base_multiple * spread * clip(1.0 + output, 0.0, 2.0)


def decision_margin(base: float, spread: float, output: float, rules: ControllerRules) -> float:
    """Return what is added to the logit of hold: m = m0 + kappa s u.

    ``base`` is the quantile of the policy's own margins that gives the target on the
    calibration window, ``spread`` their standard deviation.
    """
    return base + rules.authority * spread * output


def margin_reach(spread: float, rules: ControllerRules) -> float:
    """Return by how many logits both lanes can move the margin either way in a calm regime."""
    return rules.authority * spread * (rules.fast_gain + rules.slow_limit)


def is_saturated(fast: float, slow: float, rules: ControllerRules) -> bool:
    """Say whether the actuators can do no more: the slow lane, or the bonus, is at a limit."""
    return abs(slow) >= rules.slow_limit or abs(fast + slow) >= 1.0


def mean_after(mean: float, count: int, value: float) -> float:
    """Return the mean of ``count`` values of which ``value`` is the last (Welford 1962)."""
    return mean + (value - mean) / count


def squares_after(squares: float, before: float, after: float, value: float) -> float:
    """Return the sum of squared deviations once the mean moved for ``value`` (Welford 1962)."""
    return squares + (value - before) * (value - after)


def deviation(squares: float, count: int) -> float:
    """Return the standard deviation of all values so far."""
    return math.sqrt(squares / count)


def effectiveness(hold_rate: float, target: float) -> float:
    """Return 1 on target, 0 where the error is 0.35, negative beyond."""
    return 1.0 - abs(hold_rate - target) / EFFECTIVE_RANGE


def performance(hold_rate: float, target: float) -> float:
    """Return the performance score, 0.6 effectiveness + 0.4 (1 - |h - T|)."""
    closeness = 1.0 - abs(hold_rate - target)
    return 0.6 * effectiveness(hold_rate, target) + 0.4 * closeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """The controller after some decisions, as plain values.

    ``target`` is the one in force, ``owed`` by how many holds all decisions so far stay behind
    its setpoint, ``error`` that from the setpoint with what is owed made up, and ``bonus`` what
    the next vector step pays for a hold. ``faults`` counts inputs that
    were not finite and therefore counted as 0 or as the nearest limit.
    """

    decisions: tuple[bool, ...] = ()  # the last ones, oldest first: was it a hold?
    steps: int = 0
    target: float = HIGHEST_TARGET
    hold_rate: float = 0.0
    owed: float = 0.0
    error: float = 0.0
    regime: float = 0.0
    fast: float = 0.0
    slow: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    spread: float = 0.0
    bonus: float = 0.0
    faults: int = 0

    @property
    def output(self) -> float:
        """Return u, the sum of both lanes."""
        return self.fast + self.slow

    def after(
        self,
        *,
        hold: bool,
        regime: float,
        other_terms: float,
        target: float,
        rules: ControllerRules,
    ) -> "Controller":
        """Return the controller once it saw one decision.

        ``hold`` says whether every position was left alone, ``regime`` is the score of the
        bar the decision was made on, ``other_terms`` the reward of the step without the
        hold bonus in basis points, ``target`` the hold rate of the cycle.
        """
        steps = self.steps + 1
        decisions = (*self.decisions, hold)[-rules.window :]
        aim = target_in_force(target, regime, rules)
        rate = sum(decisions) / len(decisions)
        owed = owed_after(self.owed, setpoint(aim, rules), int(hold), rules)
        error = error_of(made_up(setpoint(aim, rules), owed, rules), rate, rules)
        fast = fast_lane(error, regime, rules)
        slow = slow_lane(self.slow, error, steps, rules)
        reward = clip(other_terms, -MOST_REWARD, MOST_REWARD)
        mean = mean_after(self.mean, steps, reward)
        squares = squares_after(self.squares, self.mean, mean, reward)
        spread = deviation(squares, steps)
        return Controller(
            decisions=decisions,
            steps=steps,
            target=aim,
            hold_rate=rate,
            owed=owed,
            error=error,
            regime=clip(regime, -LARGEST_REGIME, LARGEST_REGIME),
            fast=fast,
            slow=slow,
            mean=mean,
            squares=squares,
            spread=spread,
            bonus=hold_bonus(fast + slow, spread, rules),
            faults=self.faults + _faults(regime, other_terms, target),
        )


def _faults(*inputs: float) -> int:
    return sum(not math.isfinite(value) for value in inputs)
