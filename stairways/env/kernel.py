"""The step of all lanes, compiled.

There is one source of truth: the functions of ``core.ledger``, ``core.reward`` and
``core.controller`` are compiled here as they stand, and this module adds only the loops
over lanes and symbols. No fast-math and no threads, so that the bits are those of the
interpreted functions on every processor.

Arguments are the records of ``stairways.env.records`` and ``stairways.env.tape``.
"""

import sys
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from stairways.core import controller, ledger, reward, values
from stairways.core.controller import (
    clip,
    deviation,
    error_of,
    fast_lane,
    hold_bonus,
    made_up,
    mean_after,
    owed_after,
    setpoint,
    slow_lane,
    squares_after,
    target_in_force,
)
from stairways.core.ledger import (
    BASIS_POINTS,
    Books,
    Holding,
    Quote,
    accrual,
    is_stopped,
    lot_size,
    order,
    short_value,
)
from stairways.core.reward import drawdown_penalty, log_return
from stairways.core.values import LARGEST_WHOLE_NUMBER
from stairways.env.compiling import Compiled, compiled, entry, make_known

Records = npt.NDArray[np.void]
Record = Any
"""One record of an array; numba reads and writes its fields by name."""

NO_SUCH_ACTION, OUTGROWN = 1, 2
"""What a negative answer of ``advance`` means, see ``refusal``."""

_LARGEST = float(LARGEST_WHOLE_NUMBER)


def refusal(answer: int) -> tuple[int, int]:
    """Return the lane and the reason that a negative answer of ``advance`` names."""
    return (-answer) // 4, (-answer) % 4


def holds_all(symbols: int) -> int:
    """Return the action whose digits are all ``HOLD``."""
    every_digit: int = (3**symbols - 1) // 2
    return every_digit


def _worth_at_fill(
    i: int, row: int, holdings: Records, quotes: Records, cash: int
) -> tuple[int, int, float]:
    """Return exposure, equity, and exposure as a float, which cannot overflow."""
    gross, worth, reach = 0, cash, 0.0
    for symbol in range(holdings.shape[1]):
        price, position = quotes[row, symbol].fill, holdings[i, symbol].position
        worth += position * price
        gross += abs(position) * price
        reach += abs(position) * float(price)
    return gross, worth, reach


def _worth_at_close(
    i: int, row: int, holdings: Records, quotes: Records, cash: int
) -> tuple[int, float]:
    """Return equity, and the sum of all amounts as a float, which cannot overflow."""
    worth, reach = cash, abs(float(cash))
    for symbol in range(holdings.shape[1]):
        price, position = quotes[row, symbol].close, holdings[i, symbol].position
        worth += position * price
        reach += abs(position) * float(price)
    return worth, reach


def _accrue(i: int, lane: Record, holdings: Records, quotes: Records, rates: Record) -> None:
    """Book the interest on cash and the price of borrowed shares until the next bar."""
    shorts = 0
    for symbol in range(holdings.shape[1]):
        shorts += short_value(holdings[i, symbol].position, quotes[lane.row, symbol].close)
    lane.interest = accrual(lane.cash, rates.interest)
    lane.borrow = accrual(shorts, rates.borrow)
    lane.cash += lane.interest - lane.borrow


def _trade(  # noqa: PLR0917 - compiled code takes no keywords
    action: int,
    i: int,
    lane: Record,
    holdings: Records,
    quotes: Records,
    trading: Record,
    taken: int,
    orders: Records,
) -> bool:
    """Execute the orders of lane ``i``; say whether the amounts stayed countable."""
    gross, worth, reach = _worth_at_fill(i, lane.row, holdings, quotes, lane.cash)
    power = 3 ** (holdings.shape[1] - 1)
    for symbol in range(holdings.shape[1]):
        digit = 0
        while action >= power:  # much cheaper than a division
            action -= power
            digit += 1
        power //= 3
        held, quote = holdings[i, symbol], quotes[lane.row, symbol]
        lot = lot_size(lane.equity, quote.close, trading)
        offer = Quote(quote.fill, lot, quote.tradable != 0)
        done = order(digit, Holding(held.position, held.lots), offer, Books(gross, worth), trading)
        gross += (abs(held.position + done.shares) - abs(held.position)) * quote.fill
        worth -= done.cost
        lane.cash -= done.shares * quote.fill + done.cost
        held.position += done.shares
        held.lots = done.lots
        _note_order(orders[taken, i, symbol], held, quote, done)
    return reach < _LARGEST


def _note_order(noted: Record, held: Record, quote: Record, done: Record) -> None:
    noted.shares = done.shares
    noted.price = quote.fill
    noted.cost = done.cost
    noted.clipped = done.clipped
    noted.position = held.position
    noted.lots = held.lots


def _mark(lane: Record, equity: int, step: Record, trading: Record) -> None:
    """Value the lane at the next bar's close, and reward it."""
    lane.peak = max(lane.peak, equity)
    step.interest, step.borrow = lane.interest, lane.borrow
    step.cash, step.equity = lane.cash, equity
    step.log_return = log_return(lane.equity, equity)
    step.drawdown_penalty = drawdown_penalty(equity, lane.peak, trading)
    lane.equity = equity
    lane.row += 1
    lane.age += 1
    over = lane.row == trading.last_row or lane.age == trading.episode_length
    step.terminated = is_stopped(equity, lane.peak, trading)
    step.truncated = over and not step.terminated


