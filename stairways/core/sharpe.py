"""The Sharpe ratio, how sure it is, and what is left of it once many models were tried.

Everything but ``annual`` is by bar, not by year: Bailey and López de Prado, "The Sharpe Ratio
Efficient Frontier" (2012), and "The Deflated Sharpe Ratio" (2014).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

EULER_MASCHERONI = 0.5772156649015329
NO_SPREAD = 1e-10
"""Standard deviation of returns up to which nothing varies but the rounding to micros."""

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, mean, standard deviation (n - 1), skewness and kurtosis (3 for the normal law)."""

    count: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float

    @property
    def sharpe(self) -> float:
        """Mean over standard deviation; 0 where nothing varies (Sharpe 1994)."""
        return self.mean / self.deviation if self.deviation > 0 else 0.0


def moments(returns: Sequence[float]) -> Moments:
    """Return the moments of returns above the risk-free rate, summed without rounding.

    Fewer than two of them, or some that do not vary, have no deviation.
    """
    count = len(returns)
    if count < 2:  # noqa: PLR2004 - one return does not vary
        return Moments(count, math.fsum(returns), 0.0, 0.0, 3.0)
    mean = math.fsum(returns) / count
    away = [x - mean for x in returns]
    squares = [x * x for x in away]
    second = math.fsum(squares) / count
    third = math.fsum(x * y for x, y in zip(away, squares, strict=True)) / count
    fourth = math.fsum(x * x for x in squares) / count
    deviation = math.sqrt(second * count / (count - 1))
    if deviation <= NO_SPREAD:
        return Moments(count, mean, 0.0, 0.0, 3.0)
    return Moments(
        count, mean, deviation, third / (second * math.sqrt(second)), fourth / (second * second)
    )


def annual(sharpe: float, a_year: float) -> float:
    """Return a ratio by bar as one by year of ``a_year`` bars."""
    return sharpe * math.sqrt(a_year)


def probabilistic_sharpe(found: Moments, benchmark: float = 0.0) -> float:
    """Return the probability that the true ratio is above ``benchmark``.

    PSR = Φ((SR - SR*) √(n - 1) / √(1 - γ₃ SR + (γ₄ - 1) SR² / 4)), Bailey and López de Prado
    2012, equation 11. 0 where nothing varies: such returns are no evidence of anything.
    """
    if found.deviation <= 0:
        return 0.0
    ratio = found.sharpe
    law = 1.0 - found.skewness * ratio + (found.kurtosis - 1.0) / 4.0 * ratio**2
    if law <= 0:  # only a handful of wild returns has such moments
        return 0.0
    return NORMAL.cdf((ratio - benchmark) * math.sqrt((found.count - 1) / law))


def best_by_chance(trials: int, spread: float) -> float:
    """Return the ratio to expect of the best of so many models that have no skill at all.

    √V ((1 - g) Φ⁻¹(1 - 1/N) + g Φ⁻¹(1 - 1/(N e))) with Euler's g, equation 9 of 2014.
    ``spread`` is √V, the standard deviation of the ratios of the trials. One trial is no choice.
    """
    if trials <= 1:
        return 0.0
    first = NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return spread * ((1.0 - EULER_MASCHERONI) * first + EULER_MASCHERONI * second)


def trial_spread(ratios: Sequence[float], count: int) -> float:
    """Return √V of the trials: their standard deviation, but never less than chance alone gives.

    Models that descend from each other have ratios close together, which would make the best of
    them look rare. A ratio of ``count`` returns without skill has the deviation 1/√(n - 1).
    """
    chance = 1.0 / math.sqrt(max(1, count - 1))
    return max(chance, moments(ratios).deviation)


def deflated_sharpe(found: Moments, trials: int, spread: float) -> float:
    """Return the probability that the true ratio is above that of the best model by chance."""
    return probabilistic_sharpe(found, best_by_chance(trials, spread))
