"""A candidate acts on bars it was not trained on, without chance, steered while it acts."""

from dataclasses import dataclass, replace

import torch

from stairways.core.controller import ControllerRules, effectiveness, performance, setpoint
from stairways.core.ledger import TradingRules
from stairways.core.statistics import annual_sharpe, closed_trades, largest_drawdown
from stairways.core.values import Micros
from stairways.env.lanes import Lanes
from stairways.env.records import Records
from stairways.env.tape import Tape
from stairways.market.bars import Bars
from stairways.training.calibration import Calibration, decided, observations
from stairways.training.learner import Float32, Int64, action_codes
from stairways.training.policy import MarginPolicy

NO_STOP = 1.0
"""The whole window is judged: the drawdown gate, not a hard stop, answers for losses."""


@dataclass(frozen=True, slots=True)
class Course:
    """The rules under which candidates are evaluated, and the hold rate asked for."""

    bars: Bars
    tape: Tape
    trading: TradingRules
    control: ControllerRules
    target: float

    @property
    def setpoint(self) -> float:
        """Return the hold rate that candidates are steered to."""
        return setpoint(self.target, self.control)

    def lanes(
        self, window: tuple[int, int], *, count: int = 1, capacity: int | None = None
    ) -> Lanes:
        """Return lanes, one by default, that run through ``window`` once.

        They keep the facts of ``capacity`` steps, by default of all.
        """
        first, last = window
        rules = replace(self.trading, hard_stop=NO_STOP, episode_length=last - first)
        lanes = Lanes(
            self.tape,
            rules,
            self.control,
            window=window,
            count=count,
            capacity=capacity or last - first - 1,
            seed=0,
            start=first,
        )
        lanes.set_target(self.target)
        return lanes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What the ledger says of one pass through a window; rates and profits are shares."""

    decisions: int
    holds: int
    hold_rate: float
    effectiveness: float
    performance: float
    start_equity: Micros
    final_equity: Micros
    profit: float
    drawdown: float
    trades: int
    win_rate: float
    trades_per_day: float
    sharpe: float


def calibrate(policy: MarginPolicy, course: Course, window: tuple[int, int]) -> Calibration:
    """Return the margin that gives the target on the calibration window.

    The first guess takes made-up positions; the answer takes those the policy comes to have.
    """
    guess = decided(_logits(policy, observations(course.tape, window)), course.setpoint)
    _, seen = act(policy, course, window, guess)
    return decided(torch.cat(seen), course.setpoint)


def act(
    policy: MarginPolicy, course: Course, window: tuple[int, int], calibration: Calibration
) -> tuple[Lanes, list[torch.Tensor]]:
    """Run through ``window`` with the best action under the steered margin.

    Returns the lane, whose trace has every step, and the policy's own logits of each step.
    """
    lanes, seen = course.lanes(window), []
    for _ in range(window[1] - window[0] - 1):
        policy.margin = calibration.margin(lanes.output, course.control)
        lanes.set_margin(policy.margin)
        seen.append(_logits(policy, lanes.observations.copy()))
        outcome = lanes.step(action_codes(best(policy.with_margin(seen[-1]))))
        if outcome.terminated[0]:
            break
    return lanes, seen


def best(logits: torch.Tensor) -> Int64:
    """Return the best choice of each group of ``(n, g, k)`` logits; hold wins a tie."""
    hold = logits.shape[-1] // 2
    top = logits.max(dim=-1)
    held = logits[..., hold] >= top.values
    return torch.where(held, torch.tensor(hold), top.indices).numpy()


def score(lanes: Lanes, course: Course) -> Scores:
    """Return what a pass through a window amounts to, from the steps in its trace."""
    steps = lanes.trace.steps[: lanes.taken, 0]
    orders = lanes.trace.orders[: lanes.taken, 0]
    start = course.trading.starting_capital
    equity = [start, *steps["equity"].tolist()]
    holds = int((steps["action"] == (3 ** orders.shape[1] - 1) // 2).sum())
    trips = [profit for symbol in orders.T for profit in _round_trips(symbol)]
    trades = int((orders["shares"] != 0).sum())
    rows = slice(int(steps["row"][0]), int(steps["row"][-1]) + 2)
    span = (course.bars.times[rows][-1] - course.bars.times[rows][0]) / 1e9
    sessions = int(course.bars.session[rows][-1] - course.bars.session[rows][0])
    rates = course.tape.rates["interest"][rows][:-1].tolist()
    return Scores(
        decisions=len(steps),
        holds=holds,
        hold_rate=holds / len(steps),
        effectiveness=effectiveness(holds / len(steps), course.target),
        performance=performance(holds / len(steps), course.target),
        start_equity=start,
        final_equity=equity[-1],
        profit=equity[-1] / start - 1.0,
        drawdown=largest_drawdown(equity),
        trades=trades,
        win_rate=sum(profit > 0 for profit in trips) / len(trips) if trips else 0.0,
        trades_per_day=trades / max(1, sessions),
        sharpe=annual_sharpe(equity, rates, float(span)),
    )


def _round_trips(orders: Records) -> list[int]:
    """Return the profit of each round trip of one symbol, in micros."""
    columns = (orders[name].tolist() for name in ("shares", "price", "cost"))
    return closed_trades(*columns)


def _logits(policy: MarginPolicy, observation: Float32) -> torch.Tensor:
    with torch.no_grad():
        return policy.logits(torch.from_numpy(observation))
