"""The gates: what is measured, against which limit, and the verdict over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from stairways.core.events import BaselinesMeasured, SkillMeasured
from stairways.core.skill import SkillRules
from stairways.core.stairway import HIGHEST_TARGET, LOWEST_TARGET


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """Limits of the gates (setting section ``gates``; defaults: domain definition, section 9)."""

    hold_rate_error: float = 0.03
    lowest_hold_rate: float = LOWEST_TARGET
    highest_hold_rate: float = HIGHEST_TARGET
    effectiveness: float = 0.5
    profit_shortfall: float = 0.05  # of capital, below the last promoted model's profit
    drawdown: float = 0.20
    divergence: float = 0.15

    def __post_init__(self) -> None:
        for name in ("hold_rate_error", "profit_shortfall", "drawdown", "divergence"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if not 0.0 <= self.lowest_hold_rate <= self.highest_hold_rate <= 1.0:
            raise ValueError("lowest_hold_rate and highest_hold_rate must be a range of rates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known of a candidate when its gates are decided. Rates and profits are shares."""

    target: float
    hold_rate: float
    effectiveness: float
    profit: float
    promoted_profit: float | None  # of the last promoted model on the same bars
    drawdown: float
    divergence: float
    has_reference: bool
    replay_findings: int
    look_ahead_findings: int
    sharpe: float
    win_rate: float
    trades_per_day: float
    baselines: BaselinesMeasured
    skill: SkillMeasured
    statistics: SkillRules


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's decision. An advisory gate is recorded and never blocks."""

    name: str
    value: float
    threshold: float
    passed: bool
    reason: str
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate is promoted, and which blocking gates it failed."""

    promoted: bool
    failed: tuple[str, ...]
    reason: str


def decide(measured: Measured, limits: GateLimits) -> tuple[Gate, ...]:
    """Return every gate's decision on what was measured, the blocking ones first."""
    return (
        *_steering(measured, limits),
        *_money(measured, limits),
        *_proof(measured, limits),
        *_advice(measured),
    )


def verdict(gates: Sequence[Gate]) -> Verdict:
    """Return the verdict: promoted when no blocking gate failed."""
    failed = tuple(gate.name for gate in gates if gate.blocking and not gate.passed)
    if failed:
        return Verdict(promoted=False, failed=failed, reason=f"rejected: {', '.join(failed)}")
    return Verdict(promoted=True, failed=(), reason="promoted: every blocking gate passed")


def at_most(name: str, value: float, limit: float, meaning: str) -> Gate:
    """Return a blocking gate that passes when ``value <= limit``; NaN never passes."""
    passed = value <= limit
    sign = "is at most" if passed else "is above"
    return Gate(name, value, limit, passed, f"{meaning}: {value:.4g} {sign} {limit:.4g}")


def at_least(name: str, value: float, limit: float, meaning: str) -> Gate:
    """Return a blocking gate that passes when ``value >= limit``; NaN never passes."""
    passed = value >= limit
    sign = "is at least" if passed else "is below"
    return Gate(name, value, limit, passed, f"{meaning}: {value:.4g} {sign} {limit:.4g}")


def _steering(measured: Measured, limits: GateLimits) -> tuple[Gate, ...]:
    error = abs(measured.hold_rate - measured.target)
    return (
        at_most("hold_rate_error", error, limits.hold_rate_error, "distance from the target"),
        _hold_rate_range(measured.hold_rate, limits),
        at_least("effectiveness", measured.effectiveness, limits.effectiveness, "effectiveness"),
    )


def _hold_rate_range(hold_rate: float, limits: GateLimits) -> Gate:
    """Return the gate on the range; the threshold named is the end that is nearer."""
    low, high = limits.lowest_hold_rate, limits.highest_hold_rate
    passed = low <= hold_rate <= high
    place = "inside" if passed else "outside"
    reason = f"hold rate on validation {hold_rate:.4g} is {place} [{low:.4g}, {high:.4g}]"
    nearer = low if hold_rate < (low + high) / 2 else high
    return Gate("hold_rate_range", hold_rate, nearer, passed, reason)


def _money(measured: Measured, limits: GateLimits) -> tuple[Gate, ...]:
    return (
        _profit_shortfall(measured, limits),
        at_most("drawdown", measured.drawdown, limits.drawdown, "largest drawdown"),
    )


def _profit_shortfall(measured: Measured, limits: GateLimits) -> Gate:
    name, limit = "profit_shortfall", limits.profit_shortfall
    if measured.promoted_profit is None:
        return Gate(name, 0.0, limit, passed=True, reason="no promoted model to compare with")
    shortfall = measured.promoted_profit - measured.profit
    return at_most(name, shortfall, limit, "profit below the last promoted model's")


def _proof(measured: Measured, limits: GateLimits) -> tuple[Gate, ...]:
    return (
        _divergence(measured, limits.divergence),
        at_most("ledger_replay", float(measured.replay_findings), 0.0, "findings of the replay"),
        at_most("look_ahead", float(measured.look_ahead_findings), 0.0, "rows later bars change"),
    )


def _divergence(measured: Measured, limit: float) -> Gate:
    if measured.has_reference:
        meaning = "distance from the last promoted parameters"
        return at_most("divergence", measured.divergence, limit, meaning)
    reason = "no promoted model yet: the distance is from the initial parameters"
    return Gate("divergence", measured.divergence, limit, passed=True, reason=reason)


def _advice(measured: Measured) -> tuple[Gate, ...]:
    skill, rules, simple = measured.skill, measured.statistics, measured.baselines
    middle = median(simple.random)
    traded = measured.trades_per_day > 0
    nothing = "" if traded else " (of nothing: no order was filled)"
    sharpe = _advisory("sharpe", measured.sharpe, 0.0, f"annualised Sharpe ratio{nothing}")
    pace = _advisory("trades_per_day", measured.trades_per_day, 0.0, f"fills a session{nothing}")
    return (
        replace(sharpe, passed=sharpe.passed and traded),
        _advisory(
            "deflated_sharpe",
            skill.deflated_sharpe,
            rules.deflated_sharpe,
            f"probability that it beats the best by chance of {skill.trials} tried",
        ),
        _advisory("win_rate", measured.win_rate, 0.5, f"share of closed trades that won{nothing}"),
        replace(pace, passed=traded),
        _above("buy_and_hold", measured.profit - simple.buy_and_hold),
        _above("always_hold", measured.profit - simple.always_hold),
        _above("random", measured.profit - middle),
        _advisory(
            "random_beaten",
            skill.beaten,
            rules.confidence,
            f"share of {len(simple.random)} random policies with less profit",
        ),
        Gate("skill", float(skill.skill), 1.0, skill.skill, skill.reason, blocking=False),
    )


def _above(name: str, value: float) -> Gate:
    return _advisory(f"against_{name}", value, 0.0, f"profit above {name}")


def _advisory(name: str, value: float, threshold: float, meaning: str) -> Gate:
    reason = f"{meaning}: {value:.4g} (advisory)"
    return Gate(name, value, threshold, value >= threshold, reason, blocking=False)
