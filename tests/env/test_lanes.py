"""The compiled lanes against the fold of plain values, and against themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.core.values import Micros
from stairways.env.lanes import Lanes
from stairways.env.tape import Tape, tape_of
from stairways.errors import BarsRefusedError, SettingsError, SpaceMismatchError
from stairways.market.bars import Bars, Int64

FIRST = 60

rules = st.builds(
    TradingRules,
    lot_fraction=st.floats(0.05, 1.5),
    max_lots=st.integers(1, 4),
    allow_short=st.booleans(),
    max_gross=st.floats(0.2, 2.0),
    commission_bp=st.floats(0, 50),
    ticket=st.integers(0, 5_000_000).map(Micros),
    impact_bp=st.floats(0, 50),
    borrow_rate=st.floats(0, 2),
    risk_free_rate=st.floats(-0.1, 1),
    fill=st.sampled_from(["next_open", "close"]),
    hard_stop=st.floats(0.02, 1.0),
    episode_length=st.integers(1, 60),
)
controls = st.builds(
    ControllerRules,
    window=st.integers(1, 30),
    slow_period=st.integers(1, 10),
    slow_gain=st.floats(0, 2),
    base_multiple=st.floats(0, 3),
    dynamic_target=st.booleans(),
)


def actions_for(symbols: int, steps: int, lanes: int, seed: int) -> Int64:
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, 3**symbols, (steps, lanes))
    still = generator.random((steps, lanes)) < 0.4
    return np.where(still, (3**symbols - 1) // 2, drawn)


def episode_starts(steps: np.ndarray[Any, Any]) -> list[Iterator[int]]:
    """Return for each lane the rows on which its episodes began, which chance decided."""
    done = steps["terminated"] | steps["truncated"]
    begins = np.concatenate((np.ones_like(done[:1]), done[:-1]))
    return [iter(steps["row"][begins[:, lane], lane].tolist()) for lane in range(done.shape[1])]


@dataclass(frozen=True, kw_only=True)
class Case:
    trading: TradingRules
    control: ControllerRules
    symbols: int
    lanes: int
    seed: int
    spread: float
    target: float


cases = st.builds(
    Case,
    trading=rules,
    control=controls,
    symbols=st.sampled_from([1, 2, 3, 10]),
    lanes=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.01, 0.1, 0.6]),
    target=st.floats(0.4, 0.75),
)


@settings(max_examples=100, deadline=None)
@given(case=cases)
def test_lanes_and_the_fold_of_plain_values_agree_in_every_bit(
    wander: Callable[..., Bars], told_again: Callable[..., list[dict[str, Any]]], case: Case
) -> None:
    bars = wander(160, case.symbols, case.seed, spread=case.spread)
    tape = tape_of(bars, case.trading)
    window = (FIRST, 160)
    env = Lanes(
        tape,
        case.trading,
        case.control,
        window=window,
        count=case.lanes,
        capacity=80,
        seed=case.seed,
    )
    env.set_target(case.target)
    actions = actions_for(case.symbols, 80, case.lanes, case.seed)
    for chosen in actions:
        try:
            env.step(chosen)
        except BarsRefusedError:  # wild prices outgrew 2**53 micros: refused, as promised
            reject()

    steps, orders = env.trace
    rows = told_again(
        tape=tape,
        trading=case.trading,
        control=case.control,
        last=159,
        length=env.episode_length,
        target=case.target,
        starts=episode_starts(steps),
        actions=actions,
    )
    for name in rows[0]:
        told = np.array([row[name] for row in rows])
        seen = (orders if name in set(orders.dtype.names or ()) else steps)[name]
        assert told.astype(seen.dtype).tobytes() == seen.tobytes(), name


def lanes_on(
    tape: Tape,
    *,
    window: tuple[int, int] = (FIRST, 400),
    count: int = 3,
    capacity: int = 50,
    seed: int = 7,
    start: int | None = None,
    trading: TradingRules | None = None,
) -> Lanes:
    return Lanes(
        tape,
        trading or TradingRules(),
        ControllerRules(),
        window=window,
        count=count,
        capacity=capacity,
        seed=seed,
        start=start,
    )


@pytest.fixture(scope="module")
def tape(wander: Callable[..., Bars]) -> Tape:
    return tape_of(wander(400, 2, 3), TradingRules())


def test_a_lane_trades_as_it_would_alone(tape: Tape) -> None:
    actions = actions_for(2, 50, 8, 1)
    many = lanes_on(tape, count=8, start=100)
    for chosen in actions:
        many.step(chosen)

    for lane in range(8):
        alone = lanes_on(tape, count=1, start=100)
        for chosen in actions[:, lane : lane + 1]:
            alone.step(chosen)
        for name in ("shares", "price", "cost", "position", "lots", "clipped"):
            assert (alone.trace.orders[name][:, 0] == many.trace.orders[name][:, lane]).all()
        for name in ("cash", "equity", "interest", "log_return", "truncated", "terminated"):
            assert (alone.trace.steps[name][:, 0] == many.trace.steps[name][:, lane]).all()


def test_the_same_seed_gives_the_same_trace_and_another_seed_does_not(tape: Tape) -> None:
    def trace(seed: int) -> bytes:
        env = lanes_on(tape, seed=seed, trading=TradingRules(episode_length=20))
        for chosen in actions_for(2, 50, 3, 1):
            env.step(chosen)
        return env.trace.steps.tobytes() + env.trace.orders.tobytes()

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_restored_lanes_go_on_bit_for_bit(tape: Tape) -> None:
    trading = TradingRules(episode_length=15)
    env = lanes_on(tape, trading=trading)
    actions = actions_for(2, 100, 3, 5)
    for chosen in actions[:37]:
        env.step(chosen)
    state = env.state()
    env.clear_trace()
    for chosen in actions[37:60]:
        env.step(chosen)

    other = lanes_on(tape, seed=99, trading=trading)
    other.step(actions[0])
    other.restore(state)
    assert other.controller != env.controller
    for chosen in actions[37:60]:
        other.step(chosen)

    assert other.trace.steps.tobytes() == env.trace.steps.tobytes()
    assert other.trace.orders.tobytes() == env.trace.orders.tobytes()
    assert other.observations.tobytes() == env.observations.tobytes()
    assert other.controller == env.controller


def test_the_state_holds_plain_numbers_only(tape: Tape) -> None:
    assert {values.dtype.kind for values in lanes_on(tape).state().values()} <= set("iuf")


def test_lanes_refuse_the_state_of_others(tape: Tape) -> None:
    with pytest.raises(SettingsError, match="another shape"):
        lanes_on(tape, count=2).restore(lanes_on(tape, count=3).state())


def test_the_observation_is_the_features_of_the_row_and_the_lots(tape: Tape) -> None:
    env = lanes_on(tape, count=1, start=FIRST)
    buy_first_sell_second = 2 * 3 + 0
    env.step(np.array([buy_first_sell_second]))

    held = env.trace.orders["lots"][0, 0]
    assert env.observations.shape == (1, 26)
    assert (env.observations[0, :24] == tape.features[FIRST + 1]).all()
    assert (env.observations[0, 24:] == held).all()


def test_an_episode_that_ends_shows_its_last_bar_and_the_next_beginning(tape: Tape) -> None:
    env = lanes_on(tape, count=1, window=(FIRST, FIRST + 3), start=FIRST)
    hold = np.array([4])
    env.step(hold)
    outcome = env.step(hold)

    assert outcome.truncated[0]
    assert not outcome.terminated[0]
    assert (outcome.final_observations[0, :24] == tape.features[FIRST + 2]).all()
    assert (outcome.observations[0, :24] == tape.features[FIRST]).all()
    assert env.rows.tolist() == [FIRST]


def test_every_episode_fits_into_its_window(tape: Tape) -> None:
    env = lanes_on(tape, count=64, capacity=200, trading=TradingRules(episode_length=7))
    for chosen in actions_for(2, 200, 64, 2):
        env.step(chosen)

    steps = env.trace.steps
    assert steps["row"].min() >= FIRST
    assert steps["row"].max() <= 398
    ended = steps["truncated"] | steps["terminated"]
    assert (ended[6::7] | (np.cumsum(ended, axis=0)[6::7] > 0)).all()
    assert not (steps["truncated"] & steps["terminated"]).any()


def test_a_long_episode_is_shortened_to_half_of_its_window(tape: Tape) -> None:
    assert lanes_on(tape, window=(FIRST, 100)).episode_length == 20
    assert lanes_on(tape, trading=TradingRules(episode_length=5)).episode_length == 5
    assert lanes_on(tape, window=(FIRST, 100), start=80).episode_length == 19


def test_lanes_are_spread_over_a_short_window_from_the_beginning(tape: Tape) -> None:
    env = lanes_on(tape, count=64, capacity=70, window=(FIRST, 200), trading=TradingRules())
    for _ in range(70):
        env.step(np.full(64, 4))
    assert len(np.unique(env.trace.steps["row"])) > 130  # of 139; all from row 60 on are 70


@pytest.mark.parametrize("window", [(FIRST, FIRST), (FIRST, FIRST + 1)])
def test_a_window_too_short_for_a_step_is_refused_with_both_lengths(
    tape: Tape, window: tuple[int, int]
) -> None:
    with pytest.raises(SettingsError, match=rf"{window[1] - window[0]} bars.* 1000 steps"):
        lanes_on(tape, window=window)


@pytest.mark.parametrize("window", [(59, 400), (60, 401), (200, 100), (-5, 100)])
def test_a_window_outside_the_bars_that_can_be_traded_is_refused(
    tape: Tape, window: tuple[int, int]
) -> None:
    with pytest.raises(SettingsError, match="leaves the bars that can be traded"):
        lanes_on(tape, window=window)


@pytest.mark.parametrize("start", [59, 399, 400])
def test_a_start_from_which_no_step_fits_is_refused(tape: Tape, start: int) -> None:
    with pytest.raises(SettingsError, match="leaves no step"):
        lanes_on(tape, start=start)


@pytest.mark.parametrize("action", [-1, 9, 2**40])
def test_an_action_that_does_not_exist_moves_nothing(tape: Tape, action: int) -> None:
    env = lanes_on(tape)
    before = env.state()
    with pytest.raises(SpaceMismatchError, match="lane 1: there is no action"):
        env.step(np.array([4, action, 4]))
    after = env.state()
    assert all(after[name].tobytes() == values.tobytes() for name, values in before.items())
    assert env.taken == 0


def test_actions_for_other_lanes_are_refused(tape: Tape) -> None:
    with pytest.raises(SpaceMismatchError, match="3 lanes"):
        lanes_on(tape).step(np.array([4, 4]))


def test_a_full_trace_is_refused_and_can_be_cleared(tape: Tape) -> None:
    env = lanes_on(tape, capacity=2)
    hold = np.full(3, 4)
    env.step(hold)
    env.step(hold)
    with pytest.raises(SettingsError, match="holds 2 steps"):
        env.step(hold)
    env.clear_trace()
    env.step(hold)
    assert len(env.trace.steps) == 1


def test_a_new_episode_keeps_the_controller(tape: Tape) -> None:
    env = lanes_on(tape)
    for chosen in actions_for(2, 30, 3, 1):
        env.step(chosen)
    before = env.controller
    env.reset()
    assert env.controller == before
    assert env.decided == 90


def test_the_margin_in_force_is_part_of_every_step(tape: Tape) -> None:
    env = lanes_on(tape)
    env.set_margin(0.25)
    env.step(np.full(3, 4))
    env.set_margin(-1.5)
    env.step(np.full(3, 4))
    assert env.trace.steps["margin"].tolist() == [[0.25] * 3, [-1.5] * 3]
    assert env.margin == -1.5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_targets_and_margins_are_numbers(tape: Tape, value: float) -> None:
    with pytest.raises(SettingsError):
        lanes_on(tape).set_target(value)
    with pytest.raises(SettingsError):
        lanes_on(tape).set_margin(value)


def test_an_account_that_outgrows_whole_numbers_stops_with_its_row(
    make_bars: Callable[..., Bars], free: TradingRules
) -> None:
    close = np.full((70, 1), 1_000_000)
    close[66:] = 2**52
    env = lanes_on(
        tape_of(make_bars(close), free),
        window=(FIRST, 70),
        count=1,
        start=FIRST,
        trading=replace(free, starting_capital=Micros(10**12)),
    )
    env.step(np.array([2]))
    for _ in range(4):
        env.step(np.array([1]))
    with pytest.raises(BarsRefusedError, match="lane 0: the account outgrew"):
        env.step(np.array([1]))
