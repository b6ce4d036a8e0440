"""Whether a result is evidence of skill: against chance, simple strategies and many tries.

The rule is in ``complaints``: whatever it returns speaks against skill, and only a candidate of
which it says nothing shows any. It is advice; no gate of it blocks a promotion.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stairways.core.baselines import ALWAYS_HOLD, BUY_AND_HOLD, RANDOM, Baselines
from stairways.core.bootstrap import (
    Blocks,
    Float64,
    Int64,
    Interval,
    block_length,
    interval,
    resampled_products,
    resampled_sharpes,
    resampled_sums,
)
from stairways.core.events import SkillMeasured
from stairways.core.sharpe import (
    Moments,
    annual,
    best_by_chance,
    deflated_sharpe,
    moments,
    probabilistic_sharpe,
    trial_spread,
)
from stairways.core.values import Position

EVIDENCE = "evidence of skill"
NO_EVIDENCE = "no evidence of skill"
MOST_RESAMPLES = 100_000
MOST_POLICIES = 1_000
LEAST_BLOCKS = 20
"""Blocks of bars below which the bootstrap knows too little of what might have been."""
Triple = tuple[float, float, float]
"""Lower bound, figure, upper bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillRules:
    """How results are weighed (setting section ``statistics``)."""

    resamples: int = 1_000  # of the bootstrap over blocks of bars
    confidence: float = 0.95  # of every interval; also the share of random policies to beat
    block: int = 0  # bars of one block; 0 takes the cube root of the number of bars
    random_policies: int = 50  # that hold as often as the candidate, on the same bars
    deflated_sharpe: float = 0.95  # least probability that the true Sharpe ratio beats chance

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1 or not 0 < self.deflated_sharpe < 1:
            raise ValueError("confidence and deflated_sharpe must lie between 0 and 1")
        least = math.ceil(2.0 / (1.0 - self.confidence)) - 1
        if not least <= self.resamples <= MOST_RESAMPLES:
            raise ValueError(
                f"resamples is {self.resamples}; a confidence of {self.confidence} needs "
                f"{least} to {MOST_RESAMPLES}"
            )
        if not 1 <= self.random_policies <= MOST_POLICIES or self.block < 0:
            raise ValueError(
                f"random_policies must be 1 to {MOST_POLICIES}, and block not negative"
            )

    def block_of(self, count: int) -> int:
        """Return how many bars a block has where there are ``count``."""
        return min(count, self.block or block_length(count))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passed:
    """One pass of a candidate through a window: ``equity`` ``(n + 1,)`` from the start on.

    ``rates`` ``(n,)`` is the risk-free return of each bar, ``a_year`` how many bars make a year.
    """

    equity: Int64
    rates: Float64
    a_year: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A model that was evaluated: where the log says so, its Sharpe ratio by bar, and its bars."""

    position: Position
    sharpe: float
    first_bar: int
    last_bar: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """What a candidate's result is worth. Returns are shares of one a year, ratios annualised.

    ``Triple`` is a figure between the bounds of its interval.
    """

    returns: int
    a_year: float
    block: int
    sharpe: Triple
    profit: Triple
    over_buy_and_hold: Triple
    over_always_hold: Triple
    over_random: Triple
    beaten: float
    skewness: float
    kurtosis: float
    trials: int
    trial_spread: float
    best_by_chance: float
    probabilistic_sharpe: float
    deflated_sharpe: float
    skill: bool
    reason: str


def weigh(
    passed: Passed,
    baselines: Baselines,
    trials: Sequence[Trial],
    blocks: Blocks,
    rules: SkillRules,
) -> Skill:
    """Return what a result is worth, given what else was tried on its bars before."""
    own = returns_of(passed.equity)
    above_cash = own - passed.rates
    found = moments(above_cash.tolist())
    spread = trial_spread([*(trial.sharpe for trial in trials), found.sharpe], found.count)
    tried = len(trials) + 1
    figures = {
        "sharpe": _sharpe(found, above_cash, blocks, passed.a_year, rules),
        "profit": _profit(passed.equity, own, blocks, rules),
        **{
            name: _above(own - other, blocks, passed.a_year, rules)
            for name, other in _others(baselines)
        },
    }
    beaten, counted = beaten_share(passed.equity, baselines), len(own) // blocks.length
    deflated = deflated_sharpe(found, tried, spread)
    found_fault = "; ".join(
        complaints(figures, rules, blocks=counted, beaten=beaten, deflated=deflated, tried=tried)
    )
    return Skill(
        **figures,
        returns=len(own),
        a_year=passed.a_year,
        block=blocks.length,
        beaten=beaten,
        skewness=found.skewness,
        kurtosis=found.kurtosis,
        trials=tried,
        trial_spread=annual(spread, passed.a_year),
        best_by_chance=annual(best_by_chance(tried, spread), passed.a_year),
        probabilistic_sharpe=probabilistic_sharpe(found),
        deflated_sharpe=deflated,
        skill=not found_fault,
        reason=f"{NO_EVIDENCE}: {found_fault}" if found_fault else _praise(tried, deflated),
    )


def complaints(
    figures: Mapping[str, Triple],
    rules: SkillRules,
    *,
    blocks: int,
    beaten: float,
    deflated: float,
    tried: int,
) -> Iterator[str]:
    """Yield what speaks against skill, as clauses of one sentence.

    A candidate shows skill only if the lower bound of its return above buy-and-hold, above
    always-hold and above the random policies is above 0, if it earned more than the share
    ``confidence`` of the random policies, and if the probability that its Sharpe ratio is above
    the best of as many tries without skill is at least ``deflated_sharpe``. Bars that make fewer
    ``blocks`` than ``LEAST_BLOCKS`` show nothing: resampled, they are always the same few.
    """
    if blocks < LEAST_BLOCKS:
        yield f"the bars make {blocks} blocks, and fewer than {LEAST_BLOCKS} show nothing"
    for name, what in _AGAINST.items():
        low, _, high = figures[name]
        if not low > 0:
            yield f"return above {what} may be {low:+.1%} to {high:+.1%} a year"
    if beaten < rules.confidence:
        ahead, wanted = _apart(beaten, rules.confidence, ".0%", ".2%")
        yield f"ahead of {ahead} of the random policies, not {wanted}"
    if deflated < rules.deflated_sharpe:
        counted = "1 model" if tried == 1 else f"{tried} models"
        reached, wanted = _apart(deflated, rules.deflated_sharpe, ".2f", ".6f")
        yield f"deflated Sharpe {reached} for {counted} tried, not {wanted}"


def _apart(value: float, limit: float, rough: str, fine: str) -> tuple[str, str]:
    """Return a value and the limit it misses in words that differ, if need be with more digits."""
    said = f"{value:{rough}}", f"{limit:{rough}}"
    return said if said[0] != said[1] else (f"{value:{fine}}", f"{limit:{fine}}")


_AGAINST = {
    "over_buy_and_hold": "buy-and-hold",
    "over_always_hold": "always-hold",
    "over_random": "random policies",
}


def returns_of(equity: Int64) -> Float64:
    """Return the simple return of each bar, ``(n,)`` of ``(n + 1,)``; 0 once there are debts."""
    before, after = equity[:-1].astype(np.float64), equity[1:].astype(np.float64)
    found: Float64 = np.zeros(after.shape)
    np.divide(after, before, out=found, where=before > 0)
    return np.where(before > 0, found - 1.0, 0.0)


def beaten_share(equity: Int64, baselines: Baselines) -> float:
    """Return the share of the random policies that ended with less than the candidate.

    The candidate counts as one of them, so that no finite number of policies gives certainty.
    """
    finals = baselines.equity[-1, RANDOM:]
    return int((finals < equity[-1]).sum()) / (len(finals) + 1)


def trials_among(
    known: Iterable[Trial], bars: tuple[int, int], before: Position | None
) -> list[Trial]:
    """Return the trials, before a position if one is given, that saw any bar from first to last."""
    first, last = bars
    return [
        trial
        for trial in known
        if (before is None or trial.position < before)
        and trial.first_bar <= last
        and trial.last_bar >= first
    ]


def _others(baselines: Baselines) -> Iterator[tuple[str, Float64]]:
    """Yield the returns of what a candidate is compared with; of random policies the mean."""
    columns = baselines.equity.T
    yield "over_buy_and_hold", returns_of(columns[BUY_AND_HOLD])
    yield "over_always_hold", returns_of(columns[ALWAYS_HOLD])
    total: Float64 = np.zeros(len(baselines.equity) - 1)
    for policy in columns[RANDOM:]:
        total += returns_of(policy)
    yield "over_random", total / (len(columns) - RANDOM)


def _sharpe(
    found: Moments, above_cash: Float64, blocks: Blocks, a_year: float, rules: SkillRules
) -> Interval:
    resampled = resampled_sharpes(above_cash, blocks) * math.sqrt(a_year)
    return interval(annual(found.sharpe, a_year), resampled, rules.confidence)


def _profit(equity: Int64, own: Float64, blocks: Blocks, rules: SkillRules) -> Interval:
    earned = int(equity[-1]) / int(equity[0]) - 1.0
    return interval(earned, resampled_products(own + 1.0, blocks) - 1.0, rules.confidence)


def _above(excess: Float64, blocks: Blocks, a_year: float, rules: SkillRules) -> Interval:
    """Return the mean of paired differences of returns as one a year, with its interval."""
    scale = a_year / len(excess)
    resampled = resampled_sums(excess, blocks) * scale
    return interval(math.fsum(excess.tolist()) * scale, resampled, rules.confidence)


def _praise(tried: int, deflated: float) -> str:
    return f"{EVIDENCE}: above every baseline, deflated Sharpe {deflated:.2f} for {tried} tried"


def weighed_again(
    measured: SkillMeasured, trials: Sequence[Trial], rules: SkillRules
) -> tuple[float, str]:
    """Return deflated Sharpe and reason of a recorded result among all ``trials``, itself too.

    A result is recorded with the models tried before it; those tried since count as well.
    """
    ratio = measured.sharpe[1] / math.sqrt(measured.a_year) if measured.a_year > 0 else 0.0
    varied = 1.0 if measured.probabilistic_sharpe > 0 else 0.0
    found = Moments(measured.returns, ratio, varied, measured.skewness, measured.kurtosis)
    tried = max(1, len(trials))
    spread = trial_spread([trial.sharpe for trial in trials], measured.returns)
    deflated = deflated_sharpe(found, tried, spread)
    figures = {name: getattr(measured, name) for name in _AGAINST}
    counted = measured.returns // measured.block
    said = "; ".join(
        complaints(
            figures, rules, blocks=counted, beaten=measured.beaten, deflated=deflated, tried=tried
        )
    )
    return deflated, f"{NO_EVIDENCE}: {said}" if said else _praise(tried, deflated)


def pooled(results: Sequence[SkillMeasured], tried: int, rules: SkillRules) -> str:
    """Return whether results on windows that do not overlap show skill together.

    Figures are means weighted by the number of bars; the half-widths of intervals add like
    standard deviations of independent figures. ``tried`` is the largest number of models tried
    on the bars of one of them up to now.
    """
    if not results:
        return f"{NO_EVIDENCE}: no served model was tested"
    weights = [one.returns for one in results]
    figures = {name: _pooled([getattr(one, name) for one in results], weights) for name in _AGAINST}

    def mean(name: str) -> float:
        return _mean([getattr(one, name) for one in results], weights)

    ratio = _mean([one.sharpe[1] / math.sqrt(one.a_year) for one in results], weights)
    found = Moments(sum(weights), ratio, 1.0, mean("skewness"), mean("kurtosis"))
    deflated = deflated_sharpe(found, tried, trial_spread([], sum(weights)))
    counted = sum(one.returns // one.block for one in results)
    beaten = mean("beaten")
    said = "; ".join(
        complaints(figures, rules, blocks=counted, beaten=beaten, deflated=deflated, tried=tried)
    )
    return f"{NO_EVIDENCE}: {said}" if said else _praise(tried, deflated)


def _pooled(triples: Sequence[Triple], weights: Sequence[int]) -> Triple:
    value = _mean([middle for _, middle, _ in triples], weights)
    below = _combined([middle - low for low, middle, _ in triples], weights)
    above = _combined([high - middle for _, middle, high in triples], weights)
    return value - below, value, value + above


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def _combined(widths: Sequence[float], weights: Sequence[int]) -> float:
    squares = math.fsum((v * w) ** 2 for v, w in zip(widths, weights, strict=True))
    return math.sqrt(squares) / sum(weights)
