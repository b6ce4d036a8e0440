"""Simple strategies: the books that replay keeps of them are those of the environment."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.core.baselines import ALWAYS_HOLD, BUY_AND_HOLD, RANDOM, Int64, fold, paths
from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.core.replay.books import market_of
from stairways.env.lanes import Lanes
from stairways.env.tape import tape_of
from stairways.market.bars import Bars

FIRST, STEPS = 60, 80
RULES = TradingRules(hard_stop=1.0, episode_length=10**6)
MakeBars = Callable[..., Bars]


def played(bars: Bars, rules: TradingRules, actions: Int64) -> Int64:
    """Return what the environment says each path of actions is worth, ruined ones frozen."""
    lanes = Lanes(
        tape_of(bars, rules),
        rules,
        ControllerRules(),
        window=(FIRST, len(bars)),
        count=actions.shape[1],
        capacity=len(actions),
        seed=0,
        start=FIRST,
    )
    for row in actions:
        lanes.step(row)
    equity = np.vstack(
        [np.full(actions.shape[1], rules.starting_capital), lanes.trace.steps["equity"]]
    )
    for strategy in range(actions.shape[1]):
        ruined = np.flatnonzero(equity[:, strategy] <= 0)
        if len(ruined):
            equity[ruined[0] :, strategy] = equity[ruined[0], strategy]
    return equity


def told(bars: Bars, rules: TradingRules, actions: Int64) -> Int64:
    market = market_of(
        bars.symbols,
        rules,
        times=bars.times,
        opens=bars.open,
        closes=bars.close,
        volumes=bars.volume,
    )
    return fold(actions, FIRST, market, rules).equity


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    symbols=st.sampled_from([1, 2, 3]),
    hold=st.sampled_from([0.0, 0.4, 0.75]),
    change=st.fixed_dictionaries(
        {
            "fill": st.sampled_from(["next_open", "close"]),
            "max_lots": st.sampled_from([1, 3]),
            "allow_short": st.booleans(),
            "borrow_rate": st.sampled_from([0.0, 0.4]),
            "impact_bp": st.sampled_from([0.0, 20.0]),
            "max_gross": st.sampled_from([0.4, 1.0, 8.0]),
            "lot_fraction": st.sampled_from([0.25, 2.0]),
        }
    ),
)
def test_the_other_sum_gives_the_books_of_the_environment_to_the_micro(
    wander: MakeBars, seed: int, symbols: int, hold: float, change: dict[str, Any]
) -> None:
    rules = replace(RULES, **change)
    bars = wander(FIRST + STEPS + 1, symbols, seed, spread=0.2)
    draws = np.random.default_rng(seed).random((2, 6, STEPS))
    actions = paths(symbols, rules.max_lots, hold, draws)
    assert (told(bars, rules, actions) == played(bars, rules, actions)).all()


def test_a_ruined_strategy_stays_as_it_was(wander: MakeBars) -> None:
    """With eight times its equity at stake in bars that move by a fifth, some are ruined."""
    rules = replace(RULES, max_gross=8.0, lot_fraction=4.0)
    bars = wander(FIRST + STEPS + 1, 2, 3, spread=0.2)
    actions = paths(2, 1, 0.4, np.random.default_rng(3).random((2, 6, STEPS)))
    equity = told(bars, rules, actions)
    ruined = np.flatnonzero((equity <= 0).any(axis=0))
    assert len(ruined) > 0
    assert (equity == played(bars, rules, actions)).all()


@pytest.mark.parametrize("symbols", [1, 2, 3])
@pytest.mark.parametrize("hold", [0.0, 0.655, 0.75, 1.0])
def test_a_random_policy_holds_exactly_as_often_as_the_candidate(symbols: int, hold: float) -> None:
    draws = np.random.default_rng(1).random((2, 40, 200))
    actions = paths(symbols, 1, hold, draws)[:, RANDOM:]
    waiting = (3**symbols - 1) // 2
    assert ((actions == waiting).sum(axis=0) == round(200 * hold)).all()
    others = actions[actions != waiting]
    assert set(others.tolist()) <= set(range(3**symbols)) - {waiting}
    if hold < 1:
        assert len(set(others.tolist())) == 3**symbols - 1


def test_buy_and_hold_buys_what_the_limit_lets_and_always_hold_nothing() -> None:
    actions = paths(2, 3, 0.5, np.zeros((2, 1, 10)))
    assert actions[:, BUY_AND_HOLD].tolist() == [8] * 3 + [4] * 7
    assert actions[:, ALWAYS_HOLD].tolist() == [4] * 10
