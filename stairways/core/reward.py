"""The reward of a step, in basis points of equity, and the logarithm it needs.

The logarithm is a series of our own: the ones in libraries differ between processors in
the last bit, and a reward enters the log.
"""

from stairways.core.ledger import BASIS_POINTS, TradingRules, drawdown

LN_2 = 0.6931471805599453
ROOT_2 = 1.4142135623730951
LEAST_LEFT = 1e-4
"""The least share of equity a step is said to leave: a ruin has a finite reward."""


def ln(value: float) -> float:
    """Return the natural logarithm of a positive finite number, within 2 units of the last place.

    ``value`` is scaled by powers of two, without loss, to within [1/√2, √2]; then
    ln v = 2 artanh((v - 1)/(v + 1)), whose series is cut where a double ends (|s| < 0.172).
    """
    powers = 0
    while value > ROOT_2:
        value *= 0.5
        powers += 1
    while value * ROOT_2 < 1.0:
        value *= 2.0
        powers -= 1
    s = (value - 1.0) / (value + 1.0)
    q = s * s
    r = q * q  # even and odd terms apart: a processor works on both at once
    odd = 1.0 / 3.0 + r * (1.0 / 7.0 + r * (1.0 / 11.0 + r * (1.0 / 15.0 + r * (1.0 / 19.0))))
    even = 1.0 / 5.0 + r * (1.0 / 9.0 + r * (1.0 / 13.0 + r * (1.0 / 17.0 + r * (1.0 / 21.0))))
    tail = q * (odd + q * even)
    return powers * LN_2 + 2.0 * (s + s * tail)


def log_return(before: int, after: int) -> float:
    """Return the log return of equity in basis points; what is left counts as 1 bp at least.

    ``before`` is positive: an episode ends when equity is not.
    """
    left = after / before
    return BASIS_POINTS * ln(max(LEAST_LEFT, left))


def drawdown_penalty(equity: int, peak: int, rules: TradingRules) -> float:
    """Return the penalty in basis points, growing from 0 where the soft limit is passed."""
    beyond = drawdown(equity, peak) - rules.soft_limit
    return rules.drawdown_weight * BASIS_POINTS * beyond if beyond > 0.0 else 0.0