def _control(  # noqa: PLR0917 - compiled code takes no keywords
    hold: bool,  # noqa: FBT001 - compiled code takes no keywords
    regime: float,
    other_terms: float,
    control: Record,
    decisions: npt.NDArray[np.uint8],
    controls: Record,
) -> None:
    """Let the controller see one decision; the same order of rules as ``Controller.after``."""
    place = control.place
    control.place = place + 1 if place + 1 < controls.window else 0
    if control.steps >= controls.window:
        control.holds -= decisions[place]
    decisions[place] = 1 if hold else 0
    control.holds += decisions[place]
    control.steps += 1
    control.aim = target_in_force(control.target, regime, controls)
    control.hold_rate = control.holds / min(control.steps, controls.window)
    aim = setpoint(control.aim, controls)
    control.owed = owed_after(control.owed, aim, decisions[place], controls)
    control.error = error_of(made_up(aim, control.owed, controls), control.hold_rate, controls)
    control.regime = clip(regime, -controller.LARGEST_REGIME, controller.LARGEST_REGIME)
    control.fast = fast_lane(control.error, regime, controls)
    control.slow = slow_lane(control.slow, control.error, control.steps, controls)
    seen = clip(other_terms, -controller.MOST_REWARD, controller.MOST_REWARD)
    before = control.mean
    control.mean = mean_after(before, control.steps, seen)
    control.squares = squares_after(control.squares, before, control.mean, seen)
    control.spread = deviation(control.squares, control.steps)
    control.bonus = hold_bonus(control.fast + control.slow, control.spread, controls)


def _note_control(step: Record, control: Record, controls: Record) -> None:
    step.hold_rate = control.hold_rate
    step.target = control.aim
    step.owed = control.owed
    step.setpoint = setpoint(control.aim, controls)
    step.error = control.error
    step.regime = control.regime
    step.fast = control.fast
    step.slow = control.slow
    step.bonus = control.bonus
    step.spread = control.spread
    step.margin = control.margin


def _observe(  # noqa: PLR0917 - compiled code takes no keywords
    i: int,
    row: int,
    features: npt.NDArray[np.float32],
    holdings: Records,
    trading: Record,
    observations: npt.NDArray[np.float32],
) -> None:
    """Write what the policy sees: the features of a row, then lots as a share of the limit."""
    columns = features.shape[1]
    for column in range(columns):
        observations[i, column] = features[row, column]
    for symbol in range(holdings.shape[1]):
        share = holdings[i, symbol].lots / trading.max_lots
        observations[i, columns + symbol] = np.float32(share)


def _first_wrong(actions: npt.NDArray[np.int64], choices: int) -> int:
    """Return the first lane whose action does not exist, or -1."""
    for lane in range(len(actions)):
        if actions[lane] < 0 or actions[lane] >= choices:
            return lane
    return -1


def advance(  # noqa: PLR0917 - compiled code takes no keywords
    actions: npt.NDArray[np.int64],
    taken: int,
    rates: Records,
    quotes: Records,
    features: npt.NDArray[np.float32],
    lanes: Records,
    holdings: Records,
    control: Records,
    decisions: npt.NDArray[np.uint8],
    steps: Records,
    orders: Records,
    trading: Records,
    controls: Records,
    observations: npt.NDArray[np.float32],
    rewards: npt.NDArray[np.float64],
    terminated: npt.NDArray[np.bool_],
    truncated: npt.NDArray[np.bool_],
) -> int:
    """Take one step in every lane and note its facts in row ``taken`` of ``steps`` and ``orders``.

    Returns how many episodes ended, or a negative number that ``refusal`` explains.
    """
    symbols = holdings.shape[1]
    wrong = _first_wrong(actions, 3**symbols)
    if wrong >= 0:
        return -(4 * wrong + NO_SUCH_ACTION)
    all_hold = holds_all(symbols)
    bonus, ended, rules = control[0].bonus, 0, trading[0]
    for i in range(len(lanes)):
        lane, step = lanes[i], steps[taken, i]
        row = lane.row
        now = rates[row]
        step.row, step.action = row, actions[i]
        _accrue(i, lane, holdings, quotes, now)
        traded = _trade(actions[i], i, lane, holdings, quotes, rules, taken, orders)
        equity, reach = _worth_at_close(i, row + 1, holdings, quotes, lane.cash)
        if not traded or reach >= _LARGEST:
            return -(4 * i + OUTGROWN)
        _mark(lane, equity, step, rules)
        hold = actions[i] == all_hold
        step.risk_free = BASIS_POINTS * now.interest
        step.hold_bonus = bonus if hold else 0.0
        other_terms = step.log_return - step.risk_free - step.drawdown_penalty
        step.reward = other_terms + step.hold_bonus
        _control(hold, now.regime, other_terms, control[0], decisions, controls[0])
        _note_control(step, control[0], controls[0])
        _observe(i, row + 1, features, holdings, rules, observations)
        rewards[i], terminated[i], truncated[i] = step.reward, step.terminated, step.truncated
        ended += 1 if step.terminated or step.truncated else 0
    return ended


_RULE_BOOKS = (ledger, reward, controller, sys.modules[__name__])


def _rules() -> list[FunctionType]:
    """Return every function the kernel may call: all the rules, and the loops above."""
    return [
        value
        for module in _RULE_BOOKS
        for value in vars(module).values()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    ]


make_known(_rules())
run = compiled(advance, (*_RULE_BOOKS, values))
"""``advance``, compiled."""


def entry_for(arguments: tuple[object, ...]) -> Compiled:
    """Return ``advance`` compiled for these arguments, which follow actions and ``taken``."""
    return entry(run, (np.zeros(1, np.int64), 0, *arguments))
