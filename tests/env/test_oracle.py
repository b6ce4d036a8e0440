"""The books against two ledgers that nobody here wrote: vectorbt and bt.

They need the extra ``oracle``: ``pip install -e ".[oracle]" -c ops/constraints.txt``.
Both are told the signed orders and prices of a trace and keep their own books in floats.
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env.lanes import Lanes, Trace
from stairways.env.tape import tape_of
from stairways.market.bars import Bars
from stairways.market.loading import load_bars

FIRST = 60
DOLLAR = 1e6
MISSING = "the extra 'oracle' is not installed"
CLOSE_ENOUGH = 1e-9  # of equity: what floats lose on the way, and costs in whole micros
RULES = TradingRules(
    risk_free_rate=0.0, commission_bp=5.0, hard_stop=1.0, max_lots=2, episode_length=10**6
)
SHARED = Path(os.environ.get("STAIRWAYS_SHARED", Path(__file__).parents[2] / "../shared"))
Dollars = npt.NDArray[np.float64]

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore"),  # theirs, about each other
]


@pytest.fixture(scope="module")
def vectorbt() -> ModuleType:
    found: ModuleType = pytest.importorskip("vectorbt", reason=MISSING)
    return found


@pytest.fixture(scope="module")
def bt() -> ModuleType:
    found: ModuleType = pytest.importorskip("bt", reason=MISSING)
    return found


def traded(bars: Bars, seed: int, hold: float) -> Trace:
    """Return the trace of one long episode that holds at a rate and acts at random otherwise."""
    generator, count = np.random.default_rng(seed), len(bars) - FIRST - 1
    symbols = len(bars.symbols)
    drawn = generator.integers(0, 3**symbols, count)
    actions = np.where(generator.random(count) < hold, (3**symbols - 1) // 2, drawn)
    env = Lanes(
        tape_of(bars, RULES),
        RULES,
        ControllerRules(),
        window=(FIRST, len(bars)),
        count=1,
        capacity=count,
        seed=0,
        start=FIRST,
    )
    for action in actions:
        env.step(np.array([action]))
    assert not env.trace.steps["terminated"].any()
    return env.trace


def frames(bars: Bars, trace: Trace) -> tuple[Dollars, Dollars, Dollars]:
    """Return closes, fill prices and signed orders in dollars and shares, ``(steps, N)``."""
    rows = trace.steps["row"][:, 0] + 1
    orders = trace.orders[:, 0]
    return bars.close[rows] / DOLLAR, orders["price"] / DOLLAR, orders["shares"].astype(np.float64)


def by_vectorbt(vectorbt: ModuleType, bars: Bars, trace: Trace) -> Dollars:
    pandas = importlib.import_module("pandas")
    close, price, size = (pandas.DataFrame(values) for values in frames(bars, trace))
    book = vectorbt.Portfolio.from_orders(
        close,
        size.where(size != 0, np.nan),
        price=price,
        size_type="amount",
        direction="both",
        fees=RULES.commission_bp / 1e4,
        fixed_fees=RULES.ticket / DOLLAR,
        init_cash=RULES.starting_capital / DOLLAR,
        cash_sharing=True,
        group_by=True,
        call_seq="default",
    )
    assert book.orders.count() == (size != 0).to_numpy().sum()
    return np.asarray(book.value(), np.float64)


def by_bt(bt: ModuleType, bars: Bars, trace: Trace) -> Dollars:
    pandas = importlib.import_module("pandas")
    close, price, size = frames(bars, trace)
    days = pandas.to_datetime(bars.times[trace.steps["row"][:, 0] + 1])
    names = list(bars.symbols)
    listed = [
        (days[step], names[symbol], size[step, symbol], price[step, symbol])
        for step, symbol in np.argwhere(size != 0)
    ]
    orders = pandas.DataFrame(listed, columns=["Date", "Security", "quantity", "price"])
    strategy = bt.Strategy("orders", [bt.algos.ReplayTransactions("orders")])
    test = bt.Backtest(
        strategy,
        pandas.DataFrame(close, days, names),
        initial_capital=RULES.starting_capital / DOLLAR,
        integer_positions=False,
        commissions=lambda q, p: abs(q) * p * RULES.commission_bp / 1e4 + RULES.ticket / DOLLAR,
        additional_data={
            "orders": orders.set_index(["Date", "Security"]),
            "bidoffer": pandas.DataFrame(0.0, days, names),
        },
        progress_bar=False,
    )
    test.run()
    return np.asarray(test.strategy.values, np.float64)[1:]  # theirs begins a day before


def difference(trace: Trace, value: Dollars, name: str) -> float:
    """Return the largest difference of equity at any bar, as a share of it, and print it."""
    equity = trace.steps["equity"][:, 0] / DOLLAR
    largest = float(np.abs(equity - value).max())
    share = float((np.abs(equity - value) / equity).max())
    orders = int((trace.orders["shares"] != 0).sum())
    said = f"{name}: {orders} orders, {len(equity)} bars, largest difference {largest:.2e} dollars"
    print(said, f"of {equity.max():,.0f}")  # noqa: T201 - the figure is the result
    return share


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("symbols", [1, 2, 3, 10])
def test_vectorbt_keeps_the_same_books_of_random_orders(
    vectorbt: ModuleType, wander: Callable[..., Bars], symbols: int, seed: int
) -> None:
    bars = wander(5_000, symbols, seed, spread=0.005)
    trace = traded(bars, seed, 0.4)
    assert difference(trace, by_vectorbt(vectorbt, bars, trace), "vectorbt") < CLOSE_ENOUGH


@pytest.mark.parametrize("hold", [0.0, 0.7])
def test_vectorbt_keeps_the_same_books_of_real_bars(vectorbt: ModuleType, hold: float) -> None:
    bars = real_bars()
    trace = traded(bars, 1, hold)
    assert difference(trace, by_vectorbt(vectorbt, bars, trace), "vectorbt") < CLOSE_ENOUGH


def test_bt_keeps_the_same_books_of_random_orders(
    bt: ModuleType, wander: Callable[..., Bars]
) -> None:
    bars = wander(1_500, 2, 1, spread=0.005)
    trace = traded(bars, 1, 0.4)
    assert difference(trace, by_bt(bt, bars, trace), "bt") < CLOSE_ENOUGH


def real_bars() -> Bars:
    """Return daily bars of two shares from 1999 on, or skip."""
    folder = SHARED / "market/gcfc__money-tree"
    if not folder.exists():
        pytest.skip(f"no real bars at {folder}; set STAIRWAYS_SHARED")
    paths = [f"{symbol}={folder}/{symbol}_1d.csv.gz" for symbol in ("NVDA", "MSFT")]
    aligned = load_bars(paths, adjustment="splits+dividends", symbols=("NVDA", "MSFT"))
    return replace(aligned.bars, volume=np.maximum(aligned.bars.volume, 1))
