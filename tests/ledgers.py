"""Two ledgers that nobody here wrote, told signed orders at given prices: vectorbt and bt.

Both keep their own books in floats. Neither knows interest or borrow fees, so what these add up
to is taken off our equity before it is compared, and held against the others' cash and shorts.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from stairways.core.ledger import TradingRules

DOLLAR = 1e6
Dollars = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Orders:
    """One account, bar by bar: closes, fill prices and signed shares ``(n, N)`` in dollars.

    Row i is what was filled between two closes, and ``close`` the second of them.
    """

    close: Dollars
    price: Dollars
    size: Dollars
    times: npt.NDArray[np.int64]  # of the second close, in nanoseconds
    names: tuple[str, ...]

    @property
    def count(self) -> int:
        return int((self.size != 0).sum())


@dataclass(frozen=True)
class Kept:
    """What a ledger says after each bar: equity and cash ``(n,)``, shares ``(n, N)``."""

    equity: Dollars
    cash: Dollars
    shares: Dollars


def by_vectorbt(
    vectorbt: ModuleType, orders: Orders, rules: TradingRules, spare: float = 0.0
) -> Kept:
    """Return vectorbt's books; ``spare`` is cash it may use where ours has interest, and is none.

    It would cut an order that its cash does not cover.
    """
    pandas = importlib.import_module("pandas")
    close, price, size = (
        pandas.DataFrame(values) for values in (orders.close, orders.price, orders.size)
    )
    book = vectorbt.Portfolio.from_orders(
        close,
        size.where(size != 0, np.nan),
        price=price,
        size_type="amount",
        direction="both",
        fees=rules.commission_bp / 1e4,
        fixed_fees=rules.ticket / DOLLAR,
        init_cash=rules.starting_capital / DOLLAR + spare,
        cash_sharing=True,
        group_by=True,
        call_seq="default",
    )
    assert book.orders.count() == orders.count
    values: list[Any] = [book.value(), book.cash(), book.assets()]
    equity, cash, shares = (np.asarray(one, np.float64) for one in values)
    return Kept(equity - spare, cash - spare, shares)


def by_bt(bt: ModuleType, orders: Orders, rules: TradingRules) -> Kept:
    pandas = importlib.import_module("pandas")
    days, names = pandas.to_datetime(orders.times), list(orders.names)
    listed = [
        (days[step], names[symbol], orders.size[step, symbol], orders.price[step, symbol])
        for step, symbol in np.argwhere(orders.size != 0)
    ]
    wanted = pandas.DataFrame(listed, columns=["Date", "Security", "quantity", "price"])
    strategy = bt.Strategy("orders", [bt.algos.ReplayTransactions("orders")])
    test = bt.Backtest(
        strategy,
        pandas.DataFrame(orders.close, days, names),
        initial_capital=rules.starting_capital / DOLLAR,
        integer_positions=False,
        commissions=lambda q, p: abs(q) * p * rules.commission_bp / 1e4 + rules.ticket / DOLLAR,
        additional_data={
            "orders": wanted.set_index(["Date", "Security"]),
            "bidoffer": pandas.DataFrame(0.0, days, names),
        },
        progress_bar=False,
    )
    test.run()
    equity = np.asarray(test.strategy.values, np.float64)[1:]  # theirs begins a day before
    held = np.cumsum(orders.size, axis=0)
    return Kept(equity, equity - (held * orders.close).sum(axis=1), held)
