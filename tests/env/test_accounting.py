"""Accounting errors that were found in other environments; each is one that ours has not."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.core.statistics import closed_trades
from stairways.core.values import Micros
from stairways.env.lanes import Lanes, Trace
from stairways.env.tape import tape_of
from stairways.market.bars import Bars, Int64

FIRST = 60
SELL, HOLD, BUY = 0, 1, 2
DOLLAR = 1_000_000
CAPITAL = 100_000 * DOLLAR
MakeBars = Callable[..., Bars]
FillPrice = Literal["next_open", "close"]


def played(bars: Bars, rules: TradingRules, actions: Sequence[int] | Int64) -> Trace:
    """Return the trace of one lane that starts on row ``FIRST`` and takes these actions."""
    lanes = Lanes(
        tape_of(bars, rules),
        rules,
        ControllerRules(base_multiple=0.0),
        window=(FIRST, len(bars)),
        count=1,
        capacity=len(actions),
        seed=0,
        start=FIRST,
    )
    for action in actions:
        lanes.step(np.array([action]))
    return lanes.trace


def flat(rows: int, price: int = DOLLAR) -> list[int]:
    return [price] * rows


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    symbols=st.sampled_from([1, 2, 3, 10]),
    fill=st.sampled_from(["next_open", "close"]),
)
def test_equity_moves_only_by_position_times_price_move_costs_interest_and_borrow(
    wander: MakeBars, seed: int, symbols: int, fill: FillPrice
) -> None:
    rules = replace(TradingRules(hard_stop=1.0, borrow_rate=0.3, max_lots=2), fill=fill)
    bars = wander(200, symbols, seed)
    actions = np.random.default_rng(seed).integers(0, 3**symbols, 139)
    steps, orders = played(bars, rules, actions)
    ended = np.flatnonzero(steps["terminated"][:, 0] | steps["truncated"][:, 0])
    count = int(ended[0]) + 1 if len(ended) else len(steps)
    rows = steps["row"][:count, 0]
    held = orders["position"][:count, 0]
    before = np.vstack([np.zeros_like(held[:1]), held[:-1]])
    paid = orders["price"][:count, 0]
    earned = (before * (paid - bars.close[rows]) + held * (bars.close[rows + 1] - paid)).sum(axis=1)
    booked = steps["interest"] - steps["borrow"]
    change = earned - orders["cost"][:count, 0].sum(axis=1) + booked[:count, 0]

    assert (held - before == orders["shares"][:count, 0]).all()
    assert (np.cumsum(change) + rules.starting_capital == steps["equity"][:count, 0]).all()


def test_borrow_of_a_tenth_of_a_per_cent_a_bar_is_charged_as_booked(
    make_bars: MakeBars, free: TradingRules
) -> None:
    rules = replace(free, borrow_rate=0.365)  # daily bars: 0.1 % each
    steps, _ = played(make_bars(flat(400)), rules, [SELL] + [HOLD] * 252)
    assert steps["borrow"][:, 0].tolist() == [0] + [25 * DOLLAR] * 252
    assert steps["equity"][-1, 0] == CAPITAL - 252 * 25 * DOLLAR


def test_buy_and_hold_of_a_price_that_doubles_is_rewarded(
    make_bars: MakeBars, free: TradingRules
) -> None:
    prices = np.linspace(DOLLAR, 2 * DOLLAR, 140).astype(int)
    prices[: FIRST + 2] = DOLLAR
    rules = replace(free, lot_fraction=1.0)
    steps, _ = played(make_bars(prices), rules, [BUY] + [HOLD] * 78)
    assert steps["equity"][-1, 0] == 2 * CAPITAL
    assert steps["reward"].sum() == pytest.approx(1e4 * math.log(2))


def test_a_hundred_round_trips_at_a_flat_price_cost_as_much_in_reward_as_in_cash(
    make_bars: MakeBars,
) -> None:
    rules = TradingRules(risk_free_rate=0.0, drawdown_weight=0.0)
    steps, orders = played(make_bars(flat(300)), rules, [BUY, SELL] * 100)
    final = int(steps["equity"][-1, 0])
    assert (orders["cost"] > 0).all()
    assert final == CAPITAL - orders["cost"].sum()
    assert steps["reward"].sum() == pytest.approx(1e4 * math.log(final / CAPITAL))
    assert steps["reward"].sum() == pytest.approx(-200 * 0.3, abs=0.1)


def test_the_log_returns_of_an_episode_add_up_to_its_change_of_equity(wander: MakeBars) -> None:
    """Neither is a percentage summed that should be compounded, nor the last reward paid twice."""
    actions = np.random.default_rng(1).integers(0, 9, 100)
    steps, _ = played(wander(161, 2, 5, spread=0.005), TradingRules(), actions)
    ended = steps["terminated"] | steps["truncated"]
    assert ended[:, 0].tolist() == [False] * 99 + [True]
    total = 1e4 * math.log(steps["equity"][-1, 0] / CAPITAL)
    assert steps["log_return"].sum() == pytest.approx(total)
    terms = steps["log_return"] - steps["risk_free"] - steps["drawdown_penalty"]
    assert (terms + steps["hold_bonus"] == steps["reward"]).all()


def test_a_buy_after_a_bar_was_seen_does_not_win_the_jump_behind_it(
    make_bars: MakeBars, free: TradingRules
) -> None:
    close, opened = flat(FIRST + 1) + flat(9, 2 * DOLLAR), flat(FIRST + 1) + flat(9, 2 * DOLLAR)
    bars = make_bars(close, opened=opened)
    late, _ = played(bars, free, [BUY, HOLD])
    early, _ = played(bars, replace(free, fill="close"), [BUY, HOLD])
    assert late["equity"][-1, 0] == CAPITAL
    assert early["equity"][-1, 0] == CAPITAL * 5 // 4  # only where the configuration says so


def test_an_order_is_filled_at_the_next_open(make_bars: MakeBars, free: TradingRules) -> None:
    rows = np.arange(80)
    bars = make_bars(DOLLAR + 10 * rows, opened=DOLLAR + 10 * rows + 3)
    steps, orders = played(bars, free, [BUY])
    assert steps["row"][0, 0] == FIRST
    assert orders["price"][0, 0, 0] == bars.open[FIRST + 1, 0]
    assert orders["shares"][0, 0, 0] == CAPITAL // 4 // bars.close[FIRST, 0]


def test_configured_costs_are_charged(make_bars: MakeBars) -> None:
    def costs(rules: TradingRules) -> int:
        steps, _ = played(make_bars(flat(70)), replace(rules, risk_free_rate=0.0), [BUY])
        return CAPITAL - int(steps["equity"][0, 0])

    plain = TradingRules()
    assert costs(plain) == 3 * DOLLAR
    assert costs(replace(plain, commission_bp=2.0)) == 5 * DOLLAR + DOLLAR // 2
    assert costs(replace(plain, ticket=Micros(DOLLAR))) == 3 * DOLLAR + DOLLAR // 2
    assert costs(replace(plain, impact_bp=2.0)) == 5 * DOLLAR + DOLLAR // 2


def test_a_commission_is_booked_once_and_in_the_step_of_its_fill(make_bars: MakeBars) -> None:
    rules = TradingRules(risk_free_rate=0.0)
    steps, orders = played(make_bars(flat(80)), rules, [BUY, HOLD, HOLD, SELL, HOLD])
    paid = orders["cost"][:, 0, 0]
    assert (paid > 0).tolist() == [True, False, False, True, False]
    assert (CAPITAL - np.cumsum(paid) == steps["equity"][:, 0]).all()


def test_losses_beyond_zero_stay_on_the_books_and_end_the_episode(
    make_bars: MakeBars, free: TradingRules
) -> None:
    close = flat(FIRST + 2) + flat(10, 101 * DOLLAR)
    steps, orders = played(make_bars(close), free, [SELL, HOLD, HOLD])
    assert steps["equity"][:, 0].tolist() == [CAPITAL, CAPITAL - 25 * CAPITAL, CAPITAL]
    assert steps["terminated"][:, 0].tolist() == [False, True, False]
    assert orders["position"][:, 0, 0].tolist() == [-25_000, -25_000, 0]
    assert np.isfinite(steps["reward"]).all()


def test_a_jump_of_ten_thousand_per_cent_is_earned_by_who_held_the_share(
    make_bars: MakeBars, free: TradingRules
) -> None:
    close = flat(FIRST + 2) + flat(10, 101 * DOLLAR)
    steps, _ = played(make_bars(close), free, [BUY, HOLD])
    assert steps["equity"][-1, 0] == 26 * CAPITAL


def test_the_step_that_ends_an_episode_is_recorded_as_it_was(
    make_bars: MakeBars, free: TradingRules
) -> None:
    close = np.full(FIRST + 4, DOLLAR)
    close[-1] = 2 * DOLLAR
    steps, orders = played(make_bars(close), free, [BUY, HOLD, HOLD])
    assert steps["truncated"][:, 0].tolist() == [False, False, True]
    assert orders["position"][-1, 0, 0] == 25_000
    assert steps["equity"][-1, 0] == CAPITAL * 5 // 4


@pytest.mark.parametrize(("above", "stopped"), [(0, True), (1, False)])
def test_one_micro_decides_the_hard_stop(
    make_bars: MakeBars, free: TradingRules, *, above: int, stopped: bool
) -> None:
    """A float32 would take both for the same."""
    close = flat(FIRST + 2, 10**9) + flat(5, 2 * 10**8 + above)
    rules = replace(free, starting_capital=Micros(4 * 10**9), hard_stop=0.2)
    steps, _ = played(make_bars(close), rules, [BUY, HOLD])
    assert steps["equity"][-1, 0] == 32 * 10**8 + above
    assert bool(steps["terminated"][-1, 0]) is stopped


def test_recorded_steps_do_not_change_afterwards(wander: MakeBars) -> None:
    rules = TradingRules()
    lanes = Lanes(
        tape_of(wander(200, 2, 1), rules),
        rules,
        ControllerRules(),
        window=(FIRST, 200),
        count=2,
        capacity=60,
        seed=1,
    )
    actions = np.random.default_rng(1).integers(0, 9, (60, 2))
    for chosen in actions[:20]:
        lanes.step(chosen)
    steps, orders = (records.copy() for records in lanes.trace)
    for chosen in actions[20:]:
        lanes.step(chosen)
    assert (lanes.trace.steps[:20] == steps).all()
    assert (lanes.trace.orders[:20] == orders).all()


def test_a_split_in_raw_prices_moves_the_books_by_what_it_says(
    make_bars: MakeBars, free: TradingRules
) -> None:
    """A ledger cannot know of splits that the data leave in; the data are found fault with."""
    close = flat(FIRST + 2, 10 * DOLLAR) + flat(10)
    steps, _ = played(make_bars(close), replace(free, hard_stop=0.2), [BUY, HOLD])
    assert steps["equity"][-1, 0] == CAPITAL - CAPITAL * 9 // 40
    assert steps["terminated"][-1, 0]


def test_an_episode_without_trades_earns_interest_and_nothing_else(wander: MakeBars) -> None:
    steps, orders = played(wander(200, 2, 1), TradingRules(), [4] * 139)
    assert not orders["shares"].any()
    assert steps["hold_rate"][-1, 0] == 1.0
    assert steps["equity"][-1, 0] == CAPITAL + steps["interest"].sum()
    assert np.abs(steps["reward"]).max() < 1e-3  # ln(1 + r) - r


def test_constant_prices_are_traded_at_cost(make_bars: MakeBars) -> None:
    actions = np.random.default_rng(1).integers(0, 3, 139)
    steps, orders = played(make_bars(flat(200)), TradingRules(), actions)
    assert np.isfinite(steps["reward"]).all()
    assert (orders["cost"] > 0).any()


def test_without_volume_no_order_is_filled_and_each_is_clipped(make_bars: MakeBars) -> None:
    actions = np.array([BUY, SELL, HOLD] * 30)
    _, orders = played(make_bars(flat(200), volume=0), TradingRules(), actions)
    assert not orders["shares"].any()
    assert not orders["lots"].any()
    assert (orders["clipped"][:, 0, 0] == (actions != HOLD)).all()


def test_a_symbol_that_stops_trading_can_neither_be_bought_nor_sold(make_bars: MakeBars) -> None:
    volume = np.full((100, 1), 1_000)
    volume[FIRST + 3 :] = 0
    _, orders = played(make_bars(flat(100), volume=volume), TradingRules(), [BUY, HOLD, SELL, SELL])
    assert orders["position"][:, 0, 0].tolist() == [25_000] * 4
    assert orders["clipped"][:, 0, 0].tolist() == [False, False, True, True]


def test_orders_that_are_cut_are_not_holds(make_bars: MakeBars) -> None:
    steps, orders = played(make_bars(flat(100)), TradingRules(), [BUY, BUY, BUY, BUY])
    assert orders["clipped"][:, 0, 0].tolist() == [False, True, True, True]
    assert steps["hold_rate"][-1, 0] == 0.0


def test_no_feature_disables_an_order(wander: MakeBars) -> None:
    """Whatever an observation says, also exactly 1.0 everywhere, fills and books are the same."""
    rules, bars = TradingRules(), wander(200, 2, 4)
    tape = tape_of(bars, rules)
    actions = np.random.default_rng(4).integers(0, 9, 100)
    traces = []
    for features in (tape.features, np.ones_like(tape.features), np.zeros_like(tape.features)):
        lanes = Lanes(
            replace(tape, features=features),
            rules,
            ControllerRules(),
            window=(FIRST, 200),
            count=1,
            capacity=100,
            seed=0,
            start=FIRST,
        )
        for action in actions:
            lanes.step(np.array([action]))
        traces.append(lanes.trace)
    assert (traces[0].orders["shares"] != 0).any()
    for trace in traces[1:]:
        assert (trace.orders == traces[0].orders).all()
        assert (trace.steps["equity"] == traces[0].steps["equity"]).all()


def test_a_round_trip_earns_what_its_fills_say(make_bars: MakeBars) -> None:
    """Also a short one, also the last: no profit is asked for once the position is gone."""
    prices = flat(FIRST + 2, 10 * DOLLAR) + [12 * DOLLAR] * 2 + [9 * DOLLAR] * 4
    opened = [10 * DOLLAR] * (FIRST + 2) + [12 * DOLLAR] * 2 + [9 * DOLLAR] * 4
    bars = make_bars(prices, opened=opened)
    _, orders = played(bars, TradingRules(), [BUY, HOLD, SELL, SELL, BUY])
    columns = [orders[name][:, 0, 0].tolist() for name in ("shares", "price", "cost")]
    (shares, paid, costs), trips = columns, closed_trades(*columns)
    assert shares[0] == -shares[2] > 0 > shares[3]
    assert trips[0] == shares[0] * (paid[2] - paid[0]) - costs[0] - costs[2]
    assert trips[1] == shares[3] * (paid[4] - paid[3]) - costs[3] - costs[4]
    assert len(trips) == 2


def test_trades_count_fills_and_nothing_else(make_bars: MakeBars) -> None:
    """Neither interest nor a clipped order, and a position that stays open is no round trip."""
    _, orders = played(make_bars(flat(200)), TradingRules(), [BUY, BUY, HOLD, SELL, BUY])
    columns = [orders[name][:, 0, 0].tolist() for name in ("shares", "price", "cost")]
    assert np.count_nonzero(orders["shares"]) == 3
    assert len(closed_trades(*columns)) == 1
