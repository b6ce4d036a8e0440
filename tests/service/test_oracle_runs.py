"""Whole runs, read from the log, against ledgers that nobody here wrote.

Every episode of every attempt and every evaluation is an account of its own. A small run is
compared with every test; ``make soak`` trains whole stairways on real bars.
"""

import dataclasses
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stairways.bootstrap import App, Flags
from stairways.core import events as e
from stairways.core.ledger import TradingRules
from stairways.core.values import Micros
from stairways.market.bars import Bars
from stairways.market.canonical import decode_bars, encode_bars
from stairways.market.loading import load_bars
from stairways.service.replay.setup import rules_from
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.run import Job, run_stairway
from stairways.service.stairway.unfinished import start_of
from stairways.store.contract import EventStore
from tests.ledgers import DOLLAR, Kept, Orders, by_bt, by_vectorbt
from tests.small_run import Quiet
from tests.trained import context, new_store, train

CLOSE_ENOUGH = 1e-9
SPARE = 50_000.0  # dollars, where ours has earned interest
SHARED = Path(os.environ.get("STAIRWAYS_SHARED", Path(__file__).parents[2] / "../shared"))
Step = e.StepTaken | e.EvaluationStepTaken

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, about each other


@pytest.fixture(scope="module")
def vectorbt() -> ModuleType:
    found: ModuleType = pytest.importorskip("vectorbt", reason="pip install '.[test]'")
    return found


def episodes(store: EventStore, run: str) -> Iterator[list[Step]]:
    """Yield the steps of each account of a run, from its start to its end."""
    open_ones: dict[int, list[Step]] = defaultdict(list)
    for record in store.read(types=("CycleStarted", "StepTaken", "EvaluationStepTaken")):
        if record.stream != f"run-{run}":
            continue
        event = decoded(record)
        if not isinstance(event, Step):
            yield from open_ones.values()
            open_ones.clear()
            continue
        lane = event.lane if isinstance(event, e.StepTaken) else -1
        open_ones[lane].append(event)
        if event.terminated or event.truncated:
            yield open_ones.pop(lane)
    yield from open_ones.values()


def orders_of(steps: Sequence[Step], bars: Bars) -> Orders:
    rows = np.array([step.bar + 1 for step in steps])
    return Orders(
        close=bars.close[rows] / DOLLAR,
        price=np.array([step.prices for step in steps]) / DOLLAR,
        size=np.array([step.shares for step in steps], np.float64),
        times=bars.times[rows],
        names=bars.symbols,
    )


def apart(steps: Sequence[Step], kept: Kept) -> float:
    """Return the largest difference of equity in dollars, interest and borrow taken off."""
    flows = np.cumsum([step.interest - step.borrow for step in steps]) / DOLLAR
    equity = np.array([step.equity for step in steps]) / DOLLAR
    return float(np.abs(equity - flows - kept.equity).max())


def of_run(store: EventStore, run: str) -> tuple[Bars, TradingRules, list[list[Step]]]:
    start = start_of(store, run)
    bars = decode_bars(store.get_blob(start.data))
    found = [steps for steps in episodes(store, run) if any(any(s.shares) for s in steps)]
    return bars, rules_from(start.settings), found


def test_vectorbt_keeps_the_same_books_of_a_whole_run(vectorbt: ModuleType) -> None:
    """Shorts, costs, clipped orders, interest, borrow and episodes that end within a rollout."""
    store = new_store()
    train(store, trading__impact_bp="0")  # which neither of the two ledgers knows
    bars, rules, accounts = of_run(store, "r1")
    largest = max(
        apart(steps, by_vectorbt(vectorbt, orders_of(steps, bars), rules, SPARE))
        for steps in accounts
    )
    assert len(accounts) > 20
    assert sum(any(p < 0 for p in step.positions) for steps in accounts for step in steps) > 50
    assert largest < CLOSE_ENOUGH * rules.starting_capital / DOLLAR


def demo_bars() -> Bars:
    """Return the bars of the demo, AAPL and MSFT from 2000 to 2013."""
    demo = pytest.importorskip("stairways.cli.demo")
    return load_bars([demo.bars_file()], symbols=demo.SYMBOLS, adjustment="splits+dividends").bars


def long_bars() -> Bars:
    """Return all daily bars of NVDA and MSFT there are, 1999 to 2026, or skip."""
    sources = ("gcfc__money-tree/{}_1d.csv.gz", "jinit2000__stock-analyzer-ml-v2/{}.parquet")
    paths = [SHARED / "market" / one.format(name) for name in ("NVDA", "MSFT") for one in sources]
    if not all(path.exists() for path in paths):
        pytest.skip(f"no real bars in {SHARED}; set STAIRWAYS_SHARED")
    return load_bars(paths, adjustment="splits").bars


@pytest.mark.soak
@pytest.mark.parametrize("read", [demo_bars, long_bars])
def test_both_ledgers_keep_the_same_books_of_whole_real_runs(
    vectorbt: ModuleType, read: Callable[[], Bars]
) -> None:
    """The full stairway on real bars: vectorbt on every episode, bt on every evaluation."""
    bt = pytest.importorskip("bt", reason="pip install '.[oracle]'")
    bars, store = read(), new_store()
    store.put_blob(encode_bars(bars))
    plan = App(Flags(), {}).plan()
    run_stairway(Job(run="r1", plan=plan, bars=bars, store=store, context=context, watcher=Quiet()))
    bars, rules, accounts = of_run(store, "r1")
    by_name: dict[str, list[float]] = {"vectorbt": [], "bt": []}
    for steps in accounts:
        orders = orders_of(steps, bars)
        by_name["vectorbt"].append(apart(steps, by_vectorbt(vectorbt, orders, rules, SPARE)))
        if isinstance(steps[0], e.EvaluationStepTaken):
            by_name["bt"].append(apart(steps, by_bt(bt, orders, rules)))
    orders_filled = sum(sum(s != 0 for s in step.shares) for steps in accounts for step in steps)
    most = max(step.equity for steps in accounts for step in steps) / DOLLAR
    for name, found in by_name.items():
        print(  # noqa: T201 - the figure is the result
            f"{name}, {'+'.join(bars.symbols)}: {len(found)} accounts of a whole run of "
            f"{orders_filled} orders, largest difference {max(found):.2e} dollars of {most:,.0f}"
        )
        assert max(found) < CLOSE_ENOUGH * most


def test_a_book_that_lost_a_cost_would_be_seen(vectorbt: ModuleType) -> None:
    store = new_store()
    train(store, trading__impact_bp="0")
    bars, rules, accounts = of_run(store, "r1")
    steps = accounts[0]
    first = next(i for i, step in enumerate(steps) if any(step.shares))
    forged = [
        dataclasses.replace(step, equity=Micros(step.equity + rules.ticket)) if i >= first else step
        for i, step in enumerate(steps)
    ]
    assert apart(forged, by_vectorbt(vectorbt, orders_of(steps, bars), rules, SPARE)) > 0.4
