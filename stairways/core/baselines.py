"""What simple strategies would have done on the same bars, and their books as another sum.

The strategies are paths of actions. The environment plays them when a candidate is judged;
``fold`` plays them again for a replay, by the rules of ``core.ledger`` and with profit as
position times price move, so that no recorded figure about them has to be believed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stairways.core.ledger import (
    HOLD,
    Books,
    Execution,
    Holding,
    Quote,
    TradingRules,
    lot_size,
    order,
)
from stairways.core.replay.books import Market
from stairways.core.values import Micros

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

BUY_AND_HOLD, ALWAYS_HOLD, RANDOM = 0, 1, 2
"""Columns of ``Baselines.equity``; the random policies are those from ``RANDOM`` on."""


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """What each simple strategy was worth at the start and after each bar: ``(n + 1, 2 + R)``."""

    equity: Int64

    @property
    def profits(self) -> Float64:
        """Profit of each, as a share of the starting capital."""
        profits: Float64 = self.equity[-1] / self.equity[0] - 1.0
        return profits

    def until(self, count: int) -> "Baselines":
        """Return the first ``count`` bars, those a candidate saw that was ruined on the way."""
        return Baselines(self.equity[: count + 1])


def paths(symbols: int, lots: int, hold_rate: float, uniforms: Float64) -> Int64:
    """Return the actions of every simple strategy, ``(n, 2 + R)``, from draws ``(2, R, n)``.

    Buy and hold buys ``lots`` lots of each symbol, one a bar, and then waits. Always hold never
    trades. A random policy holds exactly as often as ``hold_rate`` says, at bars drawn by lot,
    and elsewhere takes any other action, each as likely.
    """
    _, policies, count = uniforms.shape
    hold, most = (3**symbols - 1) // 2, 3**symbols - 1
    actions = np.full((count, RANDOM + policies), hold, np.int64)
    actions[:lots, BUY_AND_HOLD] = most
    others = np.minimum(np.floor(uniforms[1] * most).astype(np.int64), most - 1)
    others += others >= hold
    rank = np.argsort(np.argsort(uniforms[0], axis=1, kind="stable"), axis=1, kind="stable")
    held = rank < round(hold_rate * count)
    actions[:, RANDOM:] = np.where(held, hold, others).T
    return actions


def fold(actions: Int64, first: int, market: Market, rules: TradingRules) -> Baselines:
    """Return the books of every path of actions from row ``first`` on.

    An account that is ruined stays as it was; nothing else ends an evaluation early.
    """
    steps, strategies = actions.shape
    equity = np.empty((steps + 1, strategies), np.int64)
    equity[0] = rules.starting_capital
    books = _Books(
        positions=np.zeros((strategies, len(market.symbols)), np.int64),
        lots=np.zeros((strategies, len(market.symbols)), np.int64),
        equity=equity[0].copy(),
    )
    for step in range(steps):
        books.trade(actions[step], first + step, market, rules)
        equity[step + 1] = books.equity
    return Baselines(equity)


@dataclass(slots=True, eq=False)
class _Books:
    """Positions and lots ``(S, N)`` and equity ``(S,)`` of all strategies at one bar."""

    positions: Int64
    lots: Int64
    equity: Int64

    def trade(self, actions: Int64, row: int, market: Market, rules: TradingRules) -> None:
        """Take every strategy that is not ruined to the next bar."""
        close, fill = market.before[row], market.fills[row]
        cash = self.equity - (self.positions * close).sum(axis=1)
        shorts = (np.maximum(-self.positions, 0) * close).sum(axis=1)
        accrued = np.rint(cash * market.interest[row]) - np.rint(shorts * market.borrow[row])
        earned = accrued.astype(np.int64) + (self.positions * (fill - close)).sum(axis=1)
        alive = self.equity > 0
        symbols = len(market.symbols)
        trading = np.flatnonzero(alive & (actions != (3**symbols - 1) // 2))
        for strategy in trading.tolist():
            worth = int(self.equity[strategy] + earned[strategy])
            earned[strategy] -= self._execute(
                strategy, int(actions[strategy]), worth, (row, market, rules)
            )
        earned += (self.positions * (market.after[row] - fill)).sum(axis=1)
        self.equity += np.where(alive, earned, 0)

    def _execute(
        self, strategy: int, action: int, worth: int, place: tuple[int, Market, TradingRules]
    ) -> int:
        """Execute the orders of one strategy, whose equity at fill prices is ``worth``.

        Returns what they cost.
        """
        row, market, rules = place
        held, lots = self.positions[strategy].tolist(), self.lots[strategy].tolist()
        fills: list[int] = market.fills[row].tolist()
        equity, paid = Micros(int(self.equity[strategy])), 0
        for symbol, digit in _orders(action, len(fills)):
            lot = lot_size(equity, int(market.before[row, symbol]), rules)
            quote = Quote(fills[symbol], lot, bool(market.tradable[row, symbol]))
            gross = sum(abs(shares) * price for shares, price in zip(held, fills, strict=True))
            holding, books = Holding(held[symbol], lots[symbol]), Books(gross, worth - paid)
            done: Execution = order(digit, holding, quote, books, rules)
            held[symbol] += done.shares
            lots[symbol], paid = done.lots, paid + done.cost
        self.positions[strategy], self.lots[strategy] = held, lots
        return paid


def _orders(action: int, symbols: int) -> Iterator[tuple[int, int]]:
    """Yield symbol and digit of every order in an action, first symbol highest in base 3."""
    for symbol in range(symbols):
        digit = action // 3 ** (symbols - 1 - symbol) % 3
        if digit != HOLD:
            yield symbol, digit
