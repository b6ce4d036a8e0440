"""Nothing before a bar knows of it: features, regime, actions, fills, balances, controller."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env.lanes import Lanes, Trace
from stairways.env.tape import tape_of
from stairways.features import features, regime_scores
from stairways.market.bars import Bars, Frequency
from stairways.market.simulation import simulate

ROWS, FIRST = 200, 60
FillPrice = Literal["next_open", "close"]
COLUMNS = ("times", "open", "high", "low", "close", "volume")
SESSIONS = ("session", "session_open", "session_close")


def cut(bars: Bars, row: int) -> Bars:
    """Delete every bar from ``row`` on."""
    return replace(bars, **{name: getattr(bars, name)[:row] for name in COLUMNS + SESSIONS})


def invent(bars: Bars, row: int) -> Bars:
    """Make up every bar from ``row`` on."""
    changed = {name: getattr(bars, name).copy() for name in COLUMNS[1:]}
    for values in changed.values():
        values[row:] = values[row:][::-1] * 3 + 1
    return replace(bars, **changed)


def shift(bars: Bars, row: int) -> Bars:
    """Drop the bar ``row``, so that every later one comes a bar too early."""
    changed = {name: np.delete(getattr(bars, name), row, axis=0) for name in COLUMNS[1:]}
    return replace(cut(bars, ROWS - 1), **changed)


WAYS: dict[str, Callable[[Bars, int], Bars]] = {"cut": cut, "invent": invent, "shift": shift}


def traded(bars: Bars, rules: TradingRules, last: int) -> Trace:
    """Return the trace of a policy that reads every number it sees, up to row ``last``."""
    lanes = Lanes(
        tape_of(bars, rules),
        rules,
        ControllerRules(dynamic_target=True),
        window=(FIRST, last + 1),
        count=1,
        capacity=ROWS,
        seed=0,
        start=FIRST,
    )
    for _ in range(last - FIRST):
        seen = lanes.observations.astype(np.float64)
        lanes.step((np.abs(seen).sum(axis=1) * 1e4).astype(np.int64) % 9)
    return lanes.trace


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    row=st.integers(FIRST + 3, ROWS - 2),
    way=st.sampled_from(sorted(WAYS)),
    frequency=st.sampled_from(["1d", "1h"]),
    fill=st.sampled_from(["next_open", "close"]),
)
def test_no_fact_before_a_bar_depends_on_it(
    seed: int, row: int, way: str, frequency: Frequency, fill: FillPrice
) -> None:
    rules = replace(TradingRules(), fill=fill)
    bars = simulate(["A", "B"], ROWS, seed, frequency=frequency).bars
    other = WAYS[way](bars, row)

    assert features(other).matrix[:row].tobytes() == features(bars).matrix[:row].tobytes()
    assert regime_scores(other)[:row].tobytes() == regime_scores(bars)[:row].tobytes()
    here, there = traded(bars, rules, row - 1), traded(other, rules, row - 1)
    assert here.steps["row"][-1, 0] == row - 2
    assert here.steps.tobytes() == there.steps.tobytes()
    assert here.orders.tobytes() == there.orders.tobytes()


def test_the_comparison_would_see_a_look_ahead() -> None:
    bars = simulate(["A", "B"], ROWS, 1).bars
    for way in (invent, shift):
        assert (features(way(bars, 100)).matrix[100] != features(bars).matrix[100]).any()
    here = traded(bars, TradingRules(), 110)
    there = traded(invent(bars, 100), TradingRules(), 110)
    assert (here.steps != there.steps).any()
