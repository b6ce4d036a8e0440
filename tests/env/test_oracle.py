"""The books of random orders against two ledgers that nobody here wrote: vectorbt and bt.

A few of them run with every test; bt is slow and needs the extra ``oracle``, so it and the rest
belong to ``make soak``, which prints the largest difference of each.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env.lanes import Lanes, Trace
from stairways.env.tape import tape_of
from stairways.market.bars import Bars
from stairways.market.loading import load_bars
from tests.ledgers import DOLLAR, Kept, Orders, by_bt, by_vectorbt

FIRST = 60
CLOSE_ENOUGH = 1e-9  # of equity: what floats lose on the way, and costs in whole micros
RULES = TradingRules(
    risk_free_rate=0.0, commission_bp=5.0, hard_stop=1.0, max_lots=2, episode_length=10**6
)
SHARED = Path(os.environ.get("STAIRWAYS_SHARED", Path(__file__).parents[2] / "../shared"))

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, about each other


@pytest.fixture(scope="module")
def vectorbt() -> ModuleType:
    found: ModuleType = pytest.importorskip("vectorbt", reason="pip install '.[test]'")
    return found


@pytest.fixture(scope="module")
def bt() -> ModuleType:
    found: ModuleType = pytest.importorskip("bt", reason="pip install '.[oracle]'")
    return found


def traded(bars: Bars, seed: int, hold: float, rules: TradingRules = RULES) -> Trace:
    """Return the trace of one long episode that holds at a rate and acts at random otherwise."""
    generator, count = np.random.default_rng(seed), len(bars) - FIRST - 1
    symbols = len(bars.symbols)
    drawn = generator.integers(0, 3**symbols, count)
    actions = np.where(generator.random(count) < hold, (3**symbols - 1) // 2, drawn)
    env = Lanes(
        tape_of(bars, rules),
        rules,
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


def orders_of(bars: Bars, trace: Trace) -> Orders:
    rows, orders = trace.steps["row"][:, 0] + 1, trace.orders[:, 0]
    return Orders(
        close=bars.close[rows] / DOLLAR,
        price=orders["price"] / DOLLAR,
        size=orders["shares"].astype(np.float64),
        times=bars.times[rows],
        names=bars.symbols,
    )


def difference(trace: Trace, kept: Kept, name: str) -> float:
    """Return the largest difference of equity at any bar, as a share of it, and print it."""
    flows = np.cumsum(trace.steps["interest"][:, 0] - trace.steps["borrow"][:, 0]) / DOLLAR
    equity = trace.steps["equity"][:, 0] / DOLLAR
    apart = np.abs(equity - flows - kept.equity)
    orders = int((trace.orders["shares"] != 0).sum())
    said = f"{name}: {orders} orders, {len(equity)} bars, largest difference {apart.max():.2e}"
    print(said, f"dollars of {equity.max():,.0f}")  # noqa: T201 - the figure is the result
    return float((apart / equity).max())


@pytest.mark.parametrize("symbols", [2, 3])
def test_vectorbt_keeps_the_same_books_of_a_few_random_orders(
    vectorbt: ModuleType, wander: Callable[..., Bars], symbols: int
) -> None:
    bars = wander(1_500, symbols, 7, spread=0.005)
    trace = traded(bars, 7, 0.4)
    assert trace.orders["clipped"].any()
    assert (trace.orders["position"] < 0).any()
    kept = by_vectorbt(vectorbt, orders_of(bars, trace), RULES)
    assert difference(trace, kept, "vectorbt") < CLOSE_ENOUGH


def test_partial_orders_of_a_gross_limit_are_kept_alike(
    vectorbt: ModuleType, wander: Callable[..., Bars]
) -> None:
    rules = replace(RULES, lot_fraction=0.4, max_gross=0.9)
    bars = wander(1_500, 2, 3, spread=0.005)
    trace = traded(bars, 3, 0.4, rules)
    cut = trace.orders["clipped"] & (trace.orders["shares"] != 0)
    assert cut.sum() > 20
    kept = by_vectorbt(vectorbt, orders_of(bars, trace), rules)
    assert difference(trace, kept, "vectorbt, partial orders") < CLOSE_ENOUGH


def test_interest_and_borrow_follow_from_the_cash_and_shorts_that_vectorbt_keeps(
    vectorbt: ModuleType, wander: Callable[..., Bars]
) -> None:
    """Ours are rates on our cash and shorts; here they are rates on another ledger's."""
    rules = replace(RULES, risk_free_rate=0.05, borrow_rate=0.08)
    bars = wander(1_500, 2, 5, spread=0.005)
    trace = traded(bars, 5, 0.4, rules)
    kept = by_vectorbt(vectorbt, orders_of(bars, trace), rules, spare=50_000.0)
    assert difference(trace, kept, "vectorbt, interest and borrow apart") < CLOSE_ENOUGH

    rows = trace.steps["row"][:, 0]
    years = (bars.times[rows + 1] - bars.times[rows]) / (365 * 86_400 * 1e9)
    interest, borrow = (trace.steps[name][:, 0] / DOLLAR for name in ("interest", "borrow"))
    before = np.concatenate(([0.0], np.cumsum(interest - borrow)[:-1]))
    cash = before + np.concatenate(([rules.starting_capital / DOLLAR], kept.cash[:-1]))
    held = np.vstack([np.zeros_like(kept.shares[:1]), kept.shares[:-1]])
    shorts = (np.maximum(-held, 0) * bars.close[rows] / DOLLAR).sum(axis=1)
    assert np.abs(interest - 0.05 * years * cash).max() < 1e-6
    assert np.abs(borrow - 0.08 * years * shorts).max() < 1e-6
    assert (borrow > 0).any()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("symbols", [1, 2, 3, 10])
def test_vectorbt_keeps_the_same_books_of_random_orders(
    vectorbt: ModuleType, wander: Callable[..., Bars], symbols: int, seed: int
) -> None:
    bars = wander(5_000, symbols, seed, spread=0.005)
    trace = traded(bars, seed, 0.4)
    kept = by_vectorbt(vectorbt, orders_of(bars, trace), RULES)
    assert difference(trace, kept, "vectorbt") < CLOSE_ENOUGH


@pytest.mark.soak
@pytest.mark.parametrize("hold", [0.0, 0.7])
def test_vectorbt_keeps_the_same_books_of_real_bars(vectorbt: ModuleType, hold: float) -> None:
    bars = real_bars()
    trace = traded(bars, 1, hold)
    kept = by_vectorbt(vectorbt, orders_of(bars, trace), RULES)
    assert difference(trace, kept, "vectorbt") < CLOSE_ENOUGH


@pytest.mark.soak
def test_bt_keeps_the_same_books_of_random_orders(
    bt: ModuleType, wander: Callable[..., Bars]
) -> None:
    bars = wander(1_500, 2, 1, spread=0.005)
    trace = traded(bars, 1, 0.4)
    kept = by_bt(bt, orders_of(bars, trace), RULES)
    assert difference(trace, kept, "bt") < CLOSE_ENOUGH


def real_bars() -> Bars:
    """Return daily bars of two shares from 1999 on, or skip."""
    folder = SHARED / "market/gcfc__money-tree"
    if not folder.exists():
        pytest.skip(f"no real bars at {folder}; set STAIRWAYS_SHARED")
    paths = [f"{symbol}={folder}/{symbol}_1d.csv.gz" for symbol in ("NVDA", "MSFT")]
    aligned = load_bars(paths, adjustment="splits+dividends", symbols=("NVDA", "MSFT"))
    return replace(aligned.bars, volume=np.maximum(aligned.bars.volume, 1))
