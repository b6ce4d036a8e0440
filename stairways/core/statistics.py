"""What a series of balances and fills amounts to. Shares of one, never percent."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from stairways.core.sharpe import annual, moments
from stairways.core.values import Micros

SECONDS_A_YEAR = 365.25 * 86_400


def largest_drawdown(equity: Sequence[Micros]) -> float:
    """Return the largest loss from an earlier peak, as a share of that peak."""
    peaks = accumulate(equity, max)
    return max((1.0 - now / peak for now, peak in zip(equity, peaks, strict=True)), default=0.0)


def annual_sharpe(equity: Sequence[Micros], rates: Sequence[float], seconds: float) -> float:
    """Return the annualised Sharpe ratio of simple returns above the risk-free rate.

    ``rates`` is the risk-free return of each step, one fewer than balances; ``seconds`` the
    time they span. 0 where nothing varies but the rounding to micros, or an account is ruined
    (Sharpe 1994).
    """
    if min(equity) <= 0 or seconds <= 0:
        return 0.0
    excess = [b / a - 1.0 - r for (a, b), r in zip(pairwise(equity), rates, strict=True)]
    return annual(moments(excess).sharpe, bars_a_year(len(excess), seconds))


def bars_a_year(count: int, seconds: float) -> float:
    """Return how many bars make a year where ``count`` of them span so many seconds."""
    return count / seconds * SECONDS_A_YEAR if seconds > 0 else 0.0


def closed_trades(shares: Sequence[int], prices: Sequence[int], costs: Sequence[int]) -> list[int]:
    """Return the profit in micros of each round trip of one symbol, from flat to flat."""
    profits, held, booked = [], 0, 0
    for bought, price, cost in zip(shares, prices, costs, strict=True):
        if not bought:
            continue
        held += bought
        booked -= bought * price + cost
        if held == 0:
            profits.append(booked)
            booked = 0
    return profits
